//! The health of a container, as commands that container engines run in it.

use std::{fmt::Write as _, time::Duration};

use super::units::{Content, Unit};
use crate::{
    graph::Graph,
    model::{Check, Command, Expectation, Fleet, Http, Probe, Service},
};

/// A check of a whole container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    /// What is executed in it.
    pub(super) words: Vec<String>,
    pub(super) period: Duration,
    pub(super) timeout: Duration,
    pub(super) failures: u32,
    /// How long failures do not count after the start.
    pub(super) start: Duration,
}

/// The check of a container: Masque's own word where it runs inside, otherwise the service's probe as far as programs
/// that images usually have can make it.
pub(super) fn of(unit: &Unit<'_>, fleet: &Fleet, graph: &Graph) -> Option<Health> {
    let words = command(unit)?;
    let probes = || unit.services.iter().filter_map(|service| probe(service));
    Some(Health {
        words,
        period: probes().map(|probe| probe.period).min().unwrap_or(Duration::from_secs(10)).max(Duration::from_secs(1)),
        timeout: probes()
            .map(|probe| probe.timeout)
            .max()
            .unwrap_or(Duration::from_secs(2))
            .max(Duration::from_secs(1)),
        failures: probes().map(|probe| probe.failures).max().unwrap_or(3).max(1),
        start: unit.ready_within(fleet, graph).max(Duration::from_secs(1)),
    })
}

fn probe(service: &Service) -> Option<&Probe> {
    service.ready.as_ref().or(service.live.as_ref())
}

/// The words of the check.
pub(super) fn command(unit: &Unit<'_>) -> Option<Vec<String>> {
    let service = unit.services.first()?;
    match unit.content {
        Content::Supervised => Some(supervised(unit)),
        Content::Alone => words(&probe(service)?.check),
    }
}

/// Masque inside has its own probe for each service; it is asked for the worst of them.
fn supervised(unit: &Unit<'_>) -> Vec<String> {
    let status = ["masque", "fleet", "status", "--healthy", "--file", super::MANIFEST];
    let part = ["--host", unit.host, "--group", unit.own_group()];
    status.into_iter().chain(part).map(str::to_owned).collect()
}

/// The words that make a check within a container; none when only the service itself can say it.
#[must_use]
pub fn words(check: &Check) -> Option<Vec<String>> {
    let shell = |line: String| Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), line]);
    match check {
        Check::Exec(Command::Exec(words)) if words.is_empty() => None,
        Check::Exec(command) => Some(command.words()),
        Check::Tcp(address) => {
            let (host, port) = address.rsplit_once(':')?;
            shell(format!("nc -z {} {}", word(host), word(port)))
        }
        Check::Http(http) => shell(http_line(http)),
        Check::Grpc { address, service } => {
            let mut words = vec!["grpc_health_probe".to_owned(), format!("-addr={address}")];
            if !service.is_empty() {
                words.push(format!("-service={service}"));
            }
            Some(words)
        }
        Check::Zmq { address, request, expect } => {
            Some(vec!["python3".to_owned(), "-c".to_owned(), zmq_script(address, &request.to_string(), expect)])
        }
        Check::File(path) => Some(vec!["test".to_owned(), "-e".to_owned(), path.to_string_lossy().into_owned()]),
        Check::Notify | Check::Descriptor | Check::Log(_) => None,
    }
}

/// Asks over HTTP. Only `curl` tells the status.
fn http_line(http: &Http) -> String {
    let url = word(&format!("http://{}{}", http.address, http.path));
    let mut headers = String::new();
    for (name, value) in &http.headers {
        let _ = write!(headers, "--header {} ", word(&format!("{name}: {value}")));
    }
    let curl = "curl --silent --show-error --output /dev/null";
    if http.is_usual() {
        return format!("{curl} --fail {headers}{url} || wget -q -O /dev/null {headers}{url}");
    }
    let (first, last) = http.status;
    format!(
        "status=$({curl} --write-out '%{{http_code}}' {headers}{url}) && test \"$status\" -ge {first} && test \"$status\" -le {last}"
    )
}

/// Asks over ZeroMQ and looks at the reply: one that says `error` fails.
fn zmq_script(address: &str, request: &str, expect: &[Expectation]) -> String {
    let rules: Vec<_> = expect
        .iter()
        .map(|rule| {
            // Without good values every one is good.
            let poor = rule.degraded.iter().filter(|_| !rule.healthy.is_empty());
            let good: Vec<_> = rule.healthy.iter().chain(poor).cloned().collect();
            serde_json::json!([rule.path.split('.').collect::<Vec<_>>(), good, rule.optional])
        })
        .collect();
    // Text of JSON is text of Python too when it is read by `json.loads`.
    let rules = serde_json::Value::from(rules).to_string();
    format!(
        "import json,sys,zmq\n\
         s=zmq.Context().socket(zmq.REQ); s.linger=0; s.rcvtimeo=s.sndtimeo=2000; s.connect({})\n\
         s.send_string({}); r=json.loads(s.recv())\n\
         for path,good,optional in json.loads({}):\n\
         \x20   v=r\n\
         \x20   for k in path: v=v.get(k) if isinstance(v,dict) else None\n\
         \x20   if v is None and optional: continue\n\
         \x20   if good and v not in good: sys.exit('%s is %r' % ('.'.join(path), v))\n",
        python(&format!("tcp://{address}")),
        python(request),
        python(&rules),
    )
}

/// A string of Python.
fn python(text: &str) -> String {
    let mut out = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            ' '..='~' => out.push(letter),
            other => {
                let _ = write!(out, "\\U{:08x}", u32::from(other));
            }
        }
    }
    out.push('\'');
    out
}

/// A word of the shell.
pub(super) fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+=,".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whole seconds, at least one.
pub(super) fn seconds(duration: Duration) -> i64 {
    let more = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(more).max(1)).unwrap_or(i64::MAX)
}
