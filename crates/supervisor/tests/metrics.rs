//! Metrics: every text is valid by the rules of the format, and the server tells them to this machine only.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use masque_fleet::{
    model::ServiceId,
    status::{CheckStatus, HostStatus, Reach, ServiceStatus, State},
};
use masque_supervisor::{
    link::PeerStatus,
    metrics::{Metrics, Snapshot, Source, Usage, exposition},
};
use masque_types::time::Timestamp;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

type Labels = BTreeMap<String, String>;

/// A strict reader of the text format: families are whole, declared once before their samples; names, labels and numbers
/// are well formed; no series is told twice; counters are named so and do not fall below zero.
#[derive(Debug, Default)]
struct Reader {
    helped: BTreeSet<String>,
    kinds: BTreeMap<String, String>,
    current: Option<String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Reader {
    fn read(text: &str) -> Result<Self, String> {
        let mut reader = Self::default();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        for line in text.split_terminator('\n') {
            reader.line(line).map_err(|why| format!("{why}: {line:?}"))?;
        }
        Ok(reader)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("no help")?;
            let fresh = self.helped.insert(name.to_owned()) && !help.is_empty() && !help.contains('\\');
            return if fresh { Ok(()) } else { Err("help told twice, empty or escaped".to_owned()) };
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("no type")?;
            if !["gauge", "counter"].contains(&kind) || (kind == "counter") != name.ends_with("_total") {
                return Err("a wrong type".to_owned());
            }
            self.current = Some(name.to_owned());
            let is_new = self.kinds.insert(name.to_owned(), kind.to_owned()).is_none() && self.helped.contains(name);
            return if is_new { Ok(()) } else { Err("a family in two pieces, or without help".to_owned()) };
        }
        self.sample(line)
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(['{', ' ']).ok_or("no value")?;
        let (name, rest) = line.split_at(end);
        if self.current.as_deref() != Some(name) || !is_name(name) {
            return Err("a sample outside its family".to_owned());
        }
        let (labels, value) = match rest.strip_prefix('{') {
            Some(labels) => read_labels(labels)?,
            None => (Labels::new(), rest),
        };
        let value: f64 = value.strip_prefix(' ').ok_or("no space")?.parse().map_err(|_| "no number".to_owned())?;
        if self.kinds.get(name).is_some_and(|kind| kind == "counter") && value < 0.0 {
            return Err("a counter below zero".to_owned());
        }
        let fresh = self.samples.insert((name.to_owned(), labels), value).is_none();
        if fresh { Ok(()) } else { Err("a series told twice".to_owned()) }
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |all: &Labels| labels.iter().all(|(name, value)| all.get(*name).is_some_and(|found| found == value));
        let mut found = self.samples.iter().filter(|((known, all), _)| known == name && has(all));
        let value = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "{name} {labels:?} is told more than once");
        value
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
    begins && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("no label")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().ok_or("a label without end")? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match letters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, letter @ ('\\' | '"'))) => letter,
                    other => return Err(format!("a wrong escape {other:?}")),
                }),
                (_, letter) => value.push(letter),
            }
        };
        if !is_name(name) || name.starts_with("__") || labels.insert(name.to_owned(), value).is_some() {
            return Err("a wrong label".to_owned());
        }
        rest = &after[end..];
        match rest.split_at_checked(1) {
            Some((",", further)) => rest = further,
            Some(("}", further)) => return Ok((labels, further)),
            _ => return Err("labels without end".to_owned()),
        }
    }
}

fn service(id: ServiceId, group: Option<String>, state: State) -> ServiceStatus {
    ServiceStatus {
        id,
        group,
        state,
        why: Vec::new(),
        blocked_on: vec![ServiceId::new("a", "b")],
        substituted_by: None,
        pid: Some(7),
        port: Some(80),
        since: Timestamp(1_700_000_000_250),
        started_at: Some(Timestamp(1_700_000_000_000)),
        ready_after: Some(Duration::from_millis(250)),
        restarts: 3,
        last_end: None,
        last_check: Some(CheckStatus { healthy: false, detail: "no".to_owned(), took: Duration::from_micros(1_500) }),
        memory_bytes: Some(5 << 20),
        dropped_bytes: 9,
    }
}

fn snapshot(services: Vec<ServiceStatus>) -> Snapshot {
    let host = HostStatus {
        host: "mainpc".to_owned(),
        reach: Reach::Here,
        supervisor: Some(1),
        age: Duration::ZERO,
        services,
    };
    let peer = PeerStatus {
        name: "pc2".to_owned(),
        host: "pc2".to_owned(),
        reach: Reach::Lost,
        heard: Some(Duration::from_secs(9)),
        trouble: None,
    };
    Snapshot { fleet: "ai-system".to_owned(), host, peers: vec![peer], own: Usage::of_this_process() }
}

