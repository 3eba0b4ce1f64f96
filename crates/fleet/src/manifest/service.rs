//! One service out of its keys: program, ports, probes, restart, limits.
//!
//! Leaves out whom it depends on, which needs the names of all services.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::model::{
    Account, Backoff, Check, Command, Container, Host, Kind, Limits, Logs, Probe, Program, Restart, Service, ServiceId,
    Start, Stop,
};

use super::{
    keys::{LimitKeys, LogKeys, ProbeKeys, RestartKeys, ServiceKeys, StopKeys},
    node::Place,
    notes::{Notes, suggestion},
    probe::{self, Target},
    script::{Roots, clean},
    shapes::{Placed, Short},
};

/// Signals that a service can be told.
const SIGNALS: [&str; 10] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL", "WINCH", "CONT", "ABRT"];
/// How long a service may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a service is read in.
pub(super) struct Surroundings<'a> {
    pub(super) directory: &'a Path,
    pub(super) roots: &'a Roots,
    pub(super) host: Option<&'a Host>,
    pub(super) port_offset: u16,
    /// The container of its group.
    pub(super) container: Option<&'a Container>,
    /// Where the service is declared.
    pub(super) place: &'a Place,
    /// Whether some of its keys could not be read, so that what is missing may be one of them.
    pub(super) faulty: bool,
}

impl Surroundings<'_> {
    /// The port in the container that a port of the machine leads to: a container is asked from inside.
    fn inside(&self, port: u16) -> u16 {
        let publish = self.container.map(|container| container.publish.as_slice()).unwrap_or_default();
        publish.iter().find(|published| published.machine_port() == Some(port)).map_or(port, |found| found.container)
    }
}

/// The ports of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) port: Option<u16>,
    pub(super) others: BTreeMap<String, u16>,
}

impl Ports {
    /// The ports, with what is added to each.
    pub(super) fn of(keys: &ServiceKeys, around: &Surroundings<'_>, notes: &mut Notes) -> Self {
        let mut too_high = |port: u16, added: u16| {
            let sum = port.checked_add(added);
            if sum.is_none() {
                notes.push(around.place.error(format!("port {port} and {added} more are above 65535")));
            }
            sum
        };
        let port = keys.port.and_then(|port| too_high(port.0, around.port_offset));
        let named = keys.ports.iter().flatten();
        let mut others: BTreeMap<String, u16> =
            named.filter_map(|(name, port)| Some((name.clone(), too_high(port.0, around.port_offset)?))).collect();
        if let (Some(port), Some(offset)) = (port, keys.health_port_offset)
            && !others.contains_key("health")
            && offset > 0
        {
            others.extend(too_high(port, offset).map(|port| ("health".to_owned(), port)));
        }
        Self { port, others }
    }

    /// The port that probes ask.
    pub(super) fn health(&self) -> Option<u16> {
        self.others.get("health").copied().or(self.port)
    }
}

/// The service; its dependencies and fallbacks are still to be found.
pub(super) fn read(
    id: ServiceId,
    group: Option<String>,
    mut keys: ServiceKeys,
    around: &Surroundings<'_>,
    notes: &mut Notes,
) -> Service {
    let ports = Ports::of(&keys, around, notes);
    let listen = keys.listen.take();
    let is_alone = keys.image.is_some();
    let target = Target {
        listen: listen.as_deref(),
        port: ports
            .health()
            .map(|port| if is_alone { around.inside(port) } else { port })
            .or(around.faulty.then_some(1)),
        port_offset: if is_alone { 0 } else { around.port_offset },
    };
    let ready = keys.ready.take().and_then(|keys| probe::read(keys, &target, notes));
    let live = keys.live.take().and_then(|keys| liveness(keys, &target, notes));
    let kind = keys.kind.unwrap_or_default();
    Service {
        group,
        description: keys.description.take(),
        kind,
        start: keys.start.unwrap_or(Start::Always),
        port: ports.port,
        ports: ports.others,
        dependencies: Vec::new(),
        ready,
        ready_within: keys.ready_within.map_or(READY_WITHIN, |span| span.0),
        live,
        restart: restart(keys.restart.take(), kind),
        stop: stop(keys.stop.take(), notes),
        limits: limits(keys.limits.take(), notes),
        logs: logs(keys.logs.take()),
        required: keys.required.unwrap_or(true),
        fallback: Vec::new(),
        reload_signal: keys.reload_signal.take().and_then(|name| signal(&name, notes)),
        program: program(&id, keys, around, notes),
        listen,
        id,
    }
}

