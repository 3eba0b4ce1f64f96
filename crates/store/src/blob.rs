//! Large bodies, stored once by their SHA-256.

use masque_types::digest::Digest;

use crate::{Error, session::Session, store::Reader};

const INSERT: &str = "INSERT INTO blobs (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
const READ: &str = "SELECT content FROM blobs WHERE digest = $1";

/// Stores a body unless it is there.
pub(crate) async fn insert<S: Session>(session: &S, digest: &Digest, content: &[u8]) -> Result<(), Error> {
    session.execute(INSERT, &[digest.into(), content.into()]).await.map(|_changed| ())
}

/// Reads a body.
pub(crate) async fn read(reader: &Reader, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let params = vec![crate::value::Value::Bytes(digest.as_bytes().to_vec().into())];
    let row = reader.query(READ, params).await?.into_iter().next();
    row.map(|mut row| row.bytes()).transpose()
}
