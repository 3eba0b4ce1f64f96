//! The server behind every fake provider: records, checks, answers, breaks.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    io,
    marker::PhantomData,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};

use super::{Fault, Turn, Wire};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The JSON body; null when there was none.
    pub body: Value,
}

/// A fake provider; it stops when dropped.
pub struct FakeProvider<W> {
    address: SocketAddr,
    state: Arc<Shared>,
    _server: JoinSet<()>,
    _wire: PhantomData<W>,
}

struct Shared {
    turns: Mutex<VecDeque<Turn>>,
    repeats_last: bool,
    requests: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
    left: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Wire> FakeProvider<W> {
    /// Starts a server that answers with these turns, one per request; a further request is a violation.
    ///
    /// # Panics
    /// When no local port can be opened.
    pub async fn start(turns: Vec<Turn>) -> Self {
        Self::serve(turns.into(), false).await
    }

    /// Starts a server that gives the same answer to every request, for measurements.
    ///
    /// # Panics
    /// When no local port can be opened.
    pub async fn start_repeating(turn: Turn) -> Self {
        Self::serve(VecDeque::from([turn]), true).await
    }

    #[expect(clippy::expect_used, reason = "test support: without a port no test can go on")]
    async fn serve(turns: VecDeque<Turn>, repeats_last: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free local port");
        let address = listener.local_addr().expect("the port's address");
        // Nagle's algorithm would hold back each small event for 40 ms.
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        let state = Arc::new(Shared {
            turns: Mutex::new(turns),
            repeats_last,
            requests: Mutex::default(),
            violations: Mutex::default(),
            left: Notify::new(),
        });
        let router = Router::new().fallback(handle::<W>).with_state(state.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { _ = axum::serve(listener, router).await });
        Self { address, state, _server: server, _wire: PhantomData }
    }

    /// The base URL for a client's configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, W::BASE_PATH)
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.state.requests).clone()
    }

    /// All broken rules so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.state.violations).clone()
    }

    /// Waits until a client has left in the middle of an answer.
    pub async fn left(&self) {
        self.state.left.notified().await;
    }
}

async fn handle<W: Wire>(State(state): State<Arc<Shared>>, request: Request) -> Response {
    if request.method() == axum::http::Method::GET {
        return axum::Json(json!({ "object": "list", "data": [{ "id": "fake-model" }] })).into_response();
    }
    let recorded = record(request).await;
    let violations = W::violations(&recorded);
    if !state.repeats_last {
        lock(&state.requests).push(recorded.clone());
    }
    if !violations.is_empty() {
        let reason = violations.join("; ");
        lock(&state.violations).extend(violations);
        return json_response(400, &W::error(400, &reason));
    }
    let turn = next_turn(&state);
    let Some(turn) = turn else {
        lock(&state.violations).push("a request came after the last turn".to_owned());
        return json_response(500, &W::error(500, "no turn is left"));
    };
    answer::<W>(&turn, &recorded, &state)
}

fn next_turn(state: &Shared) -> Option<Turn> {
    let mut turns = lock(&state.turns);
    if state.repeats_last { turns.front().cloned() } else { turns.pop_front() }
}

async fn record(request: Request) -> Recorded {
    let path = request.uri().to_string();
    let headers = header_map(request.headers());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
    Recorded { path, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    let pair = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}

fn answer<W: Wire>(turn: &Turn, request: &Recorded, state: &Arc<Shared>) -> Response {
    match turn.fault {
        Some(Fault::RateLimit(wait)) => {
            let mut response = json_response(429, &W::error(429, "too many requests"));
            if let Some(seconds) = wait {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Some(Fault::Status(code)) => json_response(code, &W::error(code, "injected")),
        Some(Fault::ContextLength) => {
            let (code, body) = W::context_too_long();
            json_response(code, &body)
        }
        Some(Fault::WrongContentType) => {
            (StatusCode::OK, [("content-type", "text/html")], "<html>Sign in to the network</html>").into_response()
        }
        Some(Fault::EmptyBody) => sse(Body::empty()),
        _ if !W::wants_stream(request) => json_response(200, &W::whole(turn, request)),
        _ => sse(stream_body::<W>(turn, request, state)),
    }
}

fn json_response(code: u16, body: &Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, axum::Json(body.clone())).into_response()
}

fn sse(body: Body) -> Response {
    (StatusCode::OK, [("content-type", "text/event-stream; charset=utf-8")], body).into_response()
}

/// What a stream does next.
enum Piece {
    Send(Bytes),
    Break,
    Hang,
}

fn stream_body<W: Wire>(turn: &Turn, request: &Recorded, state: &Arc<Shared>) -> Body {
    let frames = W::frames(turn, request);
    let middle = frames.len().div_ceil(2).max(1);
    let head = || frames.iter().take(middle).cloned().collect::<String>();
    let (text, end) = match turn.fault {
        Some(Fault::Cut) => (head(), Some(Piece::Break)),
        Some(Fault::Stall) => (head(), Some(Piece::Hang)),
        Some(Fault::EndEarly) => (head(), None),
        Some(Fault::MalformedJson) => (head() + "data: {\"broken\": \n\n", None),
        Some(Fault::ErrorEvent) => (head() + &W::error_frame("overloaded"), None),
        _ => (frames.concat(), None),
    };
    let mut pieces: Vec<Piece> = split(&text, turn).into_iter().map(Piece::Send).collect();
    pieces.extend(end);
    let watch = Watch { state: state.clone(), is_finished: false };
    Body::from_stream(paced(pieces, turn.pause, watch))
}

/// The frames one by one, or in chunks of a fixed number of bytes.
fn split(text: &str, turn: &Turn) -> Vec<Bytes> {
    match turn.chunk_bytes {
        Some(size) => text.as_bytes().chunks(size.max(1)).map(Bytes::copy_from_slice).collect(),
        None => text.split_inclusive("\n\n").map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect(),
    }
}

fn paced(
    pieces: Vec<Piece>,
    pause: Option<Duration>,
    watch: Watch,
) -> impl futures::Stream<Item = Result<Bytes, io::Error>> {
    stream::unfold((pieces.into_iter(), watch), move |(mut pieces, watch)| async move {
        let Some(piece) = pieces.next() else {
            watch.finish();
            return None;
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let item = match piece {
            Piece::Send(bytes) => Ok(bytes),
            Piece::Break => {
                // What was sent must leave before the connection breaks.
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
            Piece::Hang => {
                let never: Result<Infallible, io::Error> = std::future::pending().await;
                never.map(|never| match never {})
            }
        };
        Some((item, (pieces, watch)))
    })
    .boxed()
}

/// Tells when a body is dropped before its end: the client has left.
struct Watch {
    state: Arc<Shared>,
    is_finished: bool,
}

impl Watch {
    fn finish(mut self) {
        self.is_finished = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_finished {
            self.state.left.notify_one();
        }
    }
}
