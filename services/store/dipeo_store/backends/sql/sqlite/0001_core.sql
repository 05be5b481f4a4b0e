-- The journal and its projections (spec/store.md §15, trimmed by decision 21).
-- Times are microseconds since 1970 UTC. `execution` columns are executions.id, never the wire id.
-- Room is left for: parents and aliases (columns of executions), partitions, snapshots, blobs, secrets, the catalogue.

CREATE TABLE sources (  -- captured bundles, once per content
  hash TEXT PRIMARY KEY CHECK (length(hash) = 64),  -- sha256, hex
  data BLOB NOT NULL
) STRICT;

CREATE TABLE executions (
  id INTEGER PRIMARY KEY,
  execution_id TEXT NOT NULL UNIQUE CHECK (length(execution_id) = 37 AND substr(execution_id, 1, 5) = 'exec_'),
  status TEXT NOT NULL CHECK (status IN
    ('pending', 'running', 'paused', 'completed', 'failed', 'aborted', 'maxiter_reached')),
  diagram_id TEXT NOT NULL,
  diagram_name TEXT NOT NULL,
  source_hash TEXT NOT NULL REFERENCES sources (hash),
  origin TEXT NOT NULL,
  principal TEXT NOT NULL,
  trace_parent TEXT NOT NULL,
  idempotency_key TEXT,
  idempotency_hash TEXT NOT NULL,
  head_seq INTEGER NOT NULL CHECK (head_seq >= 1),
  attempts INTEGER NOT NULL DEFAULT 0,       -- executors that ran it so far
  tokens_in INTEGER NOT NULL DEFAULT 0,
  tokens_out INTEGER NOT NULL DEFAULT 0,
  tokens_cached INTEGER NOT NULL DEFAULT 0,
  runs_done INTEGER NOT NULL DEFAULT 0,
  runs_failed INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  error TEXT CHECK (error IS NULL OR json_valid(error)),
  result TEXT CHECK (result IS NULL OR json_valid(result)),
  result_is_error INTEGER NOT NULL DEFAULT 0 CHECK (result_is_error IN (0, 1)),
  warnings TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(warnings)),
  skipped_node_ids TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(skipped_node_ids)),
  CHECK ((ended_at IS NULL) = (status IN ('pending', 'running', 'paused')))
) STRICT;
CREATE UNIQUE INDEX executions_idempotency ON executions (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX executions_recent ON executions (created_at DESC, id DESC);
CREATE INDEX executions_by_status ON executions (status, created_at DESC, id DESC);
CREATE INDEX executions_by_diagram ON executions (diagram_id, created_at DESC, id DESC);
CREATE INDEX executions_by_start ON executions (started_at);

-- The truth. In order of arrival, because appends of many runs then share pages (clustered by run: 2-3 times slower).
CREATE TABLE transitions (
  id INTEGER PRIMARY KEY,
  execution INTEGER NOT NULL REFERENCES executions (id),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  event_id BLOB NOT NULL CHECK (length(event_id) = 16),
  type TEXT NOT NULL,
  node_id TEXT,
  iteration INTEGER,
  attempt INTEGER,
  fence INTEGER NOT NULL,
  at INTEGER NOT NULL,       -- the writer's clock
  payload TEXT NOT NULL,     -- JSON, composed and checked by the store itself
  UNIQUE (execution, seq),
  UNIQUE (execution, event_id)
) STRICT;

CREATE TABLE sessions (  -- one per executor process start
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  executor TEXT NOT NULL,
  version TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('alive', 'lost', 'closed')),
  started_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX sessions_alive ON sessions (id) WHERE state = 'alive';

CREATE TABLE work (  -- exactly the executions that have not ended; small and hot
  execution INTEGER PRIMARY KEY REFERENCES executions (id),
  session INTEGER REFERENCES sessions (id),
  fence INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL,
  losses INTEGER NOT NULL DEFAULT 0,      -- holders lost in a row without one node run completed
  done_at_claim INTEGER NOT NULL DEFAULT 0  -- runs_done when the present holder took over
) STRICT;
CREATE INDEX work_ready ON work (priority DESC, not_before, execution) WHERE session IS NULL;
CREATE INDEX work_due ON work (not_before) WHERE session IS NULL;
CREATE INDEX work_session ON work (session) WHERE session IS NOT NULL;

CREATE TABLE node_runs (  -- one row per node, iteration and attempt; what it gave is in transitions at end_seq
  id INTEGER PRIMARY KEY,
  execution INTEGER NOT NULL REFERENCES executions (id),
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL CHECK (iteration >= 0),
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  label TEXT NOT NULL,
  type TEXT NOT NULL,
  person_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN
    ('running', 'completed', 'failed', 'aborted', 'skipped', 'maxiter_reached')),
  start_seq INTEGER NOT NULL,
  end_seq INTEGER,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  tokens_in INTEGER NOT NULL DEFAULT 0,
  tokens_out INTEGER NOT NULL DEFAULT 0,
  tokens_cached INTEGER NOT NULL DEFAULT 0,
  model TEXT NOT NULL DEFAULT '',
  UNIQUE (execution, node_id, iteration, attempt),
  CHECK ((ended_at IS NULL) = (status = 'running'))
) STRICT;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  execution INTEGER NOT NULL REFERENCES executions (id),
  seq INTEGER NOT NULL,  -- of the event that brought it
  message_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  person_id TEXT NOT NULL,
  from_id TEXT NOT NULL,
  to_id TEXT NOT NULL,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  token_count INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (execution, seq),
  UNIQUE (execution, message_id)
) STRICT;

CREATE TABLE signals (  -- the inbox of whoever holds the execution
  execution INTEGER NOT NULL REFERENCES executions (id),
  signal_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('abort', 'answer')),
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at INTEGER NOT NULL,
  consumed_seq INTEGER,
  PRIMARY KEY (execution, signal_id)
) STRICT;
CREATE INDEX signals_open ON signals (execution) WHERE consumed_seq IS NULL;

CREATE TABLE interactions (
  id INTEGER PRIMARY KEY,
  interaction_id TEXT NOT NULL,
  execution INTEGER NOT NULL REFERENCES executions (id),
  node_id TEXT NOT NULL,
  label TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  context TEXT NOT NULL,
  default_value TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'answered', 'expired', 'cancelled')),
  opened_at INTEGER NOT NULL,
  expires_at INTEGER,
  closed_at INTEGER,
  response TEXT NOT NULL DEFAULT '',
  responder TEXT NOT NULL DEFAULT '',
  UNIQUE (execution, interaction_id)
) STRICT;
CREATE INDEX interactions_open ON interactions (execution) WHERE status = 'open';
