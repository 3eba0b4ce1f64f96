//! Finding again what an earlier supervisor of the same state directory had started.
//!
//! Every process carries its instance's cookie in its environment. The record says which instance of a service is the
//! present one; the processes of this machine say which of them live, also where the record was cut off between a start
//! and its note. Programs that overwrite their environment, or let nobody read it, are known by the record alone: by their
//! number and the time of their start, their session and their control group. Leaves out what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use masque_fleet::model::ServiceId;
use masque_sandbox::service::{Marked, ProcessTable, Running, ServiceGroups};

use crate::{
    Error,
    directory::StateDirectory,
    machine::Resolved,
    process::{INSTANCE_VARIABLE, Instance as Start},
    record::{Ended, Instance, ProcessId, Records},
};

/// What tells one start of a service from all others: which service, the how manyth, and from which state directory.
/// Written `fleet/host/name/number-directory.random`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cookie {
    text: String,
    /// Whose it is.
    pub(crate) id: ServiceId,
    /// The how manyth start.
    pub(crate) instance: u64,
}

impl Cookie {
    pub(crate) fn new(fleet: &str, id: &ServiceId, instance: u64, directory: &str) -> Self {
        let text = format!("{fleet}/{id}/{instance}-{directory}.{:08x}", rand::random::<u32>());
        Self { text, id: id.clone(), instance }
    }

    /// Reads one; none when it is of another state directory.
    fn read(text: &str, directory: &str) -> Option<Self> {
        let (service, instance) = text.rsplit_once('/')?;
        let (number, random) = instance.split_once('-')?;
        // The directory's part has points too.
        let random = random.strip_prefix(directory)?.strip_prefix('.')?;
        if random.contains('.') {
            return None;
        }
        let (_, id) = service.split_once('/')?;
        Some(Self {
            text: text.to_owned(),
            id: ServiceId::try_from(id.to_owned()).ok()?,
            instance: number.parse().ok()?,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The start that has it.
    pub(crate) fn start(&self) -> Option<Start> {
        let (fleet, _) = self.text.split_once('/')?;
        Start::of_cookie(fleet, &self.text)
    }
}

/// An instance whose main process lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survivor {
    pub(crate) cookie: Cookie,
    pub(crate) process: ProcessId,
    /// Whether it was ready once.
    pub(crate) ready: bool,
    /// What it was told about its dependencies last, if that is known.
    pub(crate) told: Option<Vec<Resolved>>,
}

/// What is left of an earlier supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Census {
    /// Instances that go on, one of a service at most.
    pub(crate) survivors: Vec<Survivor>,
    /// Processes whose main process is gone or which a later instance has replaced. They have to end.
    pub(crate) strays: Vec<Stray>,
    /// Tasks that reached their end.
    pub(crate) completed: Vec<(ServiceId, u64)>,
    /// Instances that ended while nobody looked.
    pub(crate) lost: Vec<(ServiceId, u64)>,
}

/// The oldest process of an instance that has to end, or one that does not show whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stray {
    pub(crate) cookie: Cookie,
    pub(crate) process: ProcessId,
}

/// A process of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    process: ProcessId,
    is_leader: bool,
    cookie: Cookie,
    /// Whether it shows its cookie, so that it is found together with all others that do.
    is_marked: bool,
}

/// Looks at all processes of this machine, and at the control groups that an earlier supervisor made.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn take(records: &Records, directory: &str, groups: &ServiceGroups) -> Result<Census, Error> {
    let table = ProcessTable::read()?;
    let found = |marked: Marked| {
        let cookie = Cookie::read(marked.value.to_str()?, directory)?;
        let process = ProcessId { pid: marked.process, start_time: marked.start_time };
        Some(Found { process, is_leader: marked.is_leader, cookie, is_marked: true })
    };
    let marked = table.marked(INSTANCE_VARIABLE.as_ref());
    let mut found: Vec<Found> = marked.into_iter().filter_map(found).collect();
    let shown: BTreeSet<ProcessId> = found.iter().map(|found| found.process).collect();
    for (id, instance) in records.instances().iter().filter(|(_, instance)| instance.end.is_none()) {
        let unmarked = running_of(instance, &table, groups).into_iter().filter_map(|running| {
            let process = ProcessId { pid: running.process, start_time: running.start_time };
            let cookie = Cookie { text: instance.cookie.clone(), id: id.clone(), instance: instance.number };
            let found = Found { process, is_leader: running.is_leader, cookie, is_marked: false };
            (!shown.contains(&process)).then_some(found)
        });
        found.extend(unmarked);
    }
    found.sort_by_key(|found| (found.process.start_time, found.process.pid));
    Ok(census(records.instances(), &found))
}

/// What runs of a recorded instance, as far as its session and its control group tell.
fn running_of(instance: &Instance, table: &ProcessTable, groups: &ServiceGroups) -> BTreeSet<Running> {
    let session = instance.process.map(|process| table.session(process.pid, process.start_time));
    let group = table.those_of(&groups.processes(&instance.cookie));
    session.into_iter().flatten().chain(group).collect()
}

/// The services whose processes run, whether or not a supervisor does: what the next one would adopt.
///
/// # Errors
/// When the state directory or `/proc` cannot be read.
pub fn services_left(directory: &StateDirectory) -> Result<BTreeSet<ServiceId>, Error> {
    let token = directory.token()?;
    let marked = ProcessTable::read()?.marked(INSTANCE_VARIABLE.as_ref());
    let leaders = marked.into_iter().filter(|marked| marked.is_leader);
    Ok(leaders.filter_map(|marked| Some(Cookie::read(marked.value.to_str()?, &token)?.id)).collect())
}

