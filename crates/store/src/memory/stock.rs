//! How much there is: sizes of namespaces, models and what they lack, stored vectors, the generation.

use std::collections::{BTreeMap, HashMap};

use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{EmbeddingModel, Namespace},
};

use super::{
    dialect,
    record::{MemoryStats, NamespaceStats, StoredModel, Unembedded},
    sql::Statement,
};
use crate::{
    Error,
    store::Reader,
    value::{Row, Value},
};

/// So many values fit into one statement on both databases.
const VALUES: usize = 500;
const SIZES: &str = "SELECT n.name, n.chunks, \
     (SELECT count(*) FROM documents d WHERE d.namespace_key = n.namespace_key), \
     (SELECT count(*) FROM documents d WHERE d.namespace_key = n.namespace_key AND d.origin = 'untrusted'), \
     (SELECT CAST(coalesce(sum(c.tokens), 0) AS BIGINT) FROM chunks c \
      JOIN documents d ON d.document_key = c.document_key WHERE d.namespace_key = n.namespace_key) \
     FROM memory_namespaces n ORDER BY n.name";
const TOKENS: &str = "SELECT d.id, CAST(sum(c.tokens) AS BIGINT) FROM documents d \
     JOIN memory_namespaces n ON n.namespace_key = d.namespace_key JOIN chunks c ON c.document_key = d.document_key WHERE ";
const MODELS: &str = "SELECT m.name, m.dimension, \
     (SELECT count(*) FROM vectors v WHERE v.model_key = m.model_key), \
     (SELECT count(DISTINCT c.digest) FROM chunks c WHERE NOT EXISTS \
      (SELECT 1 FROM vectors v WHERE v.model_key = m.model_key AND v.digest = c.digest)) \
     FROM embedding_models m ORDER BY m.name, m.dimension";
const MISSING: &str = "SELECT c.digest, min(d.title), min(t.headings), min(t.text) FROM chunks c \
     JOIN chunk_texts t ON t.chunk_key = c.chunk_key JOIN documents d ON d.document_key = c.document_key \
     JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE NOT EXISTS (SELECT 1 FROM vectors v \
     JOIN embedding_models m ON m.model_key = v.model_key WHERE v.digest = c.digest AND m.name = $1 \
     AND m.dimension = $2)";
const VECTORS: &str = "SELECT v.digest, v.vector FROM vectors v JOIN embedding_models m ON m.model_key = v.model_key \
     WHERE m.name = $1 AND m.dimension = $2 AND ";
const GENERATION: &str = "SELECT generation FROM memory_generation WHERE one = 1";

pub(super) async fn stats(reader: &Reader, wanted: Option<&[Namespace]>) -> Result<MemoryStats, Error> {
    let mut namespaces = BTreeMap::new();
    for mut row in reader.query(SIZES, Vec::new()).await? {
        let name: Namespace = row.parsed()?;
        let (chunks, documents, untrusted) = (size(&mut row)?, size(&mut row)?, size(&mut row)?);
        let sizes = NamespaceStats { documents, untrusted, chunks, tokens: size(&mut row)? };
        if documents > 0 && wanted.is_none_or(|wanted| wanted.contains(&name)) {
            namespaces.insert(name, sizes);
        }
    }
    Ok(MemoryStats { namespaces, models: models(reader).await? })
}

pub(super) async fn document_tokens(
    reader: &Reader,
    namespaces: &[Namespace],
) -> Result<HashMap<DocumentId, u64>, Error> {
    let mut statement = Statement::new(TOKENS);
    statement.any_of("n.name", namespaces.iter().map(Namespace::to_string)).text(" GROUP BY d.id");
    let rows = reader.query(statement.sql, statement.params).await?;
    rows.into_iter().map(|mut row| Ok((row.parsed()?, row.count()?))).collect()
}

fn size(row: &mut Row) -> Result<usize, Error> {
    Ok(usize::try_from(row.count()?).unwrap_or(usize::MAX))
}

pub(super) async fn models(reader: &Reader) -> Result<Vec<StoredModel>, Error> {
    let read = |mut row: Row| {
        let model = EmbeddingModel { name: row.text()?, dimension: size(&mut row)? };
        Ok(StoredModel { model, vectors: size(&mut row)?, missing: size(&mut row)? })
    };
    reader.query(MODELS, Vec::new()).await?.into_iter().map(read).collect()
}

fn named(model: &EmbeddingModel) -> Vec<Value<'static>> {
    vec![model.name.clone().into(), model.dimension.into()]
}

pub(super) async fn missing(
    reader: &Reader,
    model: &EmbeddingModel,
    namespaces: Option<&[Namespace]>,
    limit: usize,
) -> Result<Vec<Unembedded>, Error> {
    let mut statement = Statement { sql: MISSING.to_owned(), params: named(model) };
    if let Some(namespaces) = namespaces {
        statement.text(" AND ").any_of("n.name", namespaces.iter().map(Namespace::to_string));
    }
    statement.text(" GROUP BY c.digest ORDER BY min(c.chunk_key) LIMIT ").value(limit);
    let read = |mut row: Row| {
        let (digest, title, headings) = (row.digest()?, row.text()?, row.text()?);
        let headings = serde_json::from_str(&headings)
            .map_err(|error| Error::unreadable("the headings of a stored chunk", error))?;
        Ok(Unembedded { digest, title, headings, text: row.text()? })
    };
    reader.query(statement.sql, statement.params).await?.into_iter().map(read).collect()
}

pub(super) async fn vectors(
    reader: &Reader,
    model: &EmbeddingModel,
    digests: &[Digest],
) -> Result<HashMap<Digest, Vec<f32>>, Error> {
    let mut found = HashMap::new();
    for digests in digests.chunks(VALUES) {
        let mut statement = Statement { sql: VECTORS.to_owned(), params: named(model) };
        statement.any_of("v.digest", digests.iter().map(|digest| Value::Bytes(digest.as_bytes().to_vec().into())));
        for mut row in reader.query(statement.sql, statement.params).await? {
            found.insert(row.digest()?, dialect::from_bytes(&row.bytes()?));
        }
    }
    Ok(found)
}

pub(super) async fn generation(reader: &Reader) -> Result<u64, Error> {
    let row = reader.query(GENERATION, Vec::new()).await?.into_iter().next();
    row.map_or(Ok(0), |mut row| row.count())
}
