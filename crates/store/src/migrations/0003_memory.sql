-- What is remembered: documents, their chunks, and the vectors of these. The indices of vectors stand in tables that are
-- made when a model of their length is first used.

CREATE TABLE memory_namespaces (
    namespace_key {key},
    name {id} NOT NULL UNIQUE,
    -- How many chunks there are and how many terms they have: what BM25 needs to know about a collection.
    chunks BIGINT NOT NULL DEFAULT 0,
    terms BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE documents (
    document_key {key},
    id {id} NOT NULL UNIQUE,
    namespace_key BIGINT NOT NULL REFERENCES memory_namespaces (namespace_key),
    source {id} NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    origin TEXT NOT NULL,
    digest {bytes} NOT NULL,
    run {id},
    changed_at BIGINT NOT NULL,
    indexed_at BIGINT NOT NULL,
    metadata TEXT NOT NULL
);

CREATE UNIQUE INDEX documents_by_source ON documents (namespace_key, source);
CREATE INDEX documents_by_run ON documents (run) WHERE run IS NOT NULL;

CREATE TABLE document_tags (
    document_key BIGINT NOT NULL REFERENCES documents (document_key),
    tag {id} NOT NULL,
    PRIMARY KEY (document_key, tag)
);

-- A summary names its sources, and is forgotten with the first of them.
CREATE TABLE document_sources (
    source {id} NOT NULL,
    document_key BIGINT NOT NULL REFERENCES documents (document_key),
    PRIMARY KEY (source, document_key)
);

CREATE INDEX document_sources_by_document ON document_sources (document_key);

-- Narrow, because searches touch many rows of it; the texts stand apart.
CREATE TABLE chunks (
    chunk_key {key},
    document_key BIGINT NOT NULL REFERENCES documents (document_key),
    namespace_key BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    digest {bytes} NOT NULL,
    first_line BIGINT NOT NULL,
    last_line BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    -- Terms in headings and text.
    terms BIGINT NOT NULL,
    -- Tells what it is indexed under.
    lexemes {bytes} NOT NULL
);

CREATE INDEX chunks_by_document ON chunks (document_key, ordinal);
CREATE INDEX chunks_by_digest ON chunks (digest, namespace_key);

CREATE TABLE chunk_texts (
    chunk_key BIGINT PRIMARY KEY REFERENCES chunks (chunk_key),
    headings TEXT NOT NULL,
    text TEXT NOT NULL
);

{lexemes}

CREATE TABLE embedding_models (
    model_key {key},
    name {id} NOT NULL,
    dimension BIGINT NOT NULL,
    UNIQUE (name, dimension)
);

-- The exact vectors, one for each text, whoever has it.
CREATE TABLE vectors (
    model_key BIGINT NOT NULL REFERENCES embedding_models (model_key),
    digest {bytes} NOT NULL,
    -- Numbers of 32 bits, little end first.
    vector {bytes} NOT NULL,
    PRIMARY KEY (model_key, digest)
);

CREATE INDEX vectors_by_digest ON vectors (digest);

-- The vectors of one model in one namespace: what a search looks through.
CREATE TABLE vector_shelves (
    shelf_key {key},
    model_key BIGINT NOT NULL REFERENCES embedding_models (model_key),
    namespace_key BIGINT NOT NULL REFERENCES memory_namespaces (namespace_key),
    vectors BIGINT NOT NULL DEFAULT 0,
    UNIQUE (model_key, namespace_key)
);

-- Each vector on each shelf; place_key is its key in the index of vectors.
CREATE TABLE vector_places (
    place_key {key},
    shelf_key BIGINT NOT NULL REFERENCES vector_shelves (shelf_key),
    digest {bytes} NOT NULL,
    UNIQUE (shelf_key, digest)
);

CREATE INDEX vector_places_by_digest ON vector_places (digest);

CREATE TABLE memory_generation (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    generation BIGINT NOT NULL
);

INSERT INTO memory_generation (one, generation) VALUES (1, 0);
