//! When a container is well: its supervisor says so, or its probe.

use std::{cell::RefCell, path::Path, time::Duration};

use masque_container::Engine;
use masque_fleet::{
    export::{Content, Unit, words},
    model::{Check, Probe, Service, Start},
    status::{Change, ServiceStatus, State},
};
use regex::bytes::Regex;
use tokio::time::sleep;

use super::Progress;
use crate::{Error, control::Client, directory::StateDirectory, machine::Outcome, probe};

/// The first wait between two looks, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How much of what a container printed is told when it ended.
const LINES: usize = 20;

/// How a container became what others wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is well, or came to its end as it should.
    Well,
    /// It is not; why, in a sentence.
    Failed(String),
}

/// A container that runs.
#[derive(Debug)]
pub(super) struct Running<'a> {
    pub(super) unit: &'a Unit<'a>,
    pub(super) name: &'a str,
    /// The state directory of its supervisor.
    pub(super) state: &'a Path,
    /// Whether it was just started: then all that its services did is news.
    pub(super) is_new: bool,
}

/// Waits until a container is well, or will not be.
pub(super) async fn wait(engine: &Engine, running: &Running<'_>, tell: &impl Fn(Progress)) -> Result<Verdict, Error> {
    let Running { unit, name, .. } = running;
    match (unit.content, unit.only()) {
        (Content::Alone, Some(service)) if unit.is_task() => ended(engine, service, name).await,
        (Content::Alone, Some(service)) => answered(engine, unit, service, name).await,
        _ => supervised(engine, running, tell).await,
    }
}

/// A wait that grows.
struct Patience(Duration);

impl Patience {
    fn new() -> Self {
        Self(LOOKS.0)
    }

    async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LOOKS.1);
    }
}

/// A task's end.
async fn ended(engine: &Engine, service: &Service, name: &str) -> Result<Verdict, Error> {
    Ok(match engine.service_end(name).await? {
        0 => Verdict::Well,
        code => Verdict::Failed(format!("task {} ended with code {code}{}", service.id, printed(engine, name).await)),
    })
}

/// A service's own probe, asked from outside or executed inside.
async fn answered(engine: &Engine, unit: &Unit<'_>, service: &Service, name: &str) -> Result<Verdict, Error> {
    let Some(probe) = &service.ready else { return Ok(Verdict::Well) };
    let last = RefCell::new("it was not asked yet".to_owned());
    let asking = async {
        match &probe.check {
            Check::Log(pattern) => said(engine, name, pattern, &last).await,
            Check::Notify | Check::Descriptor => {
                let why =
                    "its ready probe needs a supervisor, and it has none in an image of its own: use `log` or another";
                Ok(Verdict::Failed(why.to_owned()))
            }
            _ => polled(engine, unit, probe, name, &last).await,
        }
    };
    let asked = tokio::time::timeout(service.ready_within, asking).await;
    asked.unwrap_or_else(|_| {
        Ok(Verdict::Failed(format!("not ready within {:?}: {}", service.ready_within, last.borrow())))
    })
}

/// Waits for a line that the container prints.
async fn said(engine: &Engine, name: &str, pattern: &str, last: &RefCell<String>) -> Result<Verdict, Error> {
    let line = Regex::new(pattern).map_err(|error| Error::Refused(format!("`{pattern}`: {error}")))?;
    last.replace(format!("it printed no line that `{pattern}` means"));
    if engine.service_says(name, |text| line.is_match(text)).await? {
        return Ok(Verdict::Well);
    }
    Ok(Verdict::Failed(format!("it ended{}", printed(engine, name).await)))
}

/// Asks again and again.
async fn polled(
    engine: &Engine,
    unit: &Unit<'_>,
    probe: &Probe,
    name: &str,
    last: &RefCell<String>,
) -> Result<Verdict, Error> {
    let mut patience = Patience::new();
    loop {
        let Some(found) = engine.service(name).await?.filter(|found| found.is_running) else {
            return Ok(Verdict::Failed(format!("it ended{}", printed(engine, name).await)));
        };
        // The network of an engine without root rights is not that of this machine.
        let address = found.address.filter(|_| !engine.info().rootless);
        match check(engine, probe, name, way(unit, &probe.check, address.as_deref())).await {
            Outcome::Healthy | Outcome::Degraded(_) => return Ok(Verdict::Well),
            Outcome::Unhealthy(why) => drop(last.replace(why)),
        }
        patience.wait().await;
    }
}

