//! Secrets on their way out and back: values reach their hosts over TLS, and nothing else learns them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use masque_egress::{Event, Refusal, SecretRule, Trust};
use masque_types::secret::Secret;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::site::{HostServer, Plan, Site, read_all, within};

pub(crate) const VALUE: &str = "sk-live/0123456789+abcdef";
pub(crate) const OTHER_VALUE: &str = "other-value-9876543210";

/// A secret with the placeholder `mq_NAME_0123456789`.
pub(crate) fn rule(name: &str, value: &str, hosts: &[&str]) -> SecretRule {
    SecretRule {
        placeholder: format!("mq_{name}_0123456789"),
        value: Secret::new(value),
        name: name.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    }
}

/// An authority that tests trust.
pub(crate) struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Programs take a certificate that names its own issuer as its subject for one that signs itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of a test");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn connector(roots: Vec<CertificateDer<'static>>, shows_name: bool) -> TlsConnector {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(store).with_no_client_auth();
    config.enable_sni = shows_name;
    TlsConnector::from(Arc::new(config))
}

/// Speaks TLS as a client that asks for a name, or for none.
pub(crate) async fn greet(stream: DuplexStream, name: Option<&str>) -> std::io::Result<TlsStream<DuplexStream>> {
    let server = ServerName::try_from(name.unwrap_or("unnamed.test").to_owned()).unwrap();
    connector(Vec::new(), name.is_some()).connect(server, stream).await
}

/// Reads up to the empty line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// What the host saw: heads, and bodies as far as they came.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A host behind TLS that answers each request with the pieces of `answer`, each written by itself.
struct Api {
    server: HostServer,
    seen: Seen,
    authority: TestAuthority,
}

impl Api {
    async fn new(answer: impl Fn(&str) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let authority = TestAuthority::new();
        let acceptor = authority.acceptor("api.test");
        let seen = Seen::default();
        let (saw, answer) = (Arc::clone(&seen), Arc::new(answer));
        let server = HostServer::new(move |stream| {
            let (acceptor, saw, answer) = (acceptor.clone(), Arc::clone(&saw), Arc::clone(&answer));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while let Some(head) = read_head(&mut stream).await {
                    let body = read_body(&mut stream, &head).await;
                    let pieces = answer(&head);
                    let closes = head.contains("connection: close");
                    saw.lock().unwrap().push((head, body));
                    for piece in pieces {
                        stream.write_all(&piece).await.unwrap();
                        stream.flush().await.unwrap();
                    }
                    if closes {
                        break;
                    }
                }
                let _closed = stream.shutdown().await;
                read_all(stream).await;
            }
        })
        .await;
        Self { server, seen, authority }
    }

    /// Two secrets: one of this host, one of another.
    fn site(&self) -> Site {
        let mut plan = Plan::new(&["api.test:*", "else.test:*"]);
        plan.secrets =
            vec![rule("key", VALUE, &["api.test", "api.test:8443"]), rule("other", OTHER_VALUE, &["else.test"])];
        plan.trust = Trust::Roots(vec![self.authority.certificate()]);
        plan.name("api.test", self.server.address).name("else.test", self.server.address).start()
    }

    fn seen(&self) -> Vec<(String, Vec<u8>)> {
        self.seen.lock().unwrap().clone()
    }
}

/// Reads a body with a length, or in chunks up to where the connection breaks.
async fn read_body(stream: &mut (impl AsyncRead + Unpin), head: &str) -> Vec<u8> {
    if head.contains("x-early") {
        return Vec::new();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = Vec::new();
    if let Some(length) = length {
        let _cut_off = stream.take(length).read_to_end(&mut body).await;
    } else if head.contains("chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => body.push(byte),
                Err(_) => break,
            }
        }
    }
    body
}

/// A program's TLS connection that trusts the broker's authority.
async fn open(site: &mut Site, name: &str, port: u16) -> TlsStream<DuplexStream> {
    let stream = site.connect(name, port).await.unwrap();
    let root = CertificateDer::from_pem_slice(site.broker.root_certificate().as_bytes()).unwrap();
    connector(vec![root], true).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await.unwrap()
}

/// Sends a request and reads until the other side closes.
async fn request(site: &mut Site, text: impl AsRef<[u8]>) -> String {
    let mut stream = open(site, "api.test", 443).await;
    // The answer may come before everything is sent.
    let _written = stream.write_all(text.as_ref()).await;
    let _flushed = stream.flush().await;
    String::from_utf8(read_all(stream).await).unwrap()
}

fn echo(head: &str) -> Vec<Vec<u8>> {
    let answer = format!("HTTP/1.1 200 OK\r\nx-echo: {VALUE}\r\ncontent-length: {}\r\n\r\n{head}", head.len());
    vec![answer.into_bytes()]
}

