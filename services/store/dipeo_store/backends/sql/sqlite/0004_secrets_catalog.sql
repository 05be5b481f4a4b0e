-- Keys of other services, and the catalogue of diagrams (spec/store.md §15.3, §15.6).

CREATE INDEX executions_by_end ON executions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE secrets (
  secret_id TEXT PRIMARY KEY,
  label TEXT NOT NULL UNIQUE,
  service TEXT NOT NULL,
  base_url TEXT NOT NULL,
  last4 TEXT NOT NULL,
  ciphertext BLOB NOT NULL,  -- nonce (12 bytes), then AES-256-GCM with the id and service as associated data
  key_id TEXT NOT NULL,      -- which master key
  created_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;

CREATE TABLE catalog (
  name TEXT PRIMARY KEY,
  format TEXT NOT NULL,
  text TEXT NOT NULL,
  text_hash TEXT NOT NULL,
  metadata TEXT CHECK (metadata IS NULL OR json_valid(metadata)),
  published INTEGER NOT NULL CHECK (published IN (0, 1)),
  etag INTEGER NOT NULL UNIQUE,  -- revision of the catalogue that made it so
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),  -- remembered for those who follow the changes
  updated_at INTEGER NOT NULL,
  updated_by TEXT NOT NULL
) STRICT;

CREATE TABLE catalog_revision (  -- one row: changes are numbered in the order of their commits
  id INTEGER PRIMARY KEY CHECK (id = 1),
  value INTEGER NOT NULL
) STRICT;
INSERT INTO catalog_revision VALUES (1, 0);
