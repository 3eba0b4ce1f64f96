//! One try over HTTP: send the body, check the status and content type, read the events, keep the time limits.
//!
//! Leaves out what the bodies and events mean (the dialects) and when to try again (the route).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use masque_types::{
    BoxFuture,
    model::{Failure, FailureKind},
    secret::Secret,
};
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::{
    answer::{Answer, Screen},
    config::{ProviderConfig, Timeouts},
    error::Error,
    failure::{self, When, failure, protocol},
    names::ToolNames,
    sse,
    upstream::{Ask, Dialect, KeyHeader, Progress, Reader, Upstream},
};

/// The largest answer that is read, in bytes; also a guard against a server that never ends.
const LARGEST_ANSWER: usize = 64 << 20;
/// The largest error body that is read, in bytes.
const LARGEST_ERROR: usize = 64 << 10;
/// How long the end of a finished stream is waited for, so that its connection can be used again.
const LINGER: Duration = Duration::from_millis(20);

/// The connection pools, made when first needed: reading the system's certificates takes its time.
#[derive(Default)]
pub(crate) struct Clients {
    hosted: OnceLock<Result<Client, String>>,
    loopback: OnceLock<Result<Client, String>>,
}

impl Clients {
    /// The pool for a URL. Servers on this machine are reached without TLS and without a proxy.
    pub(crate) fn client(&self, url: &Url, connect: Duration) -> Result<&Client, Failure> {
        let client = if is_plain_loopback(url) {
            self.loopback.get_or_init(|| loopback_client(connect))
        } else {
            self.hosted.get_or_init(|| hosted_client(connect))
        };
        client.as_ref().map_err(|problem| {
            failure(FailureKind::Unavailable, format!("no HTTPS connections are possible here: {problem}"))
        })
    }
}

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections to a server that is no provider of chat models: an embeddings endpoint, the model hub. They believe the
/// system's certificates, follow no redirects, and go past proxies to servers on this machine.
///
/// # Errors
/// When no HTTPS connections are possible here.
pub fn client(url: &Url) -> Result<Client, Error> {
    let client = if is_plain_loopback(url) { loopback_client(CONNECT) } else { hosted_client(CONNECT) };
    client.map_err(Error::Connections)
}

fn is_plain_loopback(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    is_loopback && url.scheme() == "http"
}

fn hosted_client(connect: Duration) -> Result<Client, String> {
    use rustls_platform_verifier::BuilderVerifierExt as ConfigVerifier;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(ConfigVerifier::with_platform_verifier)
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    build_client(config, connect, |builder| builder)
}

fn loopback_client(connect: Duration) -> Result<Client, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    build_client(config, connect, reqwest::ClientBuilder::no_proxy)
}

fn build_client(
    mut config: rustls::ClientConfig,
    connect: Duration,
    adjust: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, String> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(connect)
        .tcp_nodelay(true)
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("masque/", env!("CARGO_PKG_VERSION")));
    adjust(builder).build().map_err(|error| error.without_url().to_string())
}

/// A provider that is reached over HTTP.
pub(crate) struct HttpUpstream<D> {
    dialect: D,
    base_url: Url,
    headers: HeaderMap,
    /// What no message may repeat: the key and the values of further headers.
    secrets: Vec<Secret>,
    timeouts: Timeouts,
    clients: Arc<Clients>,
}

impl<D: Dialect> HttpUpstream<D> {
    /// Checks a provider's address and headers.
    pub(crate) fn new(
        dialect: D,
        name: &str,
        config: &ProviderConfig,
        timeouts: Timeouts,
        clients: Arc<Clients>,
    ) -> Result<Self, Error> {
        let base_url = parse_base_url(name, &config.base_url)?;
        let mut headers = HeaderMap::new();
        for (header, value) in &config.headers {
            let (header_name, value) = header_pair(header, value.expose())
                .ok_or_else(|| Error::Header { provider: name.to_owned(), header: header.clone() })?;
            headers.insert(header_name, value);
        }
        if let Some(key) = &config.api_key {
            let (header, value) = match dialect.key_header() {
                KeyHeader::Bearer => ("authorization", format!("Bearer {}", key.expose())),
                KeyHeader::Named(header) => (header, key.expose().to_owned()),
            };
            let (header_name, value) = header_pair(header, &value)
                .ok_or_else(|| Error::Header { provider: name.to_owned(), header: header.to_owned() })?;
            headers.insert(header_name, value);
        }
        let secrets = config.api_key.iter().chain(config.headers.values()).cloned().collect();
        Ok(Self { dialect, base_url, headers, secrets, timeouts, clients })
    }

    async fn try_once(&self, ask: Ask<'_>, screen: &Screen<'_>) -> Result<Answer, Failure> {
        let names = ToolNames::of(ask.request);
        let response = self.send(ask, &names).await?;
        let response = accept(response, self.timeouts.idle).await?;
        let reader = self.read(response, screen).await?;
        reader.answer(ask, &names)
    }

