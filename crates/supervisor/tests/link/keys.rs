//! Keys that are wrong in each way are refused, and both sides are told what was expected.

use std::sync::Arc;

use masque_fleet::{
    model::{Fleet, Host},
    status::State,
};
use masque_supervisor::{
    Error,
    link::{News, parse_host_key, peers_of, print_host_key},
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::support::{LIMIT, Plan, Proxy, Supervisor, Wire, host, key};

fn printed(name: &str) -> String {
    print_host_key(&key(name).public())
}

async fn pc2() -> Supervisor {
    let peers = vec![host("mainpc", &key("mainpc"), None), host("pc3", &key("pc3"), None)];
    let pc2 = Plan::new("pc2", peers).listening().start().await;
    pc2.set("pc2/cache", State::Ready);
    pc2
}

#[tokio::test]
async fn a_dialling_host_with_another_key_is_refused_and_both_are_told() {
    let mut pc2 = pc2().await;
    let peers = vec![host("pc2", &key("pc2"), Some(pc2.address()))];
    let mut false_one = Plan { key: Some(key("thief")), ..Plan::new("mainpc", peers) }.start().await;
    let (there, here) = (pc2.trouble().await, false_one.trouble().await);
    assert!(there.contains(&printed("thief")) && there.contains(&printed("mainpc")), "{there}");
    assert!(here.starts_with("it refused the key of this host") && here.contains(&printed("thief")), "{here}");
    assert_eq!((pc2.known.len(), false_one.known.len()), (0, 0));
}

#[tokio::test]
async fn an_answering_host_with_another_key_is_refused_even_if_that_key_is_known() {
    let pc2 = pc2().await;
    let peers = vec![host("pc2", &key("pc4"), Some(pc2.address())), host("pc4", &key("pc2"), None)];
    let mut mainpc = Plan::new("mainpc", peers).listening().start().await;
    let why = mainpc.trouble().await;
    assert_eq!(why, format!("it showed the key {}; expected {}", printed("pc2"), printed("pc4")));
    assert!(mainpc.known.is_empty());
}

#[tokio::test]
async fn a_host_cannot_say_that_it_is_another_one_and_fleets_do_not_mix() {
    let mut pc2 = pc2().await;
    let peers = || vec![host("pc2", &key("pc2"), Some(pc2.address()))];
    let mut posing = Plan { key: Some(key("mainpc")), ..Plan::new("pc3", peers()) }.start().await;
    let mut other = Plan { key: Some(key("pc3")), fleet: "other", ..Plan::new("pc3", peers()) }.start().await;
    let refused = "it refused this supervisor: ";
    let expected = "it says that it is \"pc3\"; expected [\"mainpc\"]";
    assert_eq!(posing.trouble().await.trim_start_matches(refused), expected);
    let why = other.trouble().await;
    assert!(why.contains("is of the fleet") && why.contains("expected"), "{why}");
    let is_told = |news: &News, name: &str| matches!(news, News::Trouble { from, .. } if from == name);
    pc2.until("both", |side| ["mainpc", "pc3"].iter().all(|name| side.told.iter().any(|news| is_told(news, name))))
        .await;
    assert!(posing.known.is_empty() && other.known.is_empty() && pc2.known.is_empty());
}

/// Connects without a host's key, in that version; whatever comes until the other side ends it.
async fn without_key(to: &Supervisor, version: &'static SupportedProtocolVersion) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let stream = TcpStream::connect(to.address()).await.unwrap();
    let name = ServerName::try_from("masque").unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return Vec::new() };
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn no_key_an_old_version_and_plain_text_are_refused() {
    for version in [&TLS12, &TLS13] {
        let mut pc2 = pc2().await;
        assert_eq!(without_key(&pc2, version).await, b"");
        let why = pc2.trouble().await;
        assert!(why.starts_with("it does not show a host's key with TLS 1.3: "), "{why}");
    }
    let mut pc2 = pc2().await;
    let mut plain = TcpStream::connect(pc2.address()).await.unwrap();
    plain.write_all(b"{\"hello\":{\"version\":1,\"fleet\":\"test\",\"name\":\"mainpc\"}}\n").await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, plain.read_to_end(&mut bytes)).await.unwrap();
    assert!(bytes.len() < 16, "an alert at most: {bytes:?}");
    let why = pc2.trouble().await;
    assert!(why.starts_with("it does not show a host's key with TLS 1.3: "), "{why}");
}

#[tokio::test]
async fn what_was_recorded_cannot_be_played_again() {
    let mut pc2 = pc2().await;
    let wire = Proxy::to(pc2.address()).await;
    let mainpc = Plan::new("mainpc", vec![host("pc2", &key("pc2"), Some(wire.address))]).start().await;
    mainpc.set("mainpc/router", State::Ready);
    pc2.knows("mainpc/router", State::Ready).await;
    wire.mode.send_replace(Wire::Cut);
    mainpc.link.close().await;
    let recorded = wire.said.lock().unwrap().clone();
    assert!(recorded.len() > 200, "{}", recorded.len());
    let mut thief = TcpStream::connect(pc2.address()).await.unwrap();
    thief.write_all(&recorded).await.unwrap();
    let why = pc2.trouble().await;
    assert!(why.starts_with("it does not show a host's key with TLS 1.3: "), "{why}");
    assert_eq!(pc2.told.iter().filter(|news| matches!(news, News::Connected { .. })).count(), 1);
}

#[test]
fn wrong_keys_in_the_manifest_are_named() {
    let own = key("mainpc").public();
    let fleet = |keys: [Option<String>; 2]| {
        let hosts = ["mainpc", "pc2"].into_iter().zip(keys).map(|(name, key)| {
            (name.to_owned(), Host { key, link: Some("192.0.2.1:7400".to_owned()), ..Host::default() })
        });
        Fleet { hosts: hosts.collect(), ..Fleet::default() }
    };
    let refused = |keys| peers_of(&fleet(keys), "mainpc", &own).unwrap_err();
    let good = |name: &str| Some(printed(name));
    assert!(matches!(refused([None, good("pc2")]), Error::NoHostKey { host } if host == "mainpc"));
    assert!(matches!(refused([good("pc3"), good("pc2")]), Error::OtherHostKey { host, .. } if host == "mainpc"));
    let wrong = Some("ed25519:12".to_owned());
    assert!(matches!(refused([good("mainpc"), wrong]), Error::HostKey { place, .. } if place == "hosts.pc2.key"));
    let peers = peers_of(&fleet([good("mainpc"), good("pc2")]), "mainpc", &own).unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!(parse_host_key("key", &printed("pc2")).unwrap(), key("pc2").public());
    assert!(peers_of(&Fleet::default(), "mainpc", &own).unwrap().is_empty());
}
