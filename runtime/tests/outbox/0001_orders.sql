-- `at` counts commits of one writer up: a transaction that is taken back leaves a gap.
CREATE TABLE placed (
    at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE
);