/// The probe for liveness, which has to be able to fail later.
fn liveness(keys: Placed<Short<bool, ProbeKeys>>, target: &Target<'_>, notes: &mut Notes) -> Option<Probe> {
    let place = keys.place.clone();
    let probe = probe::read(keys, target, notes)?;
    if probe.check == Check::Descriptor {
        let hint = "keep it for `ready`, and take another check for `live`, or `false` for none";
        notes.push(
            place.error("`fd` says once that a service is ready, and nothing about whether it lives on").hint(hint),
        );
    }
    Some(probe)
}

fn program(id: &ServiceId, mut keys: ServiceKeys, around: &Surroundings<'_>, notes: &mut Notes) -> Program {
    let mut environment = around.host.map(|host| host.environment.clone()).unwrap_or_default();
    environment.extend(keys.environment.take().unwrap_or_default());
    let script_file = keys.script.as_ref().and_then(|script| around.roots.find(&script.value));
    let in_image = keys.image.is_some();
    let directory = match (&keys.directory, in_image) {
        (Some(directory), true) => directory.into(),
        // The image says it.
        (None, true) => std::path::PathBuf::new(),
        (directory, false) => clean(&around.directory.join(directory.as_deref().unwrap_or(""))),
    };
    let command = match (keys.command.take(), keys.script.as_ref()) {
        (Some(command), None) => probe::command(command),
        (None, Some(script)) => {
            let file = script_file.clone().unwrap_or_else(|| clean(&around.directory.join(&script.value)));
            let words = interpreter(&keys, &script.value);
            if is_python(words.first()) {
                let roots = around.roots.0.iter().map(|root| root.to_string_lossy()).collect::<Vec<_>>().join(":");
                environment.entry("PYTHONPATH".to_owned()).or_insert(roots);
            }
            let args = keys.args.take().map(super::keys::OneOrMany::into_vec).unwrap_or_default();
            Command::Exec(words.into_iter().chain([file.to_string_lossy().into_owned()]).chain(args).collect())
        }
        (Some(_), Some(script)) => {
            let message = format!("`{}` has a `command` and a `script`", id.name);
            notes.push(script.place.error(message).hint("keep one of the two"));
            Command::Exec(Vec::new())
        }
        (None, None) => {
            if !in_image && !around.faulty {
                let message = format!("`{}` says nothing to execute", id.name);
                notes.push(around.place.error(message).hint("add `command = \"…\"` or `script = \"….py\"`"));
            }
            Command::Exec(Vec::new())
        }
    };
    let is_empty =
        command.words().iter().all(|word| word.trim().is_empty()) || command == Command::Shell(String::new());
    if is_empty && !in_image && !notes.has_errors() {
        notes.push(around.place.error(format!("the command of `{}` is empty", id.name)).hint("name a program"));
    }
    Program {
        command,
        image: keys.image,
        script: keys.script.map(|script| script.value),
        script_file,
        directory,
        environment,
        pass: keys.pass.unwrap_or_default(),
        account: keys.user.and_then(|user| account(&user, notes)),
        umask: keys.umask.map(|mask| mask.0),
    }
}

/// What executes a script, with its options.
fn interpreter(keys: &ServiceKeys, script: &str) -> Vec<String> {
    let ending = Path::new(script).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let words = match (keys.interpreter.clone().map(super::keys::OneOrMany::into_vec), ending) {
        (Some(words), _) => words,
        (None, "py") => vec!["python3".to_owned()],
        (None, "sh") => vec!["/bin/sh".to_owned()],
        (None, _) => Vec::new(),
    };
    // Without `-u` what it prints arrives when its buffer is full.
    if words.len() == 1 && is_python(words.first()) {
        return words.into_iter().chain(["-u".to_owned()]).collect();
    }
    words
}

