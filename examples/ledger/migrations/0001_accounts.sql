CREATE TABLE account (
    id text PRIMARY KEY CHECK (id <> ''),
    cents bigint NOT NULL DEFAULT 0,
    -- Where money comes from and goes to: the one kind of account that may owe.
    outside boolean NOT NULL DEFAULT false,
    CHECK (outside OR cents >= 0)
);

INSERT INTO account (id, outside) VALUES ('outside', true);
