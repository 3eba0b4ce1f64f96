//! Ways out that are no way out.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use masque_egress::{AddressPolicy, DEVICE, Limits, NameError, Quota, Refusal};
use smoltcp::wire::IpProtocol;
use tokio::io::AsyncWriteExt as _;

use crate::{
    program::{address_in, query},
    secrets::greet,
    site::{HostServer, Plan, read_all, within},
};

fn labels<'a>(labels: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> {
    labels.iter().map(|label| label.as_bytes())
}

/// A8: direct sockets, raw addresses, UDP, ICMP, QUIC.
#[tokio::test]
async fn only_listed_connections_leave() {
    within(async {
        let mut site = Plan::new(&["a.test", "10.1.2.3:5432"]).start();
        let named = site.network.lookup("a.test").await.unwrap();
        let elsewhere = Ipv4Addr::new(1, 1, 1, 1);
        for (address, port) in [
            (elsewhere, 443),
            (elsewhere, 53),
            (named, 80),
            (DEVICE.gateway, 80),
            (Ipv4Addr::new(10, 1, 2, 3), 443),
            (Ipv4Addr::new(169, 254, 169, 254), 80),
            (Ipv4Addr::new(198, 18, 200, 1), 443),
        ] {
            assert_eq!(site.network.connect(address, port).await.err(), Some("refused"), "{address}:{port}");
        }
        let refusals = site.events.refusals();
        assert_eq!(refusals.len(), 7);
        assert!(refusals.iter().all(|(_, why)| *why == Refusal::NotListed), "{refusals:?}");
        assert_eq!(refusals[2].0, "a.test:80");

        site.network.send_datagram(1, SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, 8), 53), b"query");
        site.network.send_datagram(2, SocketAddrV4::new(named, 443), b"quic");
        site.network.send(IpProtocol::Icmp, elsewhere, &[8, 0, 0, 0, 0, 0, 0, 0]);
        site.network.send(IpProtocol::from(132), elsewhere, &[0; 12]);
        site.network.send(IpProtocol::from(41), elsewhere, &[0; 40]);
        // Packets are taken in order.
        site.network.lookup("a.test").await.unwrap();
        let counters = site.broker.counters();
        assert_eq!((counters.dropped_packets, counters.refused_connections, counters.connections), (5, 7, 0));
        assert_eq!(site.events.refusals().iter().filter(|(_, why)| *why == Refusal::Protocol).count(), 5);
        assert_eq!(counters.bytes_out, 0);
        site.broker.close().await;
    })
    .await;
}

