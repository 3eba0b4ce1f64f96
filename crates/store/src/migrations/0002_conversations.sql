-- Runs that are conversations, and runs that other runs called.

ALTER TABLE runs ADD COLUMN conversation BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE runs ADD COLUMN parent {id};

CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