/// How a container is asked.
#[derive(Debug, PartialEq)]
enum Way {
    /// From here.
    Outside(Check),
    /// By a program that is executed inside.
    Inside(Vec<String>),
    /// Not at all; why, in a sentence.
    None(String),
}

/// How a check of a container is made. `address` is its own one, where it is reached from here. Ports that the check names
/// are those of the container, unless only the machine has such a port.
fn way(unit: &Unit<'_>, check: &Check, address: Option<&str>) -> Way {
    let inside = || match words(check) {
        Some(words) => Way::Inside(words),
        None => Way::None("nothing says how it is asked".to_owned()),
    };
    let Some((host, port)) = check.address().and_then(|asked| asked.rsplit_once(':')) else { return inside() };
    let is_own = matches!(host, "127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0");
    let (published, number) = (unit.published(), port.parse::<u16>().ok());
    let passed_on = published.iter().find(|one| Some(one.container) == number);
    let is_machines = passed_on.is_none() && published.iter().any(|one| one.machine_port() == number);
    if unit.network.is_none() || !is_own || is_machines {
        return Way::Outside(check.clone());
    }
    let machine = passed_on.and_then(|one| {
        let host =
            one.address.as_deref().filter(|address| !matches!(*address, "0.0.0.0" | "::")).unwrap_or("127.0.0.1");
        Some((host, one.machine_port()?.to_string()))
    });
    let seen = address.map(|address| (address, port.to_owned())).or(machine);
    seen.map_or_else(inside, |(host, port)| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Way::Outside(check.clone().at(format!("{host}:{port}")))
    })
}

/// One check of a container.
async fn check(engine: &Engine, probe: &Probe, name: &str, way: Way) -> Outcome {
    let words = match way {
        Way::Outside(check) => {
            let asked = probe::ask(&check, probe.timeout).await;
            return asked.unwrap_or_else(|| Outcome::Unhealthy("nobody can ask it from outside".to_owned()));
        }
        Way::Inside(words) => words,
        Way::None(why) => return Outcome::Unhealthy(why),
    };
    match tokio::time::timeout(probe.timeout, engine.execute_in_service(name, words)).await {
        Err(_) => Outcome::Unhealthy(format!("its check took longer than {:?}", probe.timeout)),
        Ok(Ok(0)) => Outcome::Healthy,
        Ok(Ok(code)) => Outcome::Unhealthy(format!("its check ended with code {code}")),
        // It may have ended since it was looked at, which the next look tells.
        Ok(Err(error)) => Outcome::Unhealthy(error.to_string()),
    }
}

/// What the supervisor inside says of its services, from its first word on.
async fn supervised(engine: &Engine, running: &Running<'_>, tell: &impl Fn(Progress)) -> Result<Verdict, Error> {
    let Running { unit, name, state, is_new } = *running;
    let Some((mut asks, mut changes)) = reach(engine, name, state).await? else {
        return Ok(Verdict::Failed(format!("its supervisor ended{}", printed(engine, name).await)));
    };
    let tell = |change: Change| tell(Progress::Service { unit: unit.name.clone(), id: change.id, state: change.to });
    let followed = async {
        let mut last = 0;
        loop {
            let status = asks.status().await?;
            let told = status.hosts.into_iter().flat_map(|host| host.services).collect::<Vec<_>>();
            if let Some(verdict) = verdict(unit, &told) {
                // What led to it and was not told yet.
                let rest = if is_new { asks.changes(last).await? } else { Vec::new() };
                rest.into_iter().for_each(tell);
                return Ok(verdict);
            }
            let change = changes.next_change().await?;
            last = change.number;
            tell(change);
        }
    };
    match followed.await {
        Err(Error::Gone) => Ok(Verdict::Failed(format!("its supervisor ended{}", printed(engine, name).await))),
        verdict => verdict,
    }
}

