-- The journal and its projections: the same tables as on SQLite, number for number (spec/store.md §15, decision 21).
-- Times are microseconds since 1970 UTC. `execution` columns are executions.id, never the wire id.
-- JSON is text or json, never jsonb: values come back as they were written. Character 0, which Postgres cannot hold in
-- text, is written as two others (postgres_text.py).
-- Only small tables have foreign keys: on the append path a check per row costs more than the row, and the writer has
-- locked the execution before.

-- The only clock of leases, queue and expiry; the clocks of stores and executors do not matter.
CREATE FUNCTION now_us() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (extract(epoch FROM now()) * 1000000)::bigint;

CREATE TABLE sources (  -- captured bundles, once per content
  hash text PRIMARY KEY CHECK (length(hash) = 64),  -- sha256, hex
  data bytea NOT NULL
);

CREATE TABLE executions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  execution_id text COLLATE "C" NOT NULL UNIQUE CHECK (length(execution_id) = 37 AND starts_with(execution_id, 'exec_')),
  status text NOT NULL CHECK (status IN
    ('pending', 'running', 'paused', 'completed', 'failed', 'aborted', 'maxiter_reached')),
  diagram_id text NOT NULL,
  diagram_name text NOT NULL,
  source_hash text NOT NULL REFERENCES sources (hash),
  origin text NOT NULL,
  principal text NOT NULL,
  trace_parent text NOT NULL,
  idempotency_key text,
  idempotency_hash text NOT NULL,
  head_seq bigint NOT NULL CHECK (head_seq >= 1),
  attempts integer NOT NULL DEFAULT 0,       -- executors that ran it so far
  tokens_in bigint NOT NULL DEFAULT 0,
  tokens_out bigint NOT NULL DEFAULT 0,
  tokens_cached bigint NOT NULL DEFAULT 0,
  runs_done integer NOT NULL DEFAULT 0,
  runs_failed integer NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  started_at bigint,
  ended_at bigint,
  error json,
  result json,
  result_is_error boolean NOT NULL DEFAULT false,
  warnings json NOT NULL DEFAULT '[]',
  skipped_node_ids json NOT NULL DEFAULT '[]',
  CHECK ((ended_at IS NULL) = (status IN ('pending', 'running', 'paused')))
) WITH (fillfactor = 70);  -- room to update a row in place with every append
CREATE UNIQUE INDEX executions_idempotency ON executions (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX executions_recent ON executions (created_at DESC, id DESC);
CREATE INDEX executions_by_status ON executions (status, created_at DESC, id DESC);
CREATE INDEX executions_by_diagram ON executions (diagram_id, created_at DESC, id DESC);
CREATE INDEX executions_by_start ON executions (started_at);

-- The truth, in order of arrival.
CREATE TABLE transitions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  execution bigint NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 1),
  event_id bytea NOT NULL CHECK (length(event_id) = 16),
  type text NOT NULL,
  node_id text,
  iteration integer,
  attempt integer,
  fence bigint NOT NULL,
  at bigint NOT NULL,        -- the writer's clock
  payload text NOT NULL,     -- JSON, composed and checked by the store itself
  UNIQUE (execution, seq),
  UNIQUE (execution, event_id)
);

CREATE TABLE sessions (  -- one per executor process start
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session_id text NOT NULL UNIQUE,
  executor text NOT NULL,
  version text NOT NULL,
  state text NOT NULL CHECK (state IN ('alive', 'lost', 'closed')),
  started_at bigint NOT NULL,
  ended_at bigint,
  heartbeat_at bigint NOT NULL  -- only here: on SQLite one process sees every heartbeat
) WITH (fillfactor = 70);
CREATE INDEX sessions_alive ON sessions (id) WHERE state = 'alive';

CREATE TABLE work (  -- exactly the executions that have not ended; small and hot
  execution bigint PRIMARY KEY REFERENCES executions (id),
  session bigint REFERENCES sessions (id),
  fence bigint NOT NULL DEFAULT 0,
  priority integer NOT NULL DEFAULT 0,
  not_before bigint NOT NULL,
  losses integer NOT NULL DEFAULT 0,        -- holders lost in a row without one node run completed
  done_at_claim integer NOT NULL DEFAULT 0  -- runs_done when the present holder took over
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX work_ready ON work (priority DESC, not_before, execution) WHERE session IS NULL;
CREATE INDEX work_due ON work (not_before) WHERE session IS NULL;
CREATE INDEX work_session ON work (session) WHERE session IS NOT NULL;

CREATE TABLE node_runs (  -- one row per node, iteration and attempt; what it gave is in transitions at end_seq
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  execution bigint NOT NULL,
  node_id text NOT NULL,
  iteration integer NOT NULL CHECK (iteration >= 0),
  attempt integer NOT NULL CHECK (attempt >= 1),
  label text NOT NULL,
  type text NOT NULL,
  person_id text NOT NULL,
  status text NOT NULL CHECK (status IN
    ('running', 'completed', 'failed', 'aborted', 'skipped', 'maxiter_reached')),
  start_seq bigint NOT NULL,
  end_seq bigint,
  started_at bigint NOT NULL,
  ended_at bigint,
  tokens_in bigint NOT NULL DEFAULT 0,
  tokens_out bigint NOT NULL DEFAULT 0,
  tokens_cached bigint NOT NULL DEFAULT 0,
  model text NOT NULL DEFAULT '',
  UNIQUE (execution, node_id, iteration, attempt),
  CHECK ((ended_at IS NULL) = (status = 'running'))
) WITH (fillfactor = 80);

CREATE TABLE messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  execution bigint NOT NULL,
  seq bigint NOT NULL,  -- of the event that brought it
  message_id text NOT NULL,
  node_id text NOT NULL,
  iteration integer NOT NULL,
  person_id text NOT NULL,
  from_id text NOT NULL,
  to_id text NOT NULL,
  role text NOT NULL,
  content text NOT NULL,
  token_count bigint NOT NULL,
  created_at bigint NOT NULL,
  UNIQUE (execution, seq),
  UNIQUE (execution, message_id)
);

CREATE TABLE signals (  -- the inbox of whoever holds the execution
  id bigint GENERATED ALWAYS AS IDENTITY,  -- their order; on SQLite the rowid
  execution bigint NOT NULL REFERENCES executions (id),
  signal_id text NOT NULL,
  kind text NOT NULL CONSTRAINT signals_kind CHECK (kind IN ('abort', 'answer')),
  payload json NOT NULL,
  created_at bigint NOT NULL,
  consumed_seq bigint,
  PRIMARY KEY (execution, signal_id)
);
CREATE INDEX signals_open ON signals (execution) WHERE consumed_seq IS NULL;

CREATE TABLE interactions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  interaction_id text NOT NULL,
  execution bigint NOT NULL,
  node_id text NOT NULL,
  label text NOT NULL,
  iteration integer NOT NULL,
  prompt text NOT NULL,
  context text NOT NULL,
  default_value text NOT NULL,
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'answered', 'expired', 'cancelled')),
  opened_at bigint NOT NULL,
  expires_at bigint,
  closed_at bigint,
  response text NOT NULL DEFAULT '',
  responder text NOT NULL DEFAULT '',
  UNIQUE (execution, interaction_id)
);
CREATE INDEX interactions_open ON interactions (execution) WHERE status = 'open';