#[tokio::test]
async fn a_bound_host_gets_the_value_and_the_program_never_does() {
    within(async {
        let api = Api::new(echo).await;
        let mut site = api.site();
        let mut stream = open(&mut site, "api.test", 8443).await;
        let first = "GET /a?b=1 HTTP/1.1\r\nHost: api.test:8443\r\nAuthorization: Bearer mq_key_0123456789\r\nAccept-Encoding: gzip\r\n\r\n";
        // me:mq_key_0123456789
        let second = "GET /b HTTP/1.1\r\nhost: api.test\r\nauthorization: basic bWU6bXFfa2V5XzAxMjM0NTY3ODk=\r\nconnection: close\r\n\r\n";
        stream.write_all(&[first, second].concat().into_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let answers = String::from_utf8(read_all(stream).await).unwrap();
        let seen = api.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen[0].0.contains(&format!("Authorization: Bearer {VALUE}\r\n")), "{seen:?}");
        assert!(seen[0].0.contains("accept-encoding: identity\r\n") && !seen[0].0.contains("gzip"), "{seen:?}");
        // me:VALUE
        assert!(seen[1].0.contains("authorization: basic bWU6c2stbGl2ZS8wMTIzNDU2Nzg5K2FiY2RlZg==\r\n"), "{seen:?}");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
        assert_eq!(answers.matches("x-echo: mq_key_0123456789\r\n").count(), 2, "{answers}");
        assert!(answers.contains("Bearer mq_key_0123456789mq_key"), "{answers}");
        assert!(!answers.contains("0123456789+abc") && !answers.contains("MTIzNDU2Nzg5K2FiY2"), "{answers}");
        let used = Event::SecretUsed { name: "key".to_owned(), host: "api.test".to_owned() };
        site.events.until(|event| matches!(event, Event::Closed { .. })).await;
        let events = site.events.all();
        assert_eq!(events.iter().filter(|event| **event == used).count(), 2);
        assert_eq!(events.iter().filter(|event| matches!(event, Event::SecretScrubbed { .. })).count(), 2);
        assert!(!format!("{events:?}").contains("0123456789+"));
        site.broker.close().await;
    })
    .await;
}

/// A15: the value comes back in chunks whose borders, and pieces of the wire whose borders, are anywhere.
#[tokio::test]
async fn answers_are_scrubbed_across_all_borders() {
    within(async {
        let turn = AtomicUsize::new(1);
        let api = Api::new(move |_| {
            let cut = turn.fetch_add(1, Ordering::SeqCst) % VALUE.len();
            let text = format!("data: {VALUE}\n");
            let (first, second) = text.split_at(6 + cut);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
            let chunk = |text: &str| format!("{:x};x=y\r\n{text}\r\n", text.len());
            let wire = format!("{head}{}{}0\r\ntrailer: {VALUE}\r\n\r\n", chunk(first), chunk(second));
            let (first, second) = wire.split_at(head.len() + 9 + cut);
            vec![first.as_bytes().to_vec(), second.as_bytes().to_vec()]
        })
        .await;
        let mut site = api.site();
        let get = "GET / HTTP/1.1\r\nhost: api.test\r\n\r\n".repeat(VALUE.len() - 1);
        let last = "GET / HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n\r\n";
        let answers = request(&mut site, get + last).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), VALUE.len());
        assert_eq!(answers.matches("\r\n0\r\n\r\n").count(), VALUE.len(), "{answers}");
        for size in 6..VALUE.len() {
            for piece in VALUE.as_bytes().windows(size) {
                // The placeholder has digits of the value.
                let piece = std::str::from_utf8(piece).unwrap();
                let own = !"mq_key_0123456789mq_key_0123456789".contains(piece);
                assert!(!own || !answers.contains(piece), "{piece} in {answers}");
            }
        }
        site.broker.close().await;
    })
    .await;
}

