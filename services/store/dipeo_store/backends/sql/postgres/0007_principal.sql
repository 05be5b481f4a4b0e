-- Whose executions: listed for one principal at a time (spec/store.md §17).

CREATE INDEX executions_by_principal ON executions (principal, created_at DESC, id DESC);
