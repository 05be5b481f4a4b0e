-- What model calls cost, in US dollars; of `unpriced` calls the price is not known.

ALTER TABLE executions ADD COLUMN cost_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node_runs ADD COLUMN cost_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE node_runs ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
