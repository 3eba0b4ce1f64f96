//! Access tokens: whose they are and how long they hold. The token itself is never stored, only its digest.

use masque_types::{digest::Digest, id::TokenId, time::Timestamp};

use crate::{
    Error, Store,
    audit::{self, StoredAudit},
    record::NewAudit,
    session::Session,
    value::{Row, Value, without_nul},
    write::{Outcome, Write},
};

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// Its id.
    pub id: TokenId,
    /// The principal that it stands for.
    pub name: String,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What happens to a token.
#[derive(Debug)]
pub(crate) enum TokenWrite {
    Create { token: StoredToken, audit: StoredAudit },
    Revoke { id: TokenId, at: Timestamp, audit: StoredAudit },
    Used { id: TokenId, at: Timestamp },
}

impl Store {
    /// Keeps a new token. False when another one in use has its name; nothing is stored then.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn create_token(&self, token: StoredToken, audit: &NewAudit) -> Result<bool, Error> {
        self.write_token(TokenWrite::Create { token, audit: StoredAudit::prepare(audit) }).await
    }

    /// Revokes a token. False when it is not in use.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn revoke_token(&self, id: TokenId, at: Timestamp, audit: &NewAudit) -> Result<bool, Error> {
        self.write_token(TokenWrite::Revoke { id, at, audit: StoredAudit::prepare(audit) }).await
    }

    /// Notes when a token was used.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn token_used(&self, id: TokenId, at: Timestamp) -> Result<(), Error> {
        self.write_token(TokenWrite::Used { id, at }).await.map(|_changed| ())
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        self.reader().query(LIST, Vec::new()).await?.into_iter().map(read).collect()
    }

    /// The token with that digest, in use or not.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, Error> {
        let params = vec![Value::Bytes(digest.as_bytes().to_vec().into())];
        self.reader().query(BY_DIGEST, params).await?.into_iter().next().map(read).transpose()
    }

    async fn write_token(&self, write: TokenWrite) -> Result<bool, Error> {
        match self.write(Write::Token(Box::new(write))).await? {
            Outcome::Changed(changed) => Ok(changed),
            _ => Err(crate::store::mixed_up()),
        }
    }
}

macro_rules! select_tokens {
    ($rest:literal) => {
        concat!("SELECT id, name, digest, created_at, created_by, expires_at, used_at, revoked_at FROM tokens ", $rest)
    };
}

const LIST: &str = select_tokens!("ORDER BY id DESC");
const BY_DIGEST: &str = select_tokens!("WHERE digest = $1");
const CREATE: &str = "INSERT INTO tokens (id, name, digest, created_at, created_by, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const REVOKE: &str = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const USED: &str = "UPDATE tokens SET used_at = $2 WHERE id = $1";

pub(crate) async fn apply<S: Session>(session: &S, write: &TokenWrite) -> Result<bool, Error> {
    let (changed, entry) = match write {
        TokenWrite::Create { token, audit } => (create(session, token).await?, Some(audit)),
        TokenWrite::Revoke { id, at, audit } => {
            (session.execute(REVOKE, &[id.to_string().into(), (*at).into()]).await?, Some(audit))
        }
        TokenWrite::Used { id, at } => (session.execute(USED, &[id.to_string().into(), (*at).into()]).await?, None),
    };
    if let Some(entry) = entry.filter(|_| changed == 1) {
        audit::append(session, std::slice::from_ref(entry)).await?;
    }
    Ok(changed == 1)
}

async fn create<S: Session>(session: &S, token: &StoredToken) -> Result<u64, Error> {
    let params = [
        token.id.to_string().into(),
        Value::Text(without_nul(&token.name)),
        (&token.digest).into(),
        token.created_at.into(),
        Value::Text(without_nul(&token.created_by)),
        token.expires_at.into(),
    ];
    session.execute(CREATE, &params).await
}

fn read(mut row: Row) -> Result<StoredToken, Error> {
    Ok(StoredToken {
        id: row.parsed()?,
        name: row.text()?,
        digest: row.digest()?,
        created_at: row.time()?,
        created_by: row.text()?,
        expires_at: row.optional_int()?.map(Timestamp),
        used_at: row.optional_int()?.map(Timestamp),
        revoked_at: row.optional_int()?.map(Timestamp),
    })
}
