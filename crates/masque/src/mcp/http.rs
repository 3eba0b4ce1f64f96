//! The server over streamable HTTP: who may connect, from where, and to which persona.
//!
//! Owns addresses, tokens and the end of connections. Leaves out encryption: a server that others reach stands behind
//! a proxy that has it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
    serve::ListenerExt as _,
};
use masque_app::{App, Error};
use masque_types::actor::Caller;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::server::{Entry, Life, Server, Shared};

/// The largest request in bytes.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// How long answers in flight may take once the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last bytes of an answer may take to leave.
const FLUSH: Duration = Duration::from_millis(200);

/// Whose word is taken for who asks.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// Each request brings an access token.
    Tokens,
    /// Nothing is asked: everybody who can connect is this caller.
    None(Caller),
}

/// Where and for whom to serve.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// The address to bind; port 0 takes a free one.
    pub(crate) address: SocketAddr,
    /// Names by which clients may call this server, beside those of loopback.
    pub(crate) hosts: Vec<String>,
    /// Origins of web pages that may call this server.
    pub(crate) origins: Vec<String>,
    /// Whose word is taken for who asks.
    pub(crate) credentials: Credentials,
}

type Service = StreamableHttpService<Server, LocalSessionManager>;

/// What makes the shared part of an address, of a persona or the whole; `None` when there is no such persona.
pub(crate) type Surfaces = Box<dyn Fn(Option<&str>) -> Result<Option<Arc<Shared>>, Error> + Send + Sync>;

/// What all requests share.
struct Site {
    app: Arc<App>,
    credentials: Credentials,
    surfaces: Surfaces,
    config: StreamableHttpServerConfig,
    services: Mutex<BTreeMap<Option<String>, Service>>,
}

/// A bound socket, so that the address is known before anybody is served.
pub(crate) struct Bound {
    listener: TcpListener,
    /// Where the server can be reached.
    pub(crate) address: SocketAddr,
}

/// Binds the address.
///
/// # Errors
/// When the address is taken or may not be bound.
pub(crate) async fn bind(address: SocketAddr) -> Result<Bound, Error> {
    let failed = |error| Error::environment(format!("{address} cannot be bound: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address })
}

/// Serves until the server's life is over. Answers in flight are written first, as far as that takes a few seconds.
///
/// # Errors
/// When connections can no longer be accepted.
pub(crate) async fn serve(
    bound: Bound,
    listen: Listen,
    app: Arc<App>,
    surfaces: Surfaces,
    life: &Life,
) -> Result<(), Error> {
    let cut = CancellationToken::new();
    let site = Arc::new(Site {
        app,
        credentials: listen.credentials,
        surfaces,
        config: config(&listen.hosts, &listen.origins, &cut),
        services: Mutex::default(),
    });
    let router = Router::new()
        .route("/mcp", any(whole))
        .route("/mcp/p/{persona}", any(of_persona))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), authenticated))
        .with_state(Arc::clone(&site));
    // Small answers must not wait for acknowledgements of earlier ones.
    let listener = bound.listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let accepting = life.stop.clone();
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { accepting.cancelled().await }).into_future();
    let ending = async {
        life.stop.cancelled().await;
        life.running.close();
        let _ = tokio::time::timeout(GRACE, life.running.wait()).await;
        tokio::time::sleep(FLUSH).await;
        // Streams that only wait for news would stay open for ever.
        cut.cancel();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| Error::environment(format!("the server ended: {error}"))),
        () = ending => Ok(()),
    }
}

fn config(hosts: &[String], origins: &[String], cut: &CancellationToken) -> StreamableHttpServerConfig {
    let mut config = StreamableHttpServerConfig::default()
        .with_cancellation_token(cut.clone())
        .with_max_request_body_bytes(MAX_REQUEST_BYTES)
        .with_allowed_origins(origins)
        .enforce_origin_validation();
    config.allowed_hosts.extend_from_slice(hosts);
    config
}

impl Site {
    /// The service of one address, made when it is first asked for.
    fn service(&self, persona: Option<&str>) -> Result<Option<Service>, Error> {
        let key = persona.map(str::to_owned);
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get(&key) {
            return Ok(Some(service.clone()));
        }
        let Some(shared) = (self.surfaces)(persona)? else { return Ok(None) };
        let make = move || Ok(Server::new(Arc::clone(&shared), Entry::Http));
        let service = StreamableHttpService::new(make, Arc::new(LocalSessionManager::default()), self.config.clone());
        services.insert(key, service.clone());
        Ok(Some(service))
    }

    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, Error> {
        match (&self.credentials, token) {
            (Credentials::None(caller), _) => Ok(Some(caller.clone())),
            (Credentials::Tokens, Some(token)) => self.app.authenticate(token).await,
            (Credentials::Tokens, None) => Ok(None),
        }
    }
}

/// The token of a request.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Lets through who has a token, and says who that is.
async fn authenticated(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let token = bearer(&request).map(str::to_owned);
    match site.caller(token.as_deref()).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"masque\"")];
            let text = "Unauthorized: send `Authorization: Bearer <token>`; `masque token create` makes one\n";
            (StatusCode::UNAUTHORIZED, challenge, text).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn whole(State(site): State<Arc<Site>>, request: Request) -> Response {
    answered(&site, None, request).await
}

async fn of_persona(State(site): State<Arc<Site>>, Path(persona): Path<String>, request: Request) -> Response {
    answered(&site, Some(&persona), request).await
}

async fn answered(site: &Site, persona: Option<&str>, request: Request) -> Response {
    match site.service(persona) {
        Ok(Some(service)) => service.handle(request).await.map(Body::new),
        Ok(None) => (StatusCode::NOT_FOUND, "Not Found: no persona of that name can be called here\n").into_response(),
        Err(error) => failed(&error),
    }
}

/// Details go to the log of the server, not to whoever asked.
fn failed(error: &Error) -> Response {
    tracing::error!(%error, "a request could not be served");
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error: the server's log says why\n").into_response()
}
