-- What model calls cost, in US dollars; of `unpriced` calls the price is not known.

ALTER TABLE executions ADD COLUMN cost_usd DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN unpriced BIGINT NOT NULL DEFAULT 0;
ALTER TABLE node_runs ADD COLUMN cost_usd DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE node_runs ADD COLUMN unpriced BIGINT NOT NULL DEFAULT 0;