fn is_python(word: Option<&String>) -> bool {
    let name = word.and_then(|word| Path::new(word).file_name()).map(std::ffi::OsStr::to_string_lossy);
    name.is_some_and(|name| name.starts_with("python") || name.starts_with("pypy"))
}

fn account(user: &Placed<String>, notes: &mut Notes) -> Option<Account> {
    let (name, group) =
        user.value.split_once(':').map_or((user.value.as_str(), None), |(name, group)| (name, Some(group)));
    if name.is_empty() || group == Some("") || user.value.contains(char::is_whitespace) {
        let message = format!("`{}` is no user", user.value);
        notes.push(user.place.error(message).hint("write `user`, or `user:group`"));
        return None;
    }
    Some(Account { user: name.to_owned(), group: group.map(str::to_owned) })
}

fn restart(keys: Option<Short<crate::model::RestartPolicy, RestartKeys>>, kind: Kind) -> Restart {
    let usual = match kind {
        Kind::Service => Restart::default(),
        Kind::Task => Restart { policy: crate::model::RestartPolicy::OnFailure, ..Restart::default() },
    };
    let keys = match keys {
        None => return usual,
        Some(Short::Short(policy)) => return Restart { policy, ..usual },
        Some(Short::Long(keys)) => keys,
    };
    let backoff = Backoff {
        first: keys.first.map_or(usual.backoff.first, |span| span.0),
        max: keys.max.map_or(usual.backoff.max, |span| span.0),
        stable_after: keys.stable_after.map_or(usual.backoff.stable_after, |span| span.0),
    };
    Restart {
        policy: keys.policy.unwrap_or(usual.policy),
        backoff,
        limit: keys.limit.map_or(usual.limit, |limit| Some(limit).filter(|limit| *limit > 0)),
        window: keys.window.map_or(usual.window, |span| span.0),
        retry_after: keys.retry_after.map_or(usual.retry_after, |span| Some(span.0).filter(|span| !span.is_zero())),
    }
}

fn stop(keys: Option<StopKeys>, notes: &mut Notes) -> Stop {
    let usual = Stop::default();
    let Some(keys) = keys else { return usual };
    Stop {
        signal: keys.signal.and_then(|name| signal(&name, notes)).unwrap_or(usual.signal),
        grace: keys.grace.map_or(usual.grace, |span| span.0),
    }
}

/// The name of a signal, without `SIG`.
fn signal(name: &Placed<String>, notes: &mut Notes) -> Option<String> {
    let upper = name.value.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if SIGNALS.contains(&short) {
        return Some(short.to_owned());
    }
    notes.push(name.place.error(format!("`{}` is no signal", name.value)).hint(suggestion(short, SIGNALS)));
    None
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn limits(keys: Option<LimitKeys>, notes: &mut Notes) -> Limits {
    let Some(keys) = keys else { return Limits::default() };
    let milli_cpus = keys.cpus.and_then(|cpus| {
        let wanted = (0.001..=4096.0).contains(&cpus.value);
        if !wanted {
            let message = format!("`cpus` is {}, expected from 0.001 to 4096", cpus.value);
            notes.push(cpus.place.error(message).hint("write for example `1.5`"));
        }
        wanted.then(|| (cpus.value * 1000.0).round() as u32)
    });
    Limits {
        memory_bytes: keys.memory.map(|size| size.0),
        milli_cpus,
        processes: keys.processes,
        open_files: keys.open_files,
        enforce: keys.enforce.unwrap_or(false),
    }
}

fn logs(keys: Option<LogKeys>) -> Logs {
    let usual = Logs::default();
    let Some(keys) = keys else { return usual };
    Logs {
        rotate_bytes: keys.rotate.map_or(usual.rotate_bytes, |size| size.0.max(4096)),
        keep: keys.keep.unwrap_or(usual.keep),
        budget_bytes: keys.budget.map(|size| size.0),
    }
}
