-- Jobs: runs that wait in a queue for a worker. Access tokens of the server. Chores that several processes do once.

-- Taken by the workers of jobs: a job, or a run that a job called.
ALTER TABLE runs ADD COLUMN queued BOOLEAN NOT NULL DEFAULT false;
-- 0 low, 1 normal, 2 high.
ALTER TABLE runs ADD COLUMN priority BIGINT NOT NULL DEFAULT 1;

DROP INDEX runs_open;
CREATE INDEX runs_open ON runs (priority DESC, id) WHERE status IN ('running', 'waiting');
CREATE INDEX runs_queue ON runs (priority DESC, id) WHERE queued AND status IN ('running', 'waiting');
-- What estimates are learned from.
CREATE INDEX runs_completed ON runs (persona, id) WHERE status = 'completed' AND NOT conversation;
CREATE INDEX runs_by_fork ON runs (forked_from) WHERE forked_from IS NOT NULL;

CREATE TABLE jobs (
    run_key BIGINT PRIMARY KEY REFERENCES runs (run_key),
    -- Who asked for it, and from where: local or remote.
    principal TEXT NOT NULL,
    reach TEXT NOT NULL,
    workspace TEXT NOT NULL,
    -- SHA-256 of the material that came with the task.
    context {bytes},
    -- How long it was expected to take, in milliseconds.
    estimate_ms BIGINT NOT NULL,
    -- When a worker first took it.
    started_at BIGINT
);

CREATE INDEX jobs_by_principal ON jobs (principal, run_key);

-- Which large bodies a run's events name, beside those that hold an event: what no run names any more is deleted.
CREATE TABLE run_blobs (
    run_key BIGINT NOT NULL REFERENCES runs (run_key),
    digest {bytes} NOT NULL,
    PRIMARY KEY (run_key, digest)
);

CREATE INDEX run_blobs_by_digest ON run_blobs (digest);
CREATE INDEX events_by_blob ON events (blob) WHERE blob IS NOT NULL;

CREATE TABLE tokens (
    id {id} PRIMARY KEY,
    name TEXT NOT NULL,
    digest {bytes} NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    revoked_at BIGINT
);

-- Two tokens in use never mean the same principal.
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE chores (
    name TEXT PRIMARY KEY,
    done_at BIGINT NOT NULL
);