/// `found` is ordered by age, the oldest first.
fn census(recorded: &BTreeMap<ServiceId, Instance>, found: &[Found]) -> Census {
    let mut census = Census::default();
    let services: BTreeSet<&ServiceId> = recorded.keys().chain(found.iter().map(|found| &found.cookie.id)).collect();
    for id in services {
        let instance = recorded.get(id);
        if let Some(leader) = leader(id, instance, found) {
            let known = instance.filter(|instance| instance.cookie == leader.cookie.text);
            census.survivors.push(Survivor {
                cookie: leader.cookie.clone(),
                process: leader.process,
                ready: known.is_some_and(|instance| instance.ready),
                told: known.and_then(|instance| instance.told.clone()),
            });
        } else if let Some(instance) = instance {
            match instance.end {
                Some(Ended::Completed) => census.completed.push((id.clone(), instance.number)),
                Some(Ended::Otherwise) => {}
                None => census.lost.push((id.clone(), instance.number)),
            }
        }
    }
    let survives = |found: &Found| census.survivors.iter().any(|survivor| survivor.cookie == found.cookie);
    let mut seen = BTreeSet::new();
    let strays = found.iter().filter(|found| !survives(found));
    let strays = strays.filter(|found| !found.is_marked || seen.insert(&found.cookie));
    census.strays = strays.map(|found| Stray { cookie: found.cookie.clone(), process: found.process }).collect();
    census
}

/// The main process of a service's present instance: the noted one; where none was noted, the oldest of the newest start,
/// because each start waits for the end of the one before, and a leader may start further ones.
fn leader<'a>(id: &ServiceId, instance: Option<&Instance>, found: &'a [Found]) -> Option<&'a Found> {
    let mut leaders = found.iter().filter(|found| found.cookie.id == *id && found.is_leader);
    if let Some(Instance { process: Some(process), end: None, .. }) = instance
        && let Some(noted) = leaders.clone().find(|found| found.process == *process)
    {
        return Some(noted);
    }
    // What is left of a noted instance whose main process is gone has none.
    let is_left = |found: &&Found| {
        instance.is_some_and(|instance| instance.process.is_some() && instance.cookie == found.cookie.text)
    };
    let newest = &leaders.clone().rfind(|found| !is_left(found))?.cookie;
    leaders.find(|found| found.cookie == *newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServiceId {
        ServiceId::new("h", name)
    }

    fn found(pid: u32, is_leader: bool, name: &str, instance: u64) -> Found {
        let cookie = Cookie { text: format!("f/h/{name}/{instance}-d.1"), id: id(name), instance };
        Found { process: ProcessId { pid, start_time: 7 }, is_leader, cookie, is_marked: true }
    }

    fn noted(name: &str, number: u64, pid: Option<u32>, end: Option<Ended>) -> (ServiceId, Instance) {
        let process = pid.map(|pid| ProcessId { pid, start_time: 7 });
        (
            id(name),
            Instance { number, cookie: format!("f/h/{name}/{number}-d.1"), told: None, process, ready: true, end },
        )
    }

    #[test]
    fn each_kind_of_remains_is_told_apart() {
        let recorded = BTreeMap::from([
            noted("lives", 1, Some(1), None),
            noted("unnoted", 1, None, None),
            noted("planned", 1, None, None),
            noted("dead", 1, Some(3), None),
            noted("reused", 1, Some(9), None),
            noted("task", 1, Some(4), Some(Ended::Completed)),
            noted("stopped", 1, Some(5), Some(Ended::Otherwise)),
            noted("full-disk", 1, Some(6), Some(Ended::Otherwise)),
        ]);
        let processes = [
            found(1, true, "lives", 1),
            found(11, false, "lives", 1),
            found(2, true, "unnoted", 1),
            found(22, false, "unnoted", 1),
            found(33, false, "dead", 1),
            found(44, true, "lives", 0),
            found(55, true, "full-disk", 2),
            Found { is_marked: false, ..found(34, false, "dead", 1) },
        ];
        let census = census(&recorded, &processes);
        let survivors: Vec<_> = census
            .survivors
            .iter()
            .map(|s| (s.cookie.id.name.as_str(), s.process.pid, s.cookie.instance, s.ready))
            .collect();
        assert_eq!(survivors, [("full-disk", 55, 2, false), ("lives", 1, 1, true), ("unnoted", 2, 1, true)]);
        let strays: Vec<_> = census.strays.iter().map(|stray| (stray.cookie.as_str(), stray.process.pid)).collect();
        assert_eq!(strays, [("f/h/dead/1-d.1", 33), ("f/h/lives/0-d.1", 44), ("f/h/dead/1-d.1", 34)]);
        assert_eq!(census.completed, [(id("task"), 1)]);
        let lost: Vec<_> = census.lost.iter().map(|(id, _)| id.name.as_str()).collect();
        assert_eq!(lost, ["dead", "planned", "reused"]);
    }

    #[test]
    fn cookies_are_of_one_state_directory() {
        let cookie = Cookie::new("f", &id("a"), 7, "fe01.2");
        assert_eq!(Cookie::read(cookie.as_str(), "fe01.2"), Some(cookie.clone()));
        for other in ["fe01", "fe01.22", "e01.2", ""] {
            assert_eq!(Cookie::read(cookie.as_str(), other), None, "{other}");
        }
        assert_eq!(Cookie::read("nonsense", "fe01.2"), None);
    }
}
