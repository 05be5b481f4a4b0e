-- Large values by their content (spec/store.md §15.4). A payload names them under "$blobs": {field: [hash, size, text?]}.

CREATE TABLE blobs (
  hash TEXT PRIMARY KEY CHECK (length(hash) = 64),  -- sha256, hex
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE blob_chunks (
  hash TEXT NOT NULL,
  number INTEGER NOT NULL,  -- from 0
  data BLOB NOT NULL,       -- 1 MiB each but the last
  UNIQUE (hash, number)
) STRICT;

CREATE TABLE blob_refs (
  execution INTEGER NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (execution, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_refs_hash ON blob_refs (hash);

ALTER TABLE executions ADD COLUMN result_blob TEXT;  -- instead of result
ALTER TABLE executions ADD COLUMN result_bytes INTEGER NOT NULL DEFAULT 0;  -- of that blob
