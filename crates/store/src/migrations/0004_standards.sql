-- Proposals for standards with all their revisions, what was decided about them, and how often standards are asked for.

CREATE TABLE proposals (
    id {id} PRIMARY KEY,
    project TEXT NOT NULL,
    directory TEXT NOT NULL,
    file TEXT NOT NULL,
    domain TEXT NOT NULL,
    topic TEXT NOT NULL,
    revision BIGINT NOT NULL,
    digest {bytes} NOT NULL,
    proposed_by TEXT NOT NULL,
    run {id},
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    decision TEXT,
    -- What an approval writes, and its digest: the whole file. Both null until then.
    output TEXT,
    output_digest {bytes},
    -- Whether the file stands there: false between the approval and the end of the writing.
    written BOOLEAN NOT NULL DEFAULT false
);

CREATE INDEX proposals_by_standard ON proposals (project, domain, topic);
CREATE INDEX proposals_open ON proposals (project, created_at) WHERE status = 'draft';
CREATE INDEX proposals_unwritten ON proposals (id) WHERE status = 'approved' AND NOT written;

CREATE TABLE proposal_revisions (
    id {id} NOT NULL REFERENCES proposals (id),
    revision BIGINT NOT NULL,
    title TEXT NOT NULL,
    tags TEXT NOT NULL,
    content TEXT NOT NULL,
    digest {bytes} NOT NULL,
    -- Digest of the file that it changes: null for a new file.
    base {bytes},
    revised_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id, revision)
);

CREATE TABLE standard_uses (
    project TEXT NOT NULL,
    domain TEXT NOT NULL,
    topic TEXT NOT NULL,
    queries BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (project, domain, topic)
);