#[test]
fn services_the_supervisor_and_the_link_are_told() {
    let services = vec![
        service(ServiceId::new("mainpc", "Router"), Some("core".to_owned()), State::Ready),
        service(ServiceId::new("mainpc", "Twin"), None, State::Blocked),
    ];
    let told = Reader::read(&exposition(&snapshot(services))).unwrap();
    let of = |name: &str, service: &str| told.value(&format!("masque_fleet_{name}"), &[("service", service)]);
    assert_eq!((of("service_up", "Router"), of("service_up", "Twin")), (Some(1.0), Some(0.0)));
    let state = |service, state| told.value("masque_fleet_service_state", &[("service", service), ("state", state)]);
    assert_eq!(
        (state("Router", "ready"), state("Router", "failed"), state("Twin", "blocked")),
        (Some(1.0), Some(0.0), Some(1.0))
    );
    assert_eq!(told.value("masque_fleet_service_up", &[("group", "core"), ("host", "mainpc")]), Some(1.0));
    let figures =
        ["restarts_total", "ready_seconds", "check_duration_seconds", "memory_bytes", "dropped_log_bytes_total"]
            .map(|name| of(&format!("service_{name}"), "Router").unwrap());
    assert_eq!(figures, [3.0, 0.25, 0.0015, 5_242_880.0, 9.0]);
    assert_eq!(of("service_since_timestamp_seconds", "Router"), Some(1_700_000_000.25));
    assert!(told.value("masque_fleet_supervisor_memory_bytes", &[]).unwrap() > 1e6);
    assert!(told.value("masque_fleet_supervisor_cpu_seconds_total", &[]).unwrap() > 0.0);
    assert_eq!(told.value("masque_fleet_link_up", &[("peer", "pc2")]), Some(0.0));
    assert_eq!(told.value("masque_fleet_link_heard_seconds", &[("peer", "pc2")]), Some(9.0));
}

proptest! {
    /// Whatever names services have, the text is valid and tells those names.
    #[test]
    fn any_name_gives_a_valid_text(names in proptest::collection::btree_set(".*", 0..4), group in ".*", known in any::<bool>()) {
        let services = names.iter().map(|name| {
            let told = service(ServiceId::new("mainpc", name), Some(group.clone()), State::Degraded);
            if known { told } else { ServiceStatus { last_check: None, memory_bytes: None, ready_after: None, ..told } }
        });
        let told = Reader::read(&exposition(&snapshot(services.collect()))).unwrap();
        for name in &names {
            prop_assert_eq!(told.value("masque_fleet_service_up", &[("service", name), ("group", &group)]), Some(1.0));
        }
        prop_assert_eq!(told.kinds.contains_key("masque_fleet_service_memory_bytes"), known && !names.is_empty());
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_server_tells_this_machine_only_and_nothing_but_get() {
    let services = vec![service(ServiceId::new("mainpc", "Router"), None, State::Ready)];
    let told = snapshot(services);
    let source = Source::new(move || Box::pin(std::future::ready(Some(told.clone()))));
    let server = Metrics::start("127.0.0.1:0", source.clone()).await.unwrap();
    let get = |host: &str| format!("GET /metrics HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for host in ["localhost", "localhost:9090", "127.0.0.1:9090", "[::1]:9090", "127.0.0.2"] {
        let answer = ask(server.address(), &get(&format!("Host: {host}\r\n"))).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{host}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert_eq!(Reader::read(body).unwrap().value("masque_fleet_service_up", &[]), Some(1.0));
    }
    for host in ["Host: evil.example\r\n", "Host: 192.0.2.1:9090\r\n", "Host: localhost.evil.example\r\n", ""] {
        let answer = ask(server.address(), &get(host)).await;
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
    }
    for method in ["POST", "HEAD", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert!(ask(server.address(), &request).await.starts_with("HTTP/1.1 405"), "{method}");
    }
    let other = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(ask(server.address(), other).await.starts_with("HTTP/1.1 404"));
    let address = server.address().to_string();
    let taken = Metrics::start(&address, source.clone()).await.unwrap_err().to_string();
    assert!(taken.contains(&address), "{taken}");
    // One that asks and never comes to its end does not hold up the supervisor's.
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.write_all(b"GET /metr").await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), server.close()).await.unwrap();
    for wrong in ["0.0.0.0:9090", "192.0.2.1:9090", "9090", "localhost"] {
        let refused = Metrics::start(wrong, source.clone()).await.unwrap_err().to_string();
        assert!(refused.contains(wrong) && refused.contains("127.0.0.1:9090"), "{refused}");
    }
}
