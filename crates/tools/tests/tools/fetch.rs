//! The page fetcher against a server on loopback that it may reach, and everything that it must not.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, http::header, response::Redirect, routing::get};
use masque_egress::Resolver;
use masque_tools::host::{HostTool as _, fetch};
use masque_types::BoxFuture;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{invocation, text};

/// Names of the tests: each is resolved to its next answer.
#[derive(Default)]
struct Names {
    answers: BTreeMap<&'static str, Vec<Vec<&'static str>>>,
    asked: AtomicUsize,
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let turn = self.asked.fetch_add(1, Ordering::SeqCst);
            let answers = self.answers.get(name).ok_or_else(|| io::Error::other("no such name"))?;
            let answer = &answers[turn.min(answers.len() - 1)];
            Ok(answer.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect())
        })
    }
}

struct Site {
    address: SocketAddr,
    names: Arc<Names>,
    tool: fetch::WebFetch,
    _server: JoinSet<()>,
}

impl Site {
    async fn new(names: Names) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = |location: String| get(move || async move { Redirect::temporary(&location) });
        let app = Router::new()
            .route("/", get(|| async { ([(header::CONTENT_TYPE, "text/html")], "<h1>Hello</h1><p>you") }))
            .route("/json", get(|| async { axum::Json(json!({"a": 1})) }))
            .route("/pdf", get(|| async { ([(header::CONTENT_TYPE, "application/pdf")], vec![0_u8; 10]) }))
            .route("/big", get(|| async { "x".repeat(50_000) }))
            .route("/gone", get(|| async { (StatusCode::NOT_FOUND, "nothing here") }))
            .route("/slow", get(std::future::pending::<()>))
            .route("/there", to("/".into()))
            .route("/loop", to("/loop".into()))
            .route("/metadata", to("http://169.254.169.254/latest/meta-data".into()))
            .route("/elsewhere", to(format!("http://127.0.0.2:{}/", address.port())))
            .route("/name", to(format!("http://inside.example:{}/", address.port())))
            .route("/file", to("file:///etc/passwd".into()))
            .route("/userinfo", to(format!("http://a@{address}/")));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let limits = fetch::FetchLimits {
            bytes: 10_000,
            redirects: 3,
            timeout: Duration::from_secs(5),
            allowed: vec![address],
            hosts: None,
        };
        let names = Arc::new(names);
        let tool = fetch::WebFetch::with_resolver(limits, Arc::clone(&names) as Arc<dyn Resolver>);
        Self { address, names, tool, _server: server }
    }

    async fn get(&self, url: &str) -> (String, bool) {
        let output = self.tool.call(&invocation("web.fetch", json!({"url": url}))).await;
        (text(&output), output.is_error)
    }

    async fn page(&self, path: &str) -> (String, bool) {
        self.get(&format!("http://{}{path}", self.address)).await
    }
}

#[tokio::test]
async fn pages_become_markdown_and_other_content_is_named() {
    let site = Site::new(Names::default()).await;
    let address = site.address;
    assert_eq!(site.page("/").await, (format!("http://{address}/ (200, text/html)\n\n# Hello\n\nyou"), false));
    assert_eq!(site.page("/there").await.0, site.page("/").await.0);
    assert!(site.page("/json").await.0.ends_with("{\"a\":1}"));
    assert!(site.page("/pdf").await.0.contains("application/pdf, which is no text"));
    assert!(site.page("/big").await.0.contains("cut after 10000 bytes"));
    let (gone, is_error) = site.page("/gone").await;
    assert!(is_error && gone.contains("404") && gone.contains("nothing here"));
}

#[tokio::test]
async fn redirects_are_checked_at_every_hop() {
    let names = Names { answers: BTreeMap::from([("inside.example", vec![vec!["10.0.0.1"]])]), ..Names::default() };
    let site = Site::new(names).await;
    for (path, reason) in [
        ("/metadata", "a cloud metadata address"),
        ("/elsewhere", "this machine"),
        ("/name", "a private address"),
        ("/file", "only https:// and http://"),
        ("/userinfo", "user name"),
        ("/loop", "more than 3 redirects"),
    ] {
        let (text, is_error) = site.page(path).await;
        assert!(is_error && text.contains(reason), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_every_address_counts() {
    let answers = BTreeMap::from([
        // Public at the first question, loopback at the second: what rebinding looks like.
        ("rebind.example", vec![vec!["127.0.0.1"], vec!["10.0.0.1"]]),
        ("mixed.example", vec![vec!["1.1.1.1", "::ffff:127.0.0.1"]]),
        ("empty.example", vec![vec![]]),
    ]);
    let site = Site::new(Names { answers, ..Names::default() }).await;
    let port = site.address.port();
    assert!(!site.get(&format!("http://rebind.example:{port}/")).await.1);
    assert_eq!(site.names.asked.load(Ordering::SeqCst), 1, "one question, and the connection went to its answer");
    assert!(site.get("http://mixed.example/").await.0.contains("this machine"));
    assert!(site.get("http://empty.example/").await.0.contains("no address"));
    assert!(site.get("http://unknown.example/").await.0.contains("no such name"));
    assert!(site.get("http://[::1]/").await.0.contains("this machine"));
    assert!(site.get("http://0x7f.0.0.1/").await.0.contains("four decimal numbers"));
}
