-- Runs, their journals, large bodies, questions, inboxes and the audit log.

CREATE TABLE runs (
    run_key {key},
    id {id} NOT NULL UNIQUE,
    persona TEXT NOT NULL,
    title TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    status TEXT NOT NULL,
    last_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    wake_at BIGINT,
    epoch BIGINT NOT NULL,
    lease_worker TEXT,
    lease_until BIGINT,
    -- Who held the lease when it was last taken: null after a release.
    lease_previous TEXT,
    steps BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_tokens BIGINT NOT NULL DEFAULT 0,
    micro_usd BIGINT NOT NULL DEFAULT 0,
    forked_from {id},
    forked_seq BIGINT
);

-- What claims look through; a run that ended leaves it.
CREATE INDEX runs_open ON runs (id) WHERE status IN ('running', 'waiting');

-- Either body, the JSON of the event without its columns, or blob, the digest of that JSON.
CREATE TABLE events (
    run_key BIGINT NOT NULL REFERENCES runs (run_key),
    seq BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT,
    blob {bytes},
    PRIMARY KEY (run_key, seq)
);

CREATE TABLE blobs (
    digest {bytes} PRIMARY KEY,
    content {bytes} NOT NULL
);

CREATE TABLE approvals (
    id {id} PRIMARY KEY,
    run_key BIGINT NOT NULL REFERENCES runs (run_key),
    call_id TEXT NOT NULL,
    question TEXT NOT NULL,
    digest {bytes} NOT NULL,
    asked_at BIGINT NOT NULL,
    deadline BIGINT,
    ruling TEXT,
    decided_at BIGINT
);

CREATE INDEX approvals_by_run ON approvals (run_key);
CREATE INDEX approvals_open ON approvals (asked_at) WHERE ruling IS NULL;

CREATE TABLE inbox (
    inbox_key {key},
    id {id} NOT NULL UNIQUE,
    run_key BIGINT NOT NULL REFERENCES runs (run_key),
    command TEXT NOT NULL,
    at BIGINT NOT NULL,
    consumed BOOLEAN NOT NULL DEFAULT false
);

CREATE INDEX inbox_pending ON inbox (run_key, inbox_key) WHERE NOT consumed;

CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    run {id},
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest {bytes} NOT NULL
);

-- How long the log is and how it ends, so that cutting its end is noticed. One row.
CREATE TABLE audit_head (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    entries BIGINT NOT NULL,
    digest {bytes}
);

INSERT INTO audit_head (one, entries) VALUES (1, 0);
