//! When a container is well: its supervisor says so, or its probe.

use std::{path::Path, time::Duration};

use masque_container::Engine;
use masque_fleet::{
    export::{Content, Unit},
    model::{Check, Command, Probe, Service, Start},
    status::{ServiceStatus, State},
};
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

/// Waits until a container is well, or will not be. `state` is its supervisor's state directory.
pub(super) async fn wait(
    engine: &Engine,
    unit: &Unit<'_>,
    name: &str,
    state: &Path,
    tell: &impl Fn(Progress),
) -> Result<Verdict, Error> {
    match (unit.content, unit.only()) {
        (Content::Alone, Some(service)) if unit.is_task() => ended(engine, service, name).await,
        (Content::Alone, Some(service)) => answered(engine, service, name).await,
        _ => supervised(engine, unit, name, state, tell).await,
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
async fn answered(engine: &Engine, service: &Service, name: &str) -> Result<Verdict, Error> {
    let Some(probe) = &service.ready else { return Ok(Verdict::Well) };
    let mut patience = Patience::new();
    let mut last = "it was not asked yet".to_owned();
    let asking = async {
        loop {
            let Some(found) = engine.service(name).await?.filter(|found| found.is_running) else {
                return Ok(Verdict::Failed(format!("it ended{}", printed(engine, name).await)));
            };
            match check(engine, probe, name, found.address.as_deref()).await? {
                None | Some(Outcome::Healthy | Outcome::Degraded(_)) => return Ok(Verdict::Well),
                Some(Outcome::Unhealthy(why)) => last = why,
            }
            patience.wait().await;
        }
    };
    let asked = tokio::time::timeout(service.ready_within, asking).await;
    asked.unwrap_or_else(|_| Ok(Verdict::Failed(format!("not ready within {:?}: {last}", service.ready_within))))
}

/// One check of a container; none when only the service itself can say it.
async fn check(engine: &Engine, probe: &Probe, name: &str, address: Option<&str>) -> Result<Option<Outcome>, Error> {
    let words = match &probe.check {
        Check::Exec(Command::Exec(words)) => words.clone(),
        Check::Exec(Command::Shell(line)) => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        Check::File(path) => vec!["test".to_owned(), "-e".to_owned(), path.to_string_lossy().into_owned()],
        other => return Ok(probe::ask(&seen_from_outside(other, address), probe.timeout).await),
    };
    let code = tokio::time::timeout(probe.timeout, engine.execute_in_service(name, words)).await;
    Ok(Some(match code {
        Err(_) => Outcome::Unhealthy(format!("its check took longer than {:?}", probe.timeout)),
        Ok(code) => match code? {
            0 => Outcome::Healthy,
            code => Outcome::Unhealthy(format!("its check ended with code {code}")),
        },
    }))
}

/// A check of the container's own address, asked from outside.
fn seen_from_outside(check: &Check, address: Option<&str>) -> Check {
    let mut check = check.clone();
    let asked = match &mut check {
        Check::Tcp(asked) | Check::Grpc { address: asked, .. } | Check::Zmq { address: asked, .. } => asked,
        Check::Http(http) => &mut http.address,
        _ => return check,
    };
    if let (Some(address), Some((host, port))) = (address, asked.rsplit_once(':'))
        && matches!(host, "127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0")
    {
        *asked = format!("{address}:{port}");
    }
    check
}

/// What the supervisor inside says of its services, from its first word on.
async fn supervised(
    engine: &Engine,
    unit: &Unit<'_>,
    name: &str,
    state: &Path,
    tell: &impl Fn(Progress),
) -> Result<Verdict, Error> {
    let mut patience = Patience::new();
    let (mut asks, mut changes) = loop {
        let Some(_) = engine.service(name).await?.filter(|found| found.is_running) else {
            return Ok(Verdict::Failed(format!("its supervisor ended{}", printed(engine, name).await)));
        };
        match connect(state).await {
            Ok(clients) => break clients,
            Err(Error::NotRunning { .. } | Error::Gone | Error::Io(_)) => patience.wait().await,
            Err(error) => return Err(error),
        }
    };
    loop {
        let status = match asks.status().await {
            Ok(status) => status,
            Err(Error::Gone) => {
                return Ok(Verdict::Failed(format!("its supervisor ended{}", printed(engine, name).await)));
            }
            Err(error) => return Err(error),
        };
        let told = status.hosts.into_iter().flat_map(|host| host.services).collect::<Vec<_>>();
        if let Some(verdict) = verdict(unit, &told) {
            return Ok(verdict);
        }
        match changes.next_change().await {
            Ok(change) => tell(Progress::Service { unit: unit.name.clone(), id: change.id, state: change.to }),
            Err(Error::Gone) => {
                return Ok(Verdict::Failed(format!("its supervisor ended{}", printed(engine, name).await)));
            }
            Err(error) => return Err(error),
        }
    }
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
