//! Probes out of their keys: which check, whom it asks, what it expects.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::model::{Check, Command, Expectation, Http, Probe};

use super::{
    keys::{CHECKS, CommandKeys, GrpcKeys, HttpKeys, ProbeKeys, StatusKeys, TargetKeys, Values, ZmqKeys},
    node::Place,
    notes::Notes,
    shapes::{Placed, Short},
    units::Port,
};

/// What the `status` of an agent's answer is when it is well.
const GOOD_STATUS: [&str; 6] = ["ok", "healthy", "success", "ready", "running", "up"];
/// What it is when the agent works, but not well.
const POOR_STATUS: [&str; 1] = ["degraded"];

/// Whom the checks of a service ask when they do not say it.
pub(super) struct Target<'a> {
    /// The address that the service listens on.
    pub(super) listen: Option<&'a str>,
    /// The port that its probes ask.
    pub(super) port: Option<u16>,
    /// Added to ports that a check names.
    pub(super) port_offset: u16,
}

/// The probe; nothing where none is wanted, or where it is wrong, which is told.
pub(super) fn read(keys: Placed<Short<bool, ProbeKeys>>, target: &Target<'_>, notes: &mut Notes) -> Option<Probe> {
    let place = keys.place;
    let keys = match keys.value {
        Short::Short(false) => return None,
        Short::Short(true) => {
            let hint = "write for example `{ tcp = true }`, or `false` for none";
            notes.push(place.error("`true` names no check").hint(hint));
            return None;
        }
        Short::Long(keys) => keys,
    };
    let (period, timeout) = (keys.period, keys.timeout);
    let (failures, successes) = (keys.failures, keys.successes);
    let mut probe = Probe::new(check(keys, &place, target, notes)?);
    probe.period = period.map_or(probe.period, |span| span.0);
    probe.timeout = timeout.map_or(probe.timeout, |span| span.0);
    probe.failures = failures.unwrap_or(probe.failures);
    probe.successes = successes.unwrap_or(probe.successes);
    if probe.period == Duration::ZERO || probe.timeout == Duration::ZERO {
        notes.push(
            place.error("`period` and `timeout` of a probe are more than nothing").hint("write for example `1s`"),
        );
    }
    if probe.failures == 0 || probe.successes == 0 {
        notes.push(place.error("`failures` and `successes` of a probe are 1 or more"));
    }
    Some(probe)
}

fn check(keys: ProbeKeys, place: &Place, target: &Target<'_>, notes: &mut Notes) -> Option<Check> {
    let mut checks: Vec<Option<Check>> = Vec::new();
    let mut fault = |message: Fault, place: &Place| -> Option<Check> {
        notes.push(
            message
                .hint
                .map_or_else(|| place.error(message.text.clone()), |hint| place.error(message.text.clone()).hint(hint)),
        );
        None
    };
    if let Some(keys) = keys.zmq {
        checks.push(zmq(keys.value, target).map_or_else(|error| fault(error, &keys.place), Some));
    }
    if let Some(keys) = keys.http {
        checks.push(http(keys.value, target).map_or_else(|error| fault(error, &keys.place), Some));
    }
    if let Some(keys) = keys.tcp {
        let address = target.of(&keys.value);
        checks.push(address.map_or_else(|error| fault(error, &keys.place), |address| Some(Check::Tcp(address))));
    }
    if let Some(keys) = keys.grpc {
        checks.push(grpc(keys.value, target).map_or_else(|error| fault(error, &keys.place), Some));
    }
    checks.extend(keys.exec.map(|keys| Some(Check::Exec(command(keys)))));
    checks.extend(keys.notify.filter(|wanted| *wanted).map(|_| Some(Check::Notify)));
    checks.extend(keys.fd.filter(|wanted| *wanted).map(|_| Some(Check::Descriptor)));
    checks.extend(keys.file.map(|path| Some(Check::File(PathBuf::from(path)))));
    if let Some(pattern) = keys.log {
        let wrong = regex::Regex::new(&pattern).err().map(|error| {
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Fault::new(format!("`log` is no regular expression: {reason}"))
        });
        checks.push(wrong.map_or_else(|| Some(Check::Log(pattern)), |wrong| fault(wrong, place)));
    }
    if checks.len() > 1 {
        let hint = "keep one: a service has one check for `ready` and one for `live`";
        fault(Fault::new("a probe has one check, and this one has several").hint(hint), place);
    } else if checks.is_empty() {
        let hint = format!("one of these is needed: {}", CHECKS.join(", "));
        fault(Fault::new("the probe checks nothing").hint(hint), place);
    }
    checks.into_iter().next().flatten()
}

/// What is wrong with a check, and what to do.
struct Fault {
    text: String,
    hint: Option<String>,
}

