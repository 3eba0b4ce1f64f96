//! Logging in to MCP servers over HTTP that ask for it, with OAuth 2.1 as the protocol's authorization chapter says.
//!
//! Owns the way up to the address that a person opens and on from the address that they come back to, and tokens in
//! requests, which it renews. Leaves out browsers, listening for the return, and where logins are kept.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use masque_types::secret::Secret;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession, CredentialStore,
    StoredCredentials,
};

/// What servers' operators and people see on the page that asks for consent.
const CLIENT_NAME: &str = "Masque";

/// Where logins are kept, by the address of their server. A login is secret.
pub trait Logins: Send + Sync + fmt::Debug {
    /// The login for a server, if there is one.
    ///
    /// # Errors
    /// When it cannot be read; in words for people.
    fn load(&self, server: &str) -> Result<Option<Secret>, String>;

    /// Keeps a login.
    ///
    /// # Errors
    /// When it cannot be written; in words for people.
    fn save(&self, server: &str, login: &Secret) -> Result<(), String>;

    /// Forgets a login.
    ///
    /// # Errors
    /// When it cannot be removed; in words for people.
    fn forget(&self, server: &str) -> Result<(), String>;
}

/// A login that is wanted.
#[derive(Debug, Clone, Default)]
pub struct LoginRequest {
    /// The server's address, as persona files write it.
    pub server: String,
    /// Where the person's browser comes back to.
    pub redirect: String,
    /// The client's id and secret, where the server's operator gave them out; otherwise Masque registers itself.
    pub client: Option<(String, Option<Secret>)>,
    /// The address of a document about this client, for servers that know clients by such documents.
    pub client_document: Option<String>,
    /// The rights to ask for; empty means those that the server names.
    pub scopes: Vec<String>,
    /// The `WWW-Authenticate` header with which the server refused a request.
    pub challenge: Option<String>,
}

/// A login on its way: a person has to consent.
pub struct PendingLogin {
    session: AuthorizationSession,
}

impl PendingLogin {
    /// Finds out who authorises for a server, and makes Masque known there.
    ///
    /// # Errors
    /// When the server names nobody, or whom it names refuses; in words for people.
    pub async fn begin(request: LoginRequest, logins: Arc<dyn Logins>) -> Result<Self, String> {
        crate::host::fetch::install_cryptography();
        let mut manager = manager(&request.server, logins).await?;
        let challenge = request.challenge.as_deref();
        let resolved = manager.resolve_metadata_from_challenge(challenge).await.map_err(failed(&request.server))?;
        manager.set_metadata(resolved.metadata);
        let server = request.server.clone();
        match AuthorizationSession::new(manager, wanted(request)).await {
            Ok(session) => Ok(Self { session }),
            Err((_, error)) => Err(failed(&server)(error)),
        }
    }

    /// The address that the person opens.
    #[must_use]
    pub fn address(&self) -> &str {
        self.session.get_authorization_url()
    }

    /// Goes on from the address that the browser came back to; the login is kept.
    ///
    /// # Errors
    /// When the person refused, the address is not an answer to this login, or no token is given; in words for people.
    pub async fn finish(self, returned: &str) -> Result<(), String> {
        let done = self.session.handle_callback_url(returned).await;
        done.map(drop).map_err(|error| format!("the login did not end well: {error}"))
    }
}

fn wanted(request: LoginRequest) -> AuthorizationRequest {
    let mut wanted = AuthorizationRequest::new(request.redirect).with_client_name(CLIENT_NAME);
    if let Some((id, secret)) = request.client {
        wanted = wanted.with_preregistered_client(id);
        if let Some(secret) = secret {
            wanted = wanted.with_client_secret(secret.expose());
        }
    }
    if let Some(document) = request.client_document {
        wanted = wanted.with_client_metadata_url(document);
    }
    if !request.scopes.is_empty() {
        wanted = wanted.with_scopes(request.scopes);
    }
    wanted
}

/// An HTTP client that sends the token of the login for this server, and renews it. Without a login it sends none.
///
/// # Errors
/// When the login is damaged or cannot be read.
pub(super) async fn authorised(
    http: reqwest::Client,
    server: &str,
    logins: Arc<dyn Logins>,
) -> Result<AuthClient<reqwest::Client>, String> {
    let has_login = logins.load(server)?.is_some();
    let mut manager = manager(server, logins).await?;
    if has_login {
        manager.initialize_from_store().await.map_err(failed(server))?;
    }
    Ok(AuthClient::new(http, manager))
}

async fn manager(server: &str, logins: Arc<dyn Logins>) -> Result<AuthorizationManager, String> {
    let mut manager = AuthorizationManager::new(server).await.map_err(failed(server))?;
    manager.set_credential_store(Kept { server: server.to_owned(), logins });
    Ok(manager)
}

fn failed(server: &str) -> impl Fn(AuthError) -> String {
    let server = server.to_owned();
    move |error| format!("logging in to {server}: {error}")
}

/// The login of one server, as the protocol's library keeps it.
struct Kept {
    server: String,
    logins: Arc<dyn Logins>,
}

#[async_trait]
impl CredentialStore for Kept {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let kept = self.logins.load(&self.server).map_err(AuthError::CredentialStoreError)?;
        let read = kept.map(|login| serde_json::from_str(login.expose())).transpose();
        read.map_err(|error| AuthError::CredentialStoreError(format!("the kept login is damaged: {error}")))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let text = serde_json::to_string(&credentials);
        let text = text.map_err(|error| AuthError::CredentialStoreError(error.to_string()))?;
        self.logins.save(&self.server, &Secret::new(text)).map_err(AuthError::CredentialStoreError)
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.logins.forget(&self.server).map_err(AuthError::CredentialStoreError)
    }
}
