-- Questions with a choice of answers, and questions for secrets (spec/mcp.md §3.6.6).

ALTER TABLE interactions ADD COLUMN options text NOT NULL DEFAULT '[]';
ALTER TABLE interactions ADD COLUMN sensitive boolean NOT NULL DEFAULT false;
