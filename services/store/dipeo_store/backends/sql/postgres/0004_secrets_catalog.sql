-- Keys of other services, and the catalogue of diagrams (spec/store.md §15.3, §15.6).

CREATE INDEX executions_by_end ON executions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE secrets (
  secret_id text COLLATE "C" PRIMARY KEY,
  label text NOT NULL UNIQUE,
  service text NOT NULL,
  base_url text NOT NULL,
  last4 text NOT NULL,
  ciphertext bytea NOT NULL,  -- nonce (12 bytes), then AES-256-GCM with the id and service as associated data
  key_id text NOT NULL,       -- which master key
  created_at bigint NOT NULL,
  used_at bigint
);

CREATE TABLE catalog (
  name text COLLATE "C" PRIMARY KEY,
  format text NOT NULL,
  text text NOT NULL,
  text_hash text NOT NULL,
  metadata text,
  published boolean NOT NULL,
  etag bigint NOT NULL UNIQUE,  -- revision of the catalogue that made it so
  deleted boolean NOT NULL,     -- remembered for those who follow the changes
  updated_at bigint NOT NULL,
  updated_by text NOT NULL
);

CREATE TABLE catalog_revision (  -- one row, locked by each change: they are numbered in the order of their commits
  id integer PRIMARY KEY CHECK (id = 1),
  value bigint NOT NULL
);
INSERT INTO catalog_revision VALUES (1, 0);