/// Its supervisor, as soon as that answers; none when the container ended before.
async fn reach(engine: &Engine, name: &str, state: &Path) -> Result<Option<(Client, Client)>, Error> {
    let mut patience = Patience::new();
    while engine.service(name).await?.is_some_and(|found| found.is_running) {
        match connect(state).await {
            Ok(clients) => return Ok(Some(clients)),
            Err(Error::NotRunning { .. } | Error::Gone | Error::Io(_)) => patience.wait().await,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn connect(state: &Path) -> Result<(Client, Client), Error> {
    let directory = StateDirectory::open(state)?;
    let (asks, mut changes) = (Client::connect(&directory).await?, Client::connect(&directory).await?);
    changes.follow_changes(0).await?;
    Ok((asks, changes))
}

/// What follows from the states of a unit's services; none as long as something still comes.
fn verdict(unit: &Unit<'_>, told: &[ServiceStatus]) -> Option<Verdict> {
    let mut failed = Vec::new();
    for service in &unit.services {
        let status = told.iter().find(|status| status.id == service.id)?;
        let rests = service.start == Start::Standby && status.state == State::Declared;
        if status.state.is_usable() || rests {
            continue;
        }
        // Before everything is wanted, every service is only declared.
        if !status.state.is_settled() || status.state == State::Declared {
            return None;
        }
        if service.required {
            failed.push(format!("{} is {}: {}", service.id, status.state.word(), status.why.join(", ")));
        }
    }
    Some(if failed.is_empty() { Verdict::Well } else { Verdict::Failed(failed.join("; ")) })
}

/// The last lines of a container that ended, as the end of a sentence.
async fn printed(engine: &Engine, name: &str) -> String {
    match engine.service_output(name, LINES).await {
        Ok(text) if !text.trim().is_empty() => format!("; it printed: {}", text.trim()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use masque_fleet::{
        export::units,
        model::{Container, Group, Network},
    };
    use masque_testkit::fleets::plain_fleet;

    use super::*;

    /// How a check of a container with these ports is made.
    fn asked(publish: &[&str], network: Option<Network>, address: Option<&str>, at: &str) -> String {
        let mut fleet = plain_fleet("db");
        let publish = publish.iter().filter_map(|text| text.parse().ok()).collect();
        let container = Some(Container { publish, network, ..Container::default() });
        fleet.groups.insert("g".to_owned(), Group { description: None, container });
        for service in &mut fleet.services {
            service.program.image = Some("db:1".to_owned());
            service.group = Some("g".to_owned());
        }
        let units = units(&fleet);
        match units.first().map(|unit| way(unit, &Check::Tcp(at.to_owned()), address)) {
            Some(Way::Outside(check)) => check.address().unwrap_or_default().to_owned(),
            Some(Way::Inside(words)) => words.join(" "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn containers_are_asked_where_they_are_reached() {
        let own = Some("10.88.0.5");
        // The container's port, by its address.
        assert_eq!(asked(&["15571:5571"], None, own, "127.0.0.1:5571"), "10.88.0.5:5571");
        assert_eq!(asked(&[], None, own, "localhost:80"), "10.88.0.5:80");
        // Where nobody reaches its address, the port that the machine passes on.
        assert_eq!(asked(&["15571:5571"], None, None, "127.0.0.1:5571"), "127.0.0.1:15571");
        assert_eq!(asked(&["[::1]:1:5571"], None, None, "127.0.0.1:5571"), "[::1]:1");
        assert_eq!(asked(&["0.0.0.0:1:5571"], None, None, "127.0.0.1:5571"), "127.0.0.1:1");
        // A port that only the machine has.
        assert_eq!(asked(&["15571:5571"], None, own, "127.0.0.1:15571"), "127.0.0.1:15571");
        // Nothing is passed on, or by a port that nobody knows before.
        assert_eq!(asked(&[], None, None, "127.0.0.1:80"), "/bin/sh -c nc -z 127.0.0.1 80");
        assert_eq!(asked(&["80"], None, None, "127.0.0.1:80"), "/bin/sh -c nc -z 127.0.0.1 80");
        // Somebody else's address, and a container without a network of its own.
        assert_eq!(asked(&["15571:5571"], None, own, "192.0.2.1:80"), "192.0.2.1:80");
        assert_eq!(asked(&["15571:5571"], Some(Network::Host), None, "127.0.0.1:5571"), "127.0.0.1:5571");
    }
}
