CREATE TABLE placed (id text PRIMARY KEY);
