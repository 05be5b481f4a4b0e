-- What may go, what must stay, and until when a run may last (spec/store.md §16.6, §16.8).

ALTER TABLE executions ADD COLUMN pinned boolean NOT NULL DEFAULT false;
ALTER TABLE executions ADD COLUMN logs_emptied boolean NOT NULL DEFAULT false;
ALTER TABLE executions ADD COLUMN timeout_us bigint NOT NULL DEFAULT 0;  -- 0 = none
CREATE INDEX executions_by_source ON executions (source_hash);
CREATE INDEX executions_with_logs ON executions (ended_at) WHERE ended_at IS NOT NULL AND NOT logs_emptied;
