CREATE TABLE transfer (
    id text PRIMARY KEY CHECK (id <> ''),
    source text NOT NULL REFERENCES account,
    target text NOT NULL REFERENCES account,
    cents bigint NOT NULL CHECK (cents > 0),
    reviewed boolean NOT NULL DEFAULT false,
    CHECK (source <> target)
);
