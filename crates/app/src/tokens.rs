//! Use cases over access tokens: making, listing and revoking them, and telling whose one is.
//!
//! A token has 256 random bits and is shown once; the store keeps its SHA-256 digest only.

use std::time::Duration;

use base64::Engine as _;
use masque_store::StoredToken;
use masque_types::{
    actor::{Actor, Caller, Reach},
    digest::Digest,
    id::TokenId,
    secret::Secret,
    time::Timestamp,
};
use rand::RngCore as _;
use serde::Serialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::{App, Error, audit, clock};

/// What a token begins with, so that people and scanners recognise one.
pub const PREFIX: &str = "mqt_";

/// Uses are noted no more often than this.
const NOTE_EVERY: Duration = Duration::from_secs(60);
const LONGEST_NAME: usize = 64;

/// A token as listings show it: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// The principal that it stands for.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl From<StoredToken> for TokenView {
    fn from(token: StoredToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            created_at: token.created_at,
            created_by: token.created_by,
            expires_at: token.expires_at,
            used_at: token.used_at,
            revoked_at: token.revoked_at,
        }
    }
}

impl App {
    /// Makes a token for a principal. The secret is returned once and cannot be shown again.
    ///
    /// # Errors
    /// When the name is not usable, the time is over already, or a token in use has the name.
    pub async fn create_token(
        &self,
        actor: &Actor,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(TokenView, Secret), Error> {
        check_name(name)?;
        let now = self.now();
        if expires_at.is_some_and(|expires| expires <= now) {
            return Err(Error::usage("a token that has expired already is of no use"));
        }
        let secret = new_secret();
        let token = StoredToken {
            id: clock::new_token_id(),
            name: name.to_owned(),
            digest: Digest::of(secret.expose()),
            created_at: now,
            created_by: actor.to_string(),
            expires_at,
            used_at: None,
            revoked_at: None,
        };
        let detail = json!({ "token": token.id, "expires_at": expires_at });
        let entry = audit::entry(now, actor, "token.create", None, name, detail);
        if !self.store.create_token(token.clone(), &entry).await? {
            return Err(Error::refused(format!("a token named `{name}` is in use"))
                .hint(format!("take another name, or revoke it first: masque token revoke {name}")));
        }
        Ok((token.into(), secret))
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        Ok(self.store.tokens().await?.into_iter().map(TokenView::from).collect())
    }

    /// Revokes a token by its name, its id or the beginning of it. It stops working at once.
    ///
    /// # Errors
    /// When there is none in use, or more than one.
    pub async fn revoke_token(&self, actor: &Actor, token: &str) -> Result<TokenView, Error> {
        let in_use = self.store.tokens().await?.into_iter().filter(|known| known.revoked_at.is_none());
        let is_meant = |known: &StoredToken| {
            let id = known.id.to_string();
            known.name == token || id.starts_with(token) || id.trim_start_matches(TokenId::PREFIX).starts_with(token)
        };
        let meant: Vec<StoredToken> = in_use.filter(is_meant).collect();
        let by_name = meant.iter().find(|known| known.name == token);
        let found = match (by_name, meant.as_slice()) {
            (Some(found), _) | (None, [found]) => found.clone(),
            (None, []) => {
                return Err(
                    Error::usage(format!("no token `{token}` is in use")).hint("`masque token list` shows all tokens")
                );
            }
            (None, _) => return Err(Error::usage(format!("`{token}` is the beginning of several token ids"))),
        };
        let now = self.now();
        let detail = json!({ "token": found.id });
        let entry = audit::entry(now, actor, "token.revoke", None, &found.name, detail);
        self.store.revoke_token(found.id, now, &entry).await?;
        Ok(TokenView { revoked_at: Some(now), ..found.into() })
    }

    /// Whose token it is: `None` when it is unknown, expired or revoked. The caller is a remote one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, Error> {
        if !token.starts_with(PREFIX) {
            return Ok(None);
        }
        let digest = Digest::of(token);
        let Some(found) = self.store.token(&digest).await? else { return Ok(None) };
        let now = self.now();
        let same = bool::from(found.digest.as_bytes().ct_eq(digest.as_bytes()));
        let holds = found.revoked_at.is_none() && found.expires_at.is_none_or(|expires| expires > now);
        if !same || !holds {
            return Ok(None);
        }
        if found.used_at.is_none_or(|used| now.since(used) >= NOTE_EVERY) {
            self.store.token_used(found.id, now).await?;
        }
        Ok(Some(Caller { actor: Actor::User(found.name), reach: Reach::Remote }))
    }
}

fn new_secret() -> Secret {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    Secret::new(format!("{PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{name}` is no name for a token: 1 to {LONGEST_NAME} of a-z, A-Z, 0-9, `-`, `_`, `.`, `@`"
    )))
}
