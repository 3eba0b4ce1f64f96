//! A server on a local port that answers with what a test prepared, and keeps what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use futures::stream;
use reqwest::Client;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

/// What the server does with one request.
pub(crate) enum Reply {
    /// Answers with a status, headers, and a body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Answers with the beginning of a body whose length it told, and breaks the connection.
    Cut(u16, Vec<(&'static str, String)>, Vec<u8>),
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

type Answering = Box<dyn FnMut(&Asked) -> Reply + Send>;

#[derive(Clone)]
struct Shared {
    answering: Arc<Mutex<Answering>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    pub(crate) url: Url,
    shared: Shared,
    _task: JoinSet<()>,
}

impl Server {
    /// A server that answers by a function.
    pub(crate) async fn start(answering: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let shared = Shared { answering: Arc::new(Mutex::new(Box::new(answering))), asked: Arc::default() };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { _ = axum::serve(listener, router).await });
        Self { url, shared, _task: task }
    }

    /// A server that gives these answers one after the other.
    pub(crate) async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        Self::start(move |_| replies.pop_front().expect("a reply is left")).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let asked = Asked { path: uri.path().to_owned(), headers, body: body.to_vec() };
    shared.asked.lock().unwrap().push(asked.clone());
    let reply = (shared.answering.lock().unwrap())(&asked);
    let (status, headers, body) = match reply {
        Reply::Whole(status, headers, body) => (status, headers, Body::from(body)),
        Reply::Cut(status, headers, body) => {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            (status, headers, Body::from_stream(stream::iter([Ok(Bytes::from(body)), Err(broken)])))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Connections as the application makes them.
pub(crate) fn client() -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let builder = Client::builder().tls_backend_preconfigured(config).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