    async fn send(&self, ask: Ask<'_>, names: &ToolNames) -> Result<Response, Failure> {
        let client = self.clients.client(&self.base_url, self.timeouts.connect)?;
        let body = serde_json::to_vec(&self.dialect.body(ask, names))
            .map_err(|error| failure(FailureKind::BadRequest, format!("the request is no JSON: {error}")))?;
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), self.dialect.path(ask)));
        url.set_query(self.dialect.query());
        let mut request = client
            .post(url)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("accept", "text/event-stream")
            .body(body);
        for (name, value) in self.dialect.headers(ask) {
            request = request.header(name, value);
        }
        let sent = timeout(self.timeouts.first_byte, request.send());
        sent.await
            .map_err(|_| too_slow("no answer", self.timeouts.first_byte))?
            .map_err(|error| failure::of_transport(error, When::Asking))
    }

    async fn read(&self, mut response: Response, screen: &Screen<'_>) -> Result<Box<dyn Reader>, Failure> {
        let mut reader = self.dialect.reader();
        let mut scanner = sse::Scanner::default();
        let mut size = 0;
        while reader.progress() != Progress::Ended {
            let Some(bytes) = self.next_bytes(&mut response, size == 0, reader.progress()).await? else { break };
            screen.begin();
            size += bytes.len();
            if size > LARGEST_ANSWER {
                return Err(protocol(format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20)));
            }
            scanner.push(&bytes);
            while let Some(event) = scanner.next_event().map_err(scan_failure)? {
                reader.event(&event, screen)?;
            }
        }
        if reader.progress() != Progress::Ended
            && let Some(event) = scanner.finish().map_err(scan_failure)?
        {
            reader.event(&event, screen)?;
        }
        match reader.progress() {
            Progress::Ended => _ = timeout(LINGER, response.chunk()).await,
            Progress::Complete => {}
            Progress::Partial if size == 0 => return Err(protocol("the answer is empty")),
            Progress::Partial => {
                return Err(protocol("the answer was cut off: the stream ended before its end marker"));
            }
        }
        Ok(reader)
    }

    /// The next piece; none at the end, or when a complete answer's stream breaks.
    async fn next_bytes(
        &self,
        response: &mut Response,
        is_first: bool,
        progress: Progress,
    ) -> Result<Option<bytes::Bytes>, Failure> {
        let limit = if is_first { self.timeouts.first_byte } else { self.timeouts.idle };
        match timeout(limit, response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) | Err(_) if progress == Progress::Complete => Ok(None),
            Ok(Err(error)) => Err(failure::of_transport(error, When::Reading)),
            Err(_) if is_first => Err(too_slow("no answer", limit)),
            Err(_) => Err(too_slow("nothing more came", limit)),
        }
    }
}

impl<D: Dialect> Upstream for HttpUpstream<D> {
    fn ask<'a>(&'a self, ask: Ask<'a>, screen: &'a Screen<'a>) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let result = timeout(self.timeouts.total, self.try_once(ask, screen))
                .await
                .unwrap_or_else(|_| Err(too_slow("the answer was not complete", self.timeouts.total)));
            result.map_err(|failed| {
                self.secrets.iter().fold(failed, |failed, secret| failure::without_secret(failed, secret.expose()))
            })
        })
    }

    fn may_recover(&self) -> bool {
        true
    }
}

/// Reads a provider's base URL; the message names the provider, never the URL, which may hold a password.
pub(crate) fn parse_base_url(provider: &str, text: &str) -> Result<Url, Error> {
    let wrong = |problem: &str| Error::BaseUrl { provider: provider.to_owned(), problem: problem.to_owned() };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its scheme is neither http nor https"));
    }
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must have a host, and neither `?` nor `#`"));
    }
    Ok(url)
}

fn header_pair(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

/// Lets only a stream of events through.
async fn accept(response: Response, idle: Duration) -> Result<Response, Failure> {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    if status.is_success() && content_type.starts_with("text/event-stream") {
        return Ok(response);
    }
    let content_type = content_type.to_owned();
    let headers = response.headers().clone();
    let body = error_body(response, idle).await;
    if !status.is_success() {
        return Err(failure::of_status(status, &headers, &body));
    }
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(failure::of_error_object(&value));
    }
    Err(protocol(format!("expected a stream of events, got the content type {content_type}")))
}

async fn error_body(mut response: Response, idle: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Ok(Some(bytes))) = timeout(idle, response.chunk()).await {
        body.extend_from_slice(&bytes);
        if body.len() > LARGEST_ERROR {
            break;
        }
    }
    body
}

fn too_slow(what: &str, limit: Duration) -> Failure {
    failure(FailureKind::Timeout, format!("{what} within {} s", limit.as_secs_f64()))
}

fn scan_failure(error: sse::ScanError) -> Failure {
    protocol(error.to_string())
}
