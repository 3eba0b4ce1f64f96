//! Where vectors stand: each text has one vector per model, and a place on the shelf of every namespace that has the
//! text. Keeps shelves, places and the index of vectors in step with the chunks, within the caller's transaction.

use masque_types::{digest::Digest, memory::EmbeddingModel};

use super::dialect::{self, MemorySession};
use crate::{Error, value::Row};

const VECTORS: &str = "SELECT m.model_key, v.vector FROM embedding_models m \
     JOIN vectors v ON v.model_key = m.model_key AND v.digest = $1";
const ADD_SHELF: &str = "INSERT INTO vector_shelves (model_key, namespace_key) VALUES ($1, $2) \
     ON CONFLICT (model_key, namespace_key) DO NOTHING";
const SHELF: &str = "SELECT shelf_key FROM vector_shelves WHERE model_key = $1 AND namespace_key = $2";
const ADD_PLACE: &str = "INSERT INTO vector_places (shelf_key, digest) VALUES ($1, $2) \
     ON CONFLICT (shelf_key, digest) DO NOTHING RETURNING place_key";
const FILL: &str = "UPDATE vector_shelves SET vectors = vectors + $2 WHERE shelf_key = $1";
const IN_NAMESPACE: &str = "SELECT chunk_key FROM chunks WHERE digest = $1 AND namespace_key = $2 LIMIT 1";
const ANYWHERE: &str = "SELECT chunk_key FROM chunks WHERE digest = $1 LIMIT 1";
const PLACES: &str = "SELECT p.place_key, p.shelf_key, m.dimension FROM vector_places p \
     JOIN vector_shelves s ON s.shelf_key = p.shelf_key JOIN embedding_models m ON m.model_key = s.model_key \
     WHERE p.digest = $1 AND s.namespace_key = $2";
const DROP_PLACE: &str = "DELETE FROM vector_places WHERE place_key = $1";
const DROP_VECTORS: &str = "DELETE FROM vectors WHERE digest = $1";
const NAMESPACES: &str = "SELECT DISTINCT namespace_key FROM chunks WHERE digest = $1";
const ADD_MODEL: &str = "INSERT INTO embedding_models (name, dimension) VALUES ($1, $2) \
     ON CONFLICT (name, dimension) DO NOTHING";
const MODEL: &str = "SELECT model_key FROM embedding_models WHERE name = $1 AND dimension = $2";
const ADD_VECTOR: &str = "INSERT INTO vectors (model_key, digest, vector) VALUES ($1, $2, $3) \
     ON CONFLICT (model_key, digest) DO NOTHING";
const MODEL_PLACES: &str = "SELECT p.place_key FROM vector_places p \
     JOIN vector_shelves s ON s.shelf_key = p.shelf_key WHERE s.model_key = $1";
const DROP_MODEL_PLACES: &str =
    "DELETE FROM vector_places WHERE shelf_key IN (SELECT shelf_key FROM vector_shelves WHERE model_key = $1)";
const DROP_SHELVES: &str = "DELETE FROM vector_shelves WHERE model_key = $1";
const DROP_MODEL_VECTORS: &str = "DELETE FROM vectors WHERE model_key = $1";
const DROP_MODEL: &str = "DELETE FROM embedding_models WHERE model_key = $1";

/// Puts the known vectors of a text on the shelves of a namespace that has the text now.
pub(super) async fn add<S: MemorySession>(session: &S, namespace_key: i64, digest: &Digest) -> Result<(), Error> {
    for mut row in session.query(VECTORS, &[digest.into()]).await? {
        let (model_key, vector) = (row.int()?, dialect::from_bytes(&row.bytes()?));
        add_one(session, (model_key, namespace_key), digest, &vector).await?;
    }
    Ok(())
}

async fn add_one<S: MemorySession>(
    session: &S,
    (model_key, namespace_key): (i64, i64),
    digest: &Digest,
    vector: &[f32],
) -> Result<(), Error> {
    let shelf = [model_key.into(), namespace_key.into()];
    session.execute(ADD_SHELF, &shelf).await?;
    let shelf_key = only(session.query_one(SHELF, &shelf).await?)?;
    if let Some(mut row) = session.query_one(ADD_PLACE, &[shelf_key.into(), digest.into()]).await? {
        session.index_vector(row.int()?, shelf_key, vector).await?;
        session.execute(FILL, &[shelf_key.into(), 1_i64.into()]).await?;
    }
    Ok(())
}

fn only(row: Option<Row>) -> Result<i64, Error> {
    row.ok_or_else(|| Error::unreadable("a row of the memory", "it is gone as soon as it was made"))?.int()
}

/// Takes a text off the shelves of a namespace unless another of its chunks has it too, and forgets its vectors when no
/// chunk anywhere has it.
pub(super) async fn remove<S: MemorySession>(session: &S, namespace_key: i64, digest: &Digest) -> Result<(), Error> {
    if session.query_one(IN_NAMESPACE, &[digest.into(), namespace_key.into()]).await?.is_some() {
        return Ok(());
    }
    for mut row in session.query(PLACES, &[digest.into(), namespace_key.into()]).await? {
        let (place_key, shelf_key, dimension) = (row.int()?, row.int()?, row.count()?);
        session.unindex_vector(usize::try_from(dimension).unwrap_or_default(), place_key).await?;
        session.execute(DROP_PLACE, &[place_key.into()]).await?;
        session.execute(FILL, &[shelf_key.into(), (-1_i64).into()]).await?;
    }
    if session.query_one(ANYWHERE, &[digest.into()]).await?.is_none() {
        session.execute(DROP_VECTORS, &[digest.into()]).await?;
    }
    Ok(())
}

/// Stores vectors of a model and puts them wherever their texts are; texts that are gone are left out.
pub(super) async fn store<S: MemorySession>(
    session: &S,
    model: &EmbeddingModel,
    vectors: &[(Digest, Vec<f32>)],
) -> Result<(), Error> {
    session.make_vector_index(model.dimension).await?;
    let named = [model.name.as_str().into(), model.dimension.into()];
    session.execute(ADD_MODEL, &named).await?;
    let model_key = only(session.query_one(MODEL, &named).await?)?;
    for (digest, vector) in vectors {
        let namespaces = session.query(NAMESPACES, &[digest.into()]).await?;
        let bytes = dialect::to_bytes(vector);
        let params = [model_key.into(), digest.into(), bytes.as_slice().into()];
        if namespaces.is_empty() || session.execute(ADD_VECTOR, &params).await? == 0 {
            continue;
        }
        for mut row in namespaces {
            add_one(session, (model_key, row.int()?), digest, vector).await?;
        }
    }
    Ok(())
}

/// Removes a model with its vectors; returns how many they were.
pub(super) async fn drop_model<S: MemorySession>(session: &S, model: &EmbeddingModel) -> Result<u64, Error> {
    let named = [model.name.as_str().into(), model.dimension.into()];
    let Some(mut row) = session.query_one(MODEL, &named).await? else { return Ok(0) };
    let model_key = row.int()?;
    for mut row in session.query(MODEL_PLACES, &[model_key.into()]).await? {
        session.unindex_vector(model.dimension, row.int()?).await?;
    }
    session.execute(DROP_MODEL_PLACES, &[model_key.into()]).await?;
    session.execute(DROP_SHELVES, &[model_key.into()]).await?;
    let vectors = session.execute(DROP_MODEL_VECTORS, &[model_key.into()]).await?;
    session.execute(DROP_MODEL, &[model_key.into()]).await?;
    Ok(vectors)
}
