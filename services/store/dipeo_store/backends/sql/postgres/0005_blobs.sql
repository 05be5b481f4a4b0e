-- Large values by their content (spec/store.md §15.4). A payload names them under "$blobs": {field: [hash, size, text?]}.

CREATE TABLE blobs (
  hash text COLLATE "C" PRIMARY KEY CHECK (length(hash) = 64),  -- sha256, hex
  size bigint NOT NULL,
  created_at bigint NOT NULL
);

CREATE TABLE blob_chunks (
  hash text COLLATE "C" NOT NULL,
  number bigint NOT NULL,  -- from 0
  data bytea NOT NULL,     -- 1 MiB each but the last
  PRIMARY KEY (hash, number)
);
ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL;  -- compressing costs the writer more than it saves

CREATE TABLE blob_refs (
  execution bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,
  PRIMARY KEY (execution, hash)
);
CREATE INDEX blob_refs_hash ON blob_refs (hash);

ALTER TABLE executions ADD COLUMN result_blob text;  -- instead of result
ALTER TABLE executions ADD COLUMN result_bytes bigint NOT NULL DEFAULT 0;  -- of that blob
