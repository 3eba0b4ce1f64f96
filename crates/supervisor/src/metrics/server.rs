//! [`Metrics`]: the small server that tells metrics, on a loopback address only.

use std::{future::IntoFuture as _, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Source, exposition};
use crate::Error;

/// How long the last requests may take when the server ends.
const LAST_ANSWER: Duration = Duration::from_millis(500);
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running server.
#[derive(Debug)]
pub struct Metrics {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Metrics {
    /// Serves `GET /metrics` at a loopback address and port such as `127.0.0.1:9090`.
    ///
    /// # Errors
    /// When it is no loopback address, or it cannot be listened on.
    pub async fn start(address: &str, source: Source) -> Result<Self, Error> {
        let asked: SocketAddr = address.parse().map_err(|_| Error::MetricsAddress { address: address.to_owned() })?;
        if !asked.ip().is_loopback() {
            return Err(Error::MetricsAddress { address: address.to_owned() });
        }
        let failed = |source| Error::MetricsListen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new().route("/metrics", get(tell)).with_state(source).layer(middleware::from_fn(guard));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned()).into_future();
        #[expect(clippy::disallowed_methods, reason = "the handle is kept and awaited by `close`")]
        let task = tokio::spawn(served);
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it. A request that is being answered has [`LAST_ANSWER`] for that; one that does not come to its end is cut.
    pub async fn close(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_ANSWER, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn tell(State(source): State<Source>) -> Response {
    match source.tell().await {
        Some(snapshot) => ([(header::CONTENT_TYPE, FORMAT)], exposition(&snapshot)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the supervisor is ending\n").into_response(),
    }
}

/// Only reading, and only by somebody who means this machine: a page in a browser whose name was made to lead here sends
/// that name as `Host`.
async fn guard(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")], "only GET\n").into_response();
    }
    if !is_of_this_machine(request.headers()) {
        return (StatusCode::FORBIDDEN, "ask for localhost or a loopback address\n").into_response();
    }
    next.run(request).await
}

fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else { return false };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
