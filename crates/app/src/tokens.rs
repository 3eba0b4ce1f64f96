//! Use cases over access tokens: making, listing and revoking them, and telling whose one is.

use masque_types::{
    actor::{Actor, Caller},
    id::TokenId,
    secret::Secret,
    time::Timestamp,
};
use serde::Serialize;

use crate::{App, Error};

/// What a token begins with, so that people and scanners recognise one.
pub const PREFIX: &str = "mqt_";

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

impl App {
    /// Makes a token for a principal. The secret is returned once and cannot be shown again.
    ///
    /// # Errors
    /// When the name is not usable, or a token in use has it.
    pub async fn create_token(
        &self,
        actor: &Actor,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(TokenView, Secret), Error> {
        let _ = (actor, name, expires_at);
        Err(Error::environment("tokens cannot be made yet"))
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        Err(Error::environment("tokens cannot be listed yet"))
    }

    /// Revokes a token by its name, its id or the beginning of it. It stops working at once.
    ///
    /// # Errors
    /// When there is none in use.
    pub async fn revoke_token(&self, actor: &Actor, token: &str) -> Result<TokenView, Error> {
        let _ = (actor, token);
        Err(Error::environment("tokens cannot be revoked yet"))
    }

    /// Whose token it is: `None` when it is unknown, expired or revoked. The caller is a remote one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, Error> {
        let _ = token;
        Err(Error::environment("tokens cannot be checked yet"))
    }
}
