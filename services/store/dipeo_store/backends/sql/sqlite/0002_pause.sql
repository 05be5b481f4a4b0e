-- Pausing: two more kinds of signals. SQLite changes a CHECK only with its table.

CREATE TABLE signals_0002 (  -- the inbox of whoever holds the execution
  execution INTEGER NOT NULL REFERENCES executions (id),
  signal_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('abort', 'answer', 'pause', 'resume')),
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at INTEGER NOT NULL,
  consumed_seq INTEGER,
  PRIMARY KEY (execution, signal_id)
) STRICT;
INSERT INTO signals_0002 (execution, signal_id, kind, payload, created_at, consumed_seq)
  SELECT execution, signal_id, kind, payload, created_at, consumed_seq FROM signals ORDER BY rowid;
DROP TABLE signals;
ALTER TABLE signals_0002 RENAME TO signals;
CREATE INDEX signals_open ON signals (execution) WHERE consumed_seq IS NULL;