/// A9: a tunnel in DNS.
#[tokio::test]
async fn no_query_leaves_and_floods_are_refused() {
    within(async {
        let mut plan = Plan::new(&["*.a.test"]);
        plan.limits = Limits { dns_queries_per_minute: 100, ..Limits::STANDARD };
        let mut site = plan.start();
        let mut codes = Vec::new();
        for number in 0..1000 {
            let label = format!("secret-{number}");
            let answer = site.network.ask(&query(labels(&[&label, "evil", "test"]), 16)).await;
            codes.push(address_in(&answer).unwrap_err());
        }
        assert_eq!(codes.iter().filter(|code| **code == 3).count(), 100);
        assert_eq!(codes.iter().filter(|code| **code == 5).count(), 900);
        let refusals = site.events.refusals();
        let floods = refusals.iter().filter(|(_, why)| *why == Refusal::Quota(Quota::DnsQueries)).count();
        assert_eq!((refusals.len(), floods), (101, 1));
        assert_eq!(site.names.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
        let counters = site.broker.counters();
        assert_eq!((counters.dns_queries, counters.refused_queries), (1000, 1000));
        site.broker.close().await;
    })
    .await;
}

/// A10: names that two parsers read differently.
#[tokio::test]
async fn strange_names_do_not_exist() {
    within(async {
        let mut site = Plan::new(&["allowed.test:*", "*.allowed.test:*"]).start();
        assert!(site.network.lookup("allowed.test").await.is_ok());
        assert!(site.network.lookup("B.ALLOWED.TEST").await.is_ok());
        let strange: [&[&str]; 12] = [
            &["evil\0", "allowed", "test"],
            &["evil.org\0", "allowed", "test"],
            &["evil@b", "allowed", "test"],
            &["allowed.test"],
            &["b.allowed", "test"],
            &["evil.org#", "allowed", "test"],
            &["a", "b", "allowed", "test"],
            &["xn--", "allowed", "test"],
            &["xn--a-ecp-ru", "allowed", "test"],
            &["b\u{ff0e}allowed", "test"],
            &["0x7f", "1"],
            &["0177", "0", "0", "01"],
        ];
        for name in strange {
            let answer = site.network.ask(&query(labels(name), 1)).await;
            assert_eq!(address_in(&answer), Err(3), "{name:?}");
        }
        // Not a query at all, more than one question, a pointer in the name, cut off.
        let plain = query(labels(&["allowed", "test"]), 1);
        for (at, byte) in [(2, 0x28), (5, 2), (7, 1), (12, 0xc0)] {
            let mut broken = plain.clone();
            broken[at] = byte;
            assert_eq!(address_in(&site.network.ask(&broken).await), Err(1), "{at}");
        }
        assert_eq!(address_in(&site.network.ask(&plain[..plain.len() - 3]).await), Err(1));
        // Other kinds of records have no data, which makes programs use the address.
        assert_eq!(address_in(&site.network.ask(&query(labels(&["allowed", "test"]), 28)).await), Err(0));
        let refusals = site.events.refusals();
        assert_eq!(refusals[0], ("DNS evil\\0.allowed.test".to_owned(), Refusal::Name(NameError::Letter)));
        site.broker.close().await;
    })
    .await;
}

/// A11: a listed name leads inside, or changes where it leads.
#[tokio::test]
async fn names_do_not_lead_inside() {
    within(async {
        let inside = [
            "127.0.0.1:5",
            "10.0.0.1:5",
            "169.254.169.254:5",
            "100.64.0.1:5",
            "[::1]:5",
            "[::ffff:127.0.0.1]:5",
            "[::ffff:169.254.169.254]:5",
            "[64:ff9b::7f00:1]:5",
            "[2002:7f00:1::]:5",
            "[fd00:ec2::254]:5",
            "[fe80::1]:5",
            "198.18.0.1:5",
        ];
        let public: SocketAddr = "93.184.216.34:5".parse().unwrap();
        let mut plan = Plan::new(&["*.inside.test:*"]);
        plan.addresses = AddressPolicy::PublicOnly;
        for (number, address) in inside.iter().enumerate() {
            // Also hidden behind a public one.
            let answers = vec![vec![public, address.parse().unwrap()]];
            plan.names.answers.insert(format!("n{number}.inside.test"), answers);
        }
        let mut site = plan.start();
        for (number, address) in inside.iter().enumerate() {
            assert_eq!(site.connect(&format!("n{number}.inside.test"), 5).await.err(), Some("refused"));
            let (_, why) = site.events.refusals().pop().unwrap();
            assert!(matches!(why, Refusal::AddressClass { address: found, .. } if found.to_string() == *address));
        }
        assert_eq!(site.broker.counters().bytes_out, 0);
        site.broker.close().await;

        // Resolved once, and connected to just that.
        let (first, second) = (sink().await, sink().await);
        let mut plan = Plan::new(&["turns.test:5"]);
        plan.names.answers.insert("turns.test".to_owned(), vec![vec![first.address], vec![second.address]]);
        let mut site = plan.start();
        let mut stream = site.connect("turns.test", 5).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(stream).await;
        assert_eq!(site.names.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert_eq!((first.count(), second.count()), (1, 0));
        site.broker.close().await;
    })
    .await;
}

/// A12: a redirect to a host that is not listed.
#[tokio::test]
async fn a_redirect_leads_nowhere() {
    within(async {
        let host = http_host("HTTP/1.1 302 Found\r\nlocation: http://denied.test/\r\ncontent-length: 0\r\n\r\n").await;
        let mut site = Plan::new(&["a.test:80"]).name("a.test", host.address).start();
        let answer = get(&mut site, "a.test", "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
        assert!(answer.contains("location: http://denied.test/"), "{answer}");
        assert_eq!(site.connect("denied.test", 80).await.err(), Some("no such name"));
        site.broker.close().await;
    })
    .await;
}

/// A13: the name in TLS or HTTP is another one than the connection is for.
#[tokio::test]
async fn a_connection_is_for_one_name() {
    within(async {
        let host = sink().await;
        let plan = Plan::new(&["front.test:*", "other.test:*"]);
        let mut site = plan.name("front.test", host.address).name("other.test", host.address).start();
        for (port, name, refusal) in [
            (443, Some("other.test"), Refusal::OtherName { asked: "other.test".to_owned() }),
            (443, None, Refusal::NoName),
            (8443, Some("denied.test"), Refusal::OtherName { asked: "denied.test".to_owned() }),
            (8443, None, Refusal::NoName),
        ] {
            let stream = site.connect("front.test", port).await.unwrap();
            assert!(greet(stream, name).await.is_err());
            assert_eq!(site.events.refusals().pop(), Some((format!("front.test:{port}"), refusal)));
        }
        // What is no TLS at all.
        let mut stream = site.connect("front.test", 443).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: front.test\r\n\r\n").await.unwrap();
        assert_eq!(read_all(stream).await, b"");
        assert!(matches!(site.events.refusals().pop(), Some((_, Refusal::Tls(_)))));

        for head in [
            "GET / HTTP/1.1\r\nhost: other.test\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: front.test:81\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: front.test\r\nHost: other.test\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: other.test\r\nhost: front.test\r\n\r\n",
            "GET http://other.test/ HTTP/1.1\r\nhost: front.test\r\n\r\n",
            "GET http://front.test@other.test/ HTTP/1.1\r\nhost: front.test\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: front.test@other.test\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "CONNECT other.test:443 HTTP/1.1\r\nhost: front.test\r\n\r\n",
            "GET / HTTP/1.1\r\nhost : front.test\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: front.test\r\nx: a\r\n\thost: other.test\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: front.test\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: front.test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: front.test\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let answer = get(&mut site, "front.test", head).await;
            assert!(answer.starts_with("HTTP/1.1 40"), "{head}: {answer}");
        }
        assert_eq!(host.count(), 2, "only the connections whose first bytes come after they are open");
        site.broker.close().await;
    })
    .await;
}

/// A14: whoever reads everything that the broker says or shows finds no value. The tests of secrets look at the bytes.
#[test]
fn a_value_is_not_shown() {
    let mut plan = Plan::new(&["a.test"]);
    plan.secrets = vec![crate::secrets::rule("key", "the-real-value", &["a.test"])];
    let (spec, _, _) = plan.spec();
    let shown = format!("{spec:?} {spec:#?}");
    assert!(shown.contains("mq_key") && !shown.contains("the-real-value"), "{shown}");
}

async fn sink() -> HostServer {
    HostServer::new(|stream| async move { drop(read_all(stream).await) }).await
}

async fn http_host(answer: &'static str) -> HostServer {
    HostServer::new(move |mut stream| async move {
        let _head = crate::secrets::read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

/// Sends a request over plain HTTP and reads the answer to its end.
async fn get(site: &mut crate::site::Site, name: &str, request: &str) -> String {
    let mut stream = site.connect(name, 80).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(read_all(stream).await).unwrap()
}