/// A15: the placeholder goes where it may not.
#[tokio::test]
async fn a_placeholder_goes_only_into_headers_for_its_host() {
    within(async {
        let api = Api::new(echo).await;
        let mut site = api.site();
        let (key, other) = ("mq_key_0123456789", "mq_other_0123456789");
        let head = "HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n";
        let posted = |body: &str| format!("POST / {head}content-length: {}\r\n\r\n{body}", body.len());
        let chunked = format!(
            "POST / {head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"mq_\r\nf\r\nkey_0123456789}}\r\n0\r\n\r\n"
        );
        for text in [
            format!("GET / {head}x: {other}\r\n\r\n"),
            format!("GET / {head}x: {key}\r\ny: {other}\r\n\r\n"),
            format!("GET /?key={key} {head}\r\n"),
            format!("GET /{other} {head}\r\n"),
            format!("GET /?key=%6dq%5Fkey_0123456789 {head}\r\n"),
            format!("GET https://api.test/{key} {head}\r\n"),
            format!("GET / {head}{key}: x\r\n\r\n"),
            posted(&format!("key={key}")),
            posted(&format!("{}{other}", "x".repeat(100_000))),
            chunked,
        ] {
            let answer = request(&mut site, &text).await;
            assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{text}: {answer}");
            let (what, why) = site.events.refusals().pop().unwrap();
            assert!(matches!(why, Refusal::Placeholder { .. }) && what == "api.test:443", "{text}: {why:?}");
        }
        let seen = api.seen();
        assert!(seen.iter().all(|(head, body)| head.starts_with("POST") && body.len() < 100_019), "{seen:?}");
        assert!(!format!("{:?}", site.events.all()).contains(VALUE));
        let all: Vec<u8> = seen.into_iter().flat_map(|(head, body)| [head.into_bytes(), body].concat()).collect();
        let all = String::from_utf8_lossy(&all);
        assert!(!all.contains(VALUE) && !all.contains(key) && !all.contains(other), "{all}");
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn without_encryption_no_value_and_no_placeholder_leaves() {
    within(async {
        let (saw, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let host = HostServer::new(move |stream| {
            let saw = saw.clone();
            async move { saw.send(read_all(stream).await).unwrap() }
        })
        .await;
        let mut plan = Plan::new(&["api.test:*"]).name("api.test", host.address);
        plan.secrets = vec![rule("key", VALUE, &["api.test"])];
        let mut site = plan.start();
        let mut stream = site.connect("api.test", 80).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: api.test\r\nx-api-key: mq_key_0123456789\r\n\r\n").await.unwrap();
        assert!(read_all(stream).await.starts_with(b"HTTP/1.1 403"));

        let mut stream = site.connect("api.test", 6379).await.unwrap();
        for piece in ["AUTH mq_key", "_01234", "56789\r\n"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(read_all(stream).await, b"");
        let seen = seen.recv().await.unwrap();
        assert!(b"AUTH mq_key_01234".starts_with(&seen), "{}", String::from_utf8_lossy(&seen));
        let refusals = site.events.refusals();
        assert!(refusals.iter().all(|(_, why)| matches!(why, Refusal::Placeholder { .. })), "{refusals:?}");
        assert_eq!((refusals.len(), host.count()), (2, 1));
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_scrubbed_or_believed_is_not_passed_on() {
    within(async {
        let gzip =
            |_: &str| vec![b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc".to_vec()];
        let api = Api::new(gzip).await;
        let mut site = api.site();
        let get = "GET / HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n\r\n";
        let answer = request(&mut site, get).await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("encoded"), "{answer}");
        // A host with a name of its own, and one whom nobody vouches for.
        let wrong = TestAuthority::new();
        let stranger = Api::new(echo).await;
        for (address, trust) in
            [(api.server.address, wrong.certificate()), (stranger.server.address, api.authority.certificate())]
        {
            let mut plan = Plan::new(&["api.test"]).name("api.test", address);
            plan.secrets = vec![rule("key", VALUE, &["api.test"])];
            plan.trust = Trust::Roots(vec![trust]);
            let mut site = plan.start();
            let text = "GET / HTTP/1.1\r\nhost: api.test\r\nx-api-key: mq_key_0123456789\r\n\r\n";
            let answer = request(&mut site, text).await;
            assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("TLS failed"), "{answer}");
            site.broker.close().await;
        }
        assert_eq!(stranger.seen(), []);
        // The name within TLS is checked as well.
        let text = "GET / HTTP/1.1\r\nhost: else.test\r\nx: mq_key_0123456789\r\n\r\n";
        assert!(request(&mut site, text).await.starts_with("HTTP/1.1 403"));
        let stream = site.connect("api.test", 443).await.unwrap();
        assert!(greet(stream, Some("else.test")).await.is_err());
        let other = Refusal::OtherName { asked: "else.test".to_owned() };
        assert_eq!(site.events.refusals().iter().filter(|(_, why)| *why == other).count(), 2);
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_may_answer_before_it_read_everything_and_may_speak_websocket() {
    within(async {
        let early = Api::new(|_| vec![b"HTTP/1.1 413 Too Large\r\nconnection: close\r\n\r\nno more".to_vec()]).await;
        let mut site = early.site();
        let head = "POST / HTTP/1.1\r\nhost: api.test\r\nx-early: yes\r\nconnection: close\r\ncontent-length: 40000000\r\n\r\n";
        let answer = request(&mut site, [head.as_bytes(), &vec![b'x'; 40_000_000]].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("no more"), "{answer}");
        site.broker.close().await;

        let switch = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nframe {VALUE}!"
        );
        let api = Api::new(move |_| vec![switch.clone().into_bytes()]).await;
        let mut site = api.site();
        let mut stream = open(&mut site, "api.test", 443).await;
        let head = "GET / HTTP/1.1\r\nhost: api.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
            sec-websocket-extensions: permessage-deflate\r\nauthorization: mq_key_0123456789\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let answer = read_until(&mut stream, b"!").await;
        assert!(answer.starts_with("HTTP/1.1 101") && answer.ends_with("frame mq_key_0123456789mq_key_0!"), "{answer}");
        // From here on the host reads whatever comes as heads.
        stream.write_all(b"a frame of mine\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        read_until(&mut stream, b"!").await;
        let seen = api.seen();
        assert!(seen[0].0.contains(VALUE) && !seen[0].0.contains("deflate"), "{seen:?}");
        assert_eq!(seen[1].0, "a frame of mine\r\n\r\n");
        // No value is put in any more, and no placeholder leaves.
        stream.write_all(b"mq_key_0123456789\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        read_all(&mut stream).await;
        assert_eq!(api.seen().len(), 2);
        site.broker.close().await;
    })
    .await;
}

async fn read_until(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), end: &[u8]) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}
