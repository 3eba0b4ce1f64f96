//! The health check of a Compose service.
//!
//! A Python line that asks a ZeroMQ socket for JSON becomes the check that does so without starting Python, with what
//! the line forgets: a look at the answer.

use serde_json::Value;

use super::{
    super::node::{Content, Node, Place},
    Reading, words,
};

/// Reads `healthcheck` into a probe for readiness and liveness.
pub(super) fn read(reading: &mut Reading<'_>, value: &Node) {
    let disabled = value.get("disable").is_some_and(|disable| disable.content == Content::Bool(true));
    let test = value.get("test");
    let Some(check) = test.filter(|_| !disabled).and_then(|test| check(reading, test)) else {
        if test.is_none() && !disabled {
            reading.lost(&value.place, "`healthcheck` without `test`");
        }
        return;
    };
    let mut keys = vec![check];
    for entry in value.entries() {
        match entry.key.as_str() {
            "interval" => keys.push(("period", entry.value.clone())),
            "timeout" => keys.push(("timeout", entry.value.clone())),
            "retries" => keys.push(("failures", entry.value.clone())),
            // Before a service is ready it is asked faster than any interval says.
            "test" | "disable" | "start_interval" => {}
            "start_period" => reading.set("ready_within", within(value, &entry.value)),
            other => reading.lost(&entry.place, &format!("`healthcheck.{other}`")),
        }
    }
    // What Compose does where nothing is said.
    for (key, usual) in [("period", "30s"), ("timeout", "30s")] {
        if !keys.iter().any(|(known, _)| *known == key) {
            keys.push((key, Node::text_at(&value.place, usual)));
        }
    }
    let probe = Node::map_at(&value.place, keys);
    reading.set("ready", probe.clone());
    reading.set("live", probe);
}

/// A container counts as unhealthy after its start period and all retries.
fn within(value: &Node, start_period: &Node) -> Node {
    let span = |node: &Node| super::super::units::duration(&node.written()?);
    let interval = value.get("interval").and_then(span).unwrap_or(std::time::Duration::from_secs(30));
    let retries = value.get("retries").and_then(Node::written).and_then(|text| text.parse::<u32>().ok()).unwrap_or(3);
    span(start_period).map_or_else(
        || start_period.clone(),
        |start| {
            let whole = start.saturating_add(interval.saturating_mul(retries)).max(std::time::Duration::from_secs(60));
            Node::text_at(&start_period.place, format!("{}ms", whole.as_millis()))
        },
    )
}

fn check(reading: &mut Reading<'_>, test: &Node) -> Option<(&'static str, Node)> {
    let place = &test.place;
    let line = match &test.content {
        Content::List(_) => None,
        _ => test.written(),
    };
    let words = if line.is_none() { words::of(reading.notes, test) } else { Vec::new() };
    let text = line.clone().unwrap_or_else(|| words.join(" "));
    if let Some(zmq) = zmq(&text, place) {
        return Some(("zmq", zmq));
    }
    if let Some(line) = line {
        return Some(("exec", Node::text_at(place, line)));
    }
    let rest: Vec<Node> = words.iter().skip(1).map(|word| Node::text_at(place, word.clone())).collect();
    match words.first().map(String::as_str) {
        Some("NONE") => None,
        Some("CMD-SHELL") => Some(("exec", Node::text_at(place, words.get(1).cloned().unwrap_or_default()))),
        Some("CMD") => Some(("exec", Node::at(place.clone(), Content::List(rest)))),
        _ => {
            let hint = "write `[CMD, program, argument]`, `[CMD-SHELL, line]` or `[NONE]`";
            reading
                .notes
                .push(place.error(format!("the test of `{}` does not say how it is run", reading.name)).hint(hint));
            None
        }
    }
}

/// The check in `… import zmq … connect('tcp://localhost:5563') … send_json({'action': 'health_check'}) …`. Like every
/// check of a container it asks from inside, by the port there.
fn zmq(text: &str, place: &Place) -> Option<Node> {
    if !text.contains("zmq") || !text.contains("REQ") {
        return None;
    }
    let address = text.split_once("tcp://")?.1.split(['\'', '"', ')', ' ']).next()?;
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let request = text.split_once("send_json(").and_then(|(_, rest)| dictionary(rest));
    let host = if matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "*") { "127.0.0.1" } else { host };
    let address = Node::text_at(place, format!("{host}:{port}"));
    let request = request.map(|request| ("request", Node::json_at(place, request)));
    Some(Node::map_at(place, [("address", address)].into_iter().chain(request)))
}

/// The dictionary that a line of Python begins with. Its quotes are those of JSON after a change, or it is not taken.
fn dictionary(text: &str) -> Option<Value> {
    let end = text.find('}')?;
    serde_json::from_str(&text.get(..=end)?.replace('\'', "\"")).ok()
}
