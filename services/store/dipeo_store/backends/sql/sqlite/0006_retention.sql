-- What may go, what must stay, and until when a run may last (spec/store.md §16.6, §16.8).

ALTER TABLE executions ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
ALTER TABLE executions ADD COLUMN logs_emptied INTEGER NOT NULL DEFAULT 0 CHECK (logs_emptied IN (0, 1));
ALTER TABLE executions ADD COLUMN timeout_us INTEGER NOT NULL DEFAULT 0;  -- 0 = none
CREATE INDEX executions_by_source ON executions (source_hash);
CREATE INDEX executions_with_logs ON executions (ended_at) WHERE ended_at IS NOT NULL AND logs_emptied = 0;
