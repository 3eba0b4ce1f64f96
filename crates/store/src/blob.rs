//! Large bodies, stored once by their SHA-256.

use masque_types::digest::Digest;

use crate::{Error, session::Session, store::Reader};

const INSERT: &str = "INSERT INTO blobs (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
const NAMED: &str = "INSERT INTO run_blobs (run_key, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const READ: &str = "SELECT content FROM blobs WHERE digest = $1";

/// Stores a body unless it is there.
pub(crate) async fn insert<S: Session>(session: &S, digest: &Digest, content: &[u8]) -> Result<(), Error> {
    session.execute(INSERT, &[digest.into(), content.into()]).await.map(|_changed| ())
}

/// Notes that a run's events name a body: it stays as long as the run.
pub(crate) async fn named<S: Session>(session: &S, run_key: i64, digest: &Digest) -> Result<(), Error> {
    session.execute(NAMED, &[run_key.into(), digest.into()]).await.map(|_changed| ())
}

/// Reads a body.
pub(crate) async fn read(reader: &Reader, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let params = vec![crate::value::Value::Bytes(digest.as_bytes().to_vec().into())];
    let row = reader.query(READ, params).await?.into_iter().next();
    row.map(|mut row| row.bytes()).transpose()
}