impl Fault {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Target<'_> {
    /// `address:port`, by what a check says of either.
    fn address(&self, address: Option<&str>, port: Option<Port>) -> Result<String, Fault> {
        if let Some(address) = address {
            if port.is_some() {
                return Err(Fault::new("`address` has a port already").hint("keep `address` or `port`"));
            }
            return with_port(address);
        }
        let named = port.map(|port| {
            let fault = || Fault::new(format!("the port {} is too high for the port offset", port.0));
            port.0.checked_add(self.port_offset).ok_or_else(fault)
        });
        let port = named.transpose()?.or(self.port).ok_or_else(|| {
            let hint = "give the service a `port`, give the check one, or write `false` for no probe";
            Fault::new("there is no port to ask").hint(hint)
        })?;
        let everywhere = |address: &&str| !matches!(*address, "0.0.0.0" | "::" | "[::]" | "*" | "");
        let host = self.listen.filter(everywhere).unwrap_or("127.0.0.1");
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Ok(if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") })
    }

    fn of(&self, target: &TargetKeys) -> Result<String, Fault> {
        match target {
            TargetKeys::Own(true) => self.address(None, None),
            TargetKeys::Own(false) => Err(Fault::new("`false` checks nothing").hint("remove the key")),
            TargetKeys::Port(port) => self.address(None, Some(*port)),
            TargetKeys::Address(address) => self.address(Some(address), None),
        }
    }
}

/// The address, if it has a port.
fn with_port(address: &str) -> Result<String, Fault> {
    let address = address.trim_start_matches("tcp://");
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        Some(_) => Ok(address.to_owned()),
        None => {
            Err(Fault::new(format!("`{address}` is no address with a port")).hint("write for example `127.0.0.1:5570`"))
        }
    }
}

/// What is executed.
pub(super) fn command(keys: CommandKeys) -> Command {
    match keys {
        CommandKeys::Shell(line) => Command::Shell(line),
        CommandKeys::Exec(words) => Command::Exec(words),
    }
}

fn zmq(keys: Short<bool, ZmqKeys>, target: &Target<'_>) -> Result<Check, Fault> {
    let keys = match keys {
        Short::Short(true) => ZmqKeys::default(),
        Short::Short(false) => return Err(Fault::new("`false` checks nothing").hint("remove the key")),
        Short::Long(keys) => keys,
    };
    let address = target.address(keys.address.as_deref(), keys.port)?;
    let request = keys.request.unwrap_or_else(|| json!({ "action": "health_check" }));
    let optional = keys.optional.unwrap_or_default();
    let (mut healthy, mut degraded) = (values(keys.expect), values(keys.degraded));
    if healthy.is_empty() {
        healthy.insert("status".to_owned(), GOOD_STATUS.map(Value::from).to_vec());
        degraded.entry("status".to_owned()).or_insert_with(|| POOR_STATUS.map(Value::from).to_vec());
    }
    // A path of which only poor values are said is good with every other one, and without any.
    for path in degraded.keys() {
        healthy.entry(path.clone()).or_default();
    }
    let expect = healthy.into_iter().map(|(path, healthy)| {
        let degraded = degraded.remove(&path).unwrap_or_default();
        let optional = optional.contains(&path) || healthy.is_empty();
        Expectation { path, healthy, degraded, optional }
    });
    let expect = expect.collect();
    Ok(Check::Zmq { address, request, expect })
}

fn values(keys: Option<BTreeMap<String, Values>>) -> BTreeMap<String, Vec<Value>> {
    let entries = keys.into_iter().flatten().map(|(path, values)| match values {
        Values::Many(values) => (path, values),
        Values::One(value) => (path, vec![value]),
    });
    entries.collect()
}

fn http(keys: Short<String, HttpKeys>, target: &Target<'_>) -> Result<Check, Fault> {
    let keys = match keys {
        Short::Long(keys) => keys,
        Short::Short(path) => match path.strip_prefix("http://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        {
            Some((address, path)) => {
                let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
                HttpKeys { address: Some(address), path: Some(format!("/{path}")), ..HttpKeys::default() }
            }
            None => HttpKeys { path: Some(path), ..HttpKeys::default() },
        },
    };
    let path = keys.path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') {
        return Err(
            Fault::new(format!("the path `{path}` does not begin with `/`")).hint("write for example `/health`")
        );
    }
    let status = match keys.status {
        None => (200, 399),
        Some(StatusKeys::One(code)) => (code, code),
        Some(StatusKeys::Range([from, to])) => (from, to),
    };
    if status.0 > status.1 || status.0 < 100 || status.1 > 599 {
        let hint = "write one from 100 to 599, or two as `[200, 299]`";
        return Err(Fault::new(format!("{} to {} are no status codes", status.0, status.1)).hint(hint));
    }
    let address = target.address(keys.address.as_deref(), keys.port)?;
    Ok(Check::Http(Http { address, path, headers: keys.headers.unwrap_or_default(), status }))
}

fn grpc(keys: Short<TargetKeys, GrpcKeys>, target: &Target<'_>) -> Result<Check, Fault> {
    let keys = match keys {
        Short::Short(short) => {
            return Ok(Check::Grpc { address: target.of(&short)?, service: String::new() });
        }
        Short::Long(keys) => keys,
    };
    let address = target.address(keys.address.as_deref(), keys.port)?;
    Ok(Check::Grpc { address, service: keys.service.unwrap_or_default() })
}
