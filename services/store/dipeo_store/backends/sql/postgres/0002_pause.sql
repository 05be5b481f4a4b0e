-- Pausing: two more kinds of signals.

ALTER TABLE signals DROP CONSTRAINT signals_kind;
ALTER TABLE signals ADD CONSTRAINT signals_kind CHECK (kind IN ('abort', 'answer', 'pause', 'resume'));
