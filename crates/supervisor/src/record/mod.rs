//! The write-ahead record of instances: what was started and who it is, so that the next supervisor finds it again.
//!
//! Each line is in the kernel's hands before the next step is done, which is enough: a supervisor may be killed between
//! any two steps, and after a reboot the record is void. Where it cannot be written, for example because the disk is full,
//! services are started all the same: their processes carry their cookies, and the record is completed when there is room
//! again. Leaves out looking for processes, which [`crate::adoption`] does.

mod entry;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::PathBuf,
};

use masque_fleet::model::ServiceId;

use self::entry::{Entry, VERSION};
use crate::{Error, directory::StateDirectory, machine::Resolved};

const FILE: &str = "instances.jsonl";
/// Lines after which the file is written anew.
const MOST_LINES: usize = 4_000;

/// A process that can be told from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: u32,
    /// When it was started, in ticks since boot.
    pub(crate) start_time: u64,
}

/// The last instance of a service that was started or about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// Its number.
    pub(crate) number: u64,
    /// What its processes carry in their environment.
    pub(crate) cookie: String,
    /// What it was told about its dependencies last; absent if the supervisor did not live to note it.
    pub(crate) told: Option<Vec<Resolved>>,
    /// Its main process; absent if it was not started, or the supervisor did not live to note it.
    pub(crate) process: Option<ProcessId>,
    /// Whether it was ready once.
    pub(crate) ready: bool,
    /// How it ended, as far as a supervisor saw it.
    pub(crate) end: Option<Ended>,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A task that reached its end.
    Completed,
    /// Anything else.
    Otherwise,
}

/// The record, open for writing.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: fs_err::File,
    machine: String,
    lines: usize,
    instances: BTreeMap<ServiceId, Instance>,
    held: BTreeSet<ServiceId>,
    wanted: BTreeSet<ServiceId>,
    closing: bool,
    /// Whether the file says all that is known.
    is_complete: bool,
}

impl Records {
    /// Opens the record of a state directory. What another boot or process namespace left counts as nothing.
    ///
    /// # Errors
    /// When it cannot be read or written, or is of a newer version.
    pub(crate) fn open(directory: &StateDirectory) -> Result<Self, Error> {
        Self::open_for(directory, machine()?)
    }

    fn open_for(directory: &StateDirectory, machine: String) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let text = match fs_err::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let file = fs_err::OpenOptions::new().create(true).append(true).open(&path)?;
        let (instances, held, wanted) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut records =
            Self { path, file, machine, lines: 0, instances, held, wanted, closing: false, is_complete: true };
        records.read(&text)?;
        records.complete();
        Ok(records)
    }

    fn read(&mut self, text: &str) -> Result<(), Error> {
        let mut lines = text.lines();
        match lines.next().map(serde_json::from_str) {
            Some(Ok(Entry::Head { version: VERSION, machine })) if machine == self.machine => {}
            Some(Ok(Entry::Head { version, .. })) if version > VERSION => {
                return Err(Error::Record { path: self.path.clone(), why: format!("it is of version {version}") });
            }
            _ => return Ok(()),
        }
        // A supervisor that was killed, or a full disk, may leave a line torn.
        for entry in lines.filter_map(|line| serde_json::from_str(line).ok()) {
            self.apply(entry);
        }
        Ok(())
    }

    /// The last instance of each service.
    #[must_use]
    pub(crate) const fn instances(&self) -> &BTreeMap<ServiceId, Instance> {
        &self.instances
    }

    /// The services that a person does not want to run.
    #[must_use]
    pub(crate) const fn held(&self) -> &BTreeSet<ServiceId> {
        &self.held
    }

    /// The standbys that a person wants to run, needed or not.
    #[must_use]
    pub(crate) const fn wanted(&self) -> &BTreeSet<ServiceId> {
        &self.wanted
    }

    /// Whether the whole fleet was being ended.
    #[must_use]
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Notes that an instance is about to be started. To be called before it is.
    pub(crate) fn planned(&mut self, id: &ServiceId, instance: u64, cookie: &str) {
        self.note(Entry::Planned { id: id.clone(), instance, cookie: cookie.to_owned() });
    }

    /// Notes what it is told about its dependencies. To be called before it is.
    pub(crate) fn told(&mut self, id: &ServiceId, dependencies: &[Resolved]) {
        self.note(Entry::Told { id: id.clone(), dependencies: dependencies.to_vec() });
    }

    /// Notes its main process.
    pub(crate) fn started(&mut self, id: &ServiceId, process: ProcessId) {
        self.note(Entry::Started { id: id.clone(), pid: process.pid, start_time: process.start_time });
    }

    /// Notes an instance that was found running.
    pub(crate) fn adopted(&mut self, id: &ServiceId, instance: u64, cookie: &str, process: ProcessId, ready: bool) {
        let is_known = |known: &Instance| known.cookie == cookie && known.process == Some(process);
        if !self.instances.get(id).is_some_and(is_known) {
            self.planned(id, instance, cookie);
            self.started(id, process);
        }
        if ready {
            self.ready(id);
        }
    }

    /// Notes that the present instance is ready.
    pub(crate) fn ready(&mut self, id: &ServiceId) {
        if self.instances.get(id).is_some_and(|instance| !instance.ready) {
            self.note(Entry::Ready { id: id.clone() });
        }
    }

    /// Notes that the present instance ended.
    pub(crate) fn ended(&mut self, id: &ServiceId, end: Ended) {
        self.note(Entry::Ended { id: id.clone(), completed: end == Ended::Completed });
    }

    /// Notes that a person wants a service not to run.
    pub(crate) fn hold(&mut self, id: &ServiceId) {
        if !self.held.contains(id) {
            self.note(Entry::Held { id: id.clone() });
        }
    }

    /// Notes that a person wants a service to run again.
    pub(crate) fn release(&mut self, id: &ServiceId) {
        if self.held.contains(id) {
            self.note(Entry::Released { id: id.clone() });
        }
    }

    /// Notes that a person wants a standby to run, whether it is needed or not.
    pub(crate) fn want(&mut self, id: &ServiceId) {
        if !self.wanted.contains(id) {
            self.note(Entry::Wanted { id: id.clone() });
        }
    }

    /// Notes that the whole fleet is being ended.
    pub(crate) fn close(&mut self) {
        self.note(Entry::Closing);
    }

    /// Forgets what a person wanted to end: the fleet is wanted anew.
    pub(crate) fn want_all(&mut self) {
        self.held.clear();
        self.closing = false;
        self.complete();
    }

    /// Forgets all that ended, and what a person wanted besides: the fleet was ended, and begins from its beginning.
    pub(crate) fn begin_anew(&mut self) {
        self.instances.retain(|_, instance| instance.end.is_none());
        self.wanted.clear();
        self.want_all();
    }

    fn note(&mut self, entry: Entry) {
        let written = self.is_complete && line(&entry).and_then(|line| Ok(self.file.write_all(&line)?)).is_ok();
        self.lines += 1;
        self.apply(entry);
        if !written || self.lines > MOST_LINES {
            self.complete();
        }
    }

    /// Writes the file anew; tells once when that fails.
    fn complete(&mut self) {
        match self.write_anew() {
            Ok(()) => self.is_complete = true,
            Err(error) => {
                if self.is_complete {
                    tracing::warn!("what was started cannot be noted: {error}");
                }
                self.is_complete = false;
            }
        }
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Head { .. } => {}
            Entry::Planned { id, instance: number, cookie } => {
                let instance = Instance { number, cookie, told: None, process: None, ready: false, end: None };
                self.instances.insert(id, instance);
            }
            Entry::Told { id, dependencies } => {
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.told = Some(dependencies);
                }
            }
            Entry::Started { id, pid, start_time } => {
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.process = Some(ProcessId { pid, start_time });
                }
            }
            Entry::Ready { id } => {
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.ready = true;
                }
            }
            Entry::Ended { id, completed } => {
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.end = Some(if completed { Ended::Completed } else { Ended::Otherwise });
                }
            }
            Entry::Held { id } => {
                self.wanted.remove(&id);
                self.held.insert(id);
            }
            Entry::Wanted { id } => {
                self.held.remove(&id);
                self.wanted.insert(id);
            }
            Entry::Released { id } => drop(self.held.remove(&id)),
            Entry::Closing => self.closing = true,
        }
    }

    /// Puts the shortest record that says the same in the place of the file.
    fn write_anew(&mut self) -> Result<(), Error> {
        let entries = self.entries();
        let mut text = Vec::new();
        for entry in &entries {
            text.extend(line(entry)?);
        }
        let fresh = self.path.with_extension("jsonl.new");
        fs_err::write(&fresh, text)?;
        let file = fs_err::OpenOptions::new().append(true).open(&fresh)?;
        fs_err::rename(&fresh, &self.path)?;
        self.file = file;
        self.lines = entries.len();
        Ok(())
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::Head { version: VERSION, machine: self.machine.clone() }];
        for (id, instance) in &self.instances {
            let (id, cookie) = (id.clone(), instance.cookie.clone());
            entries.push(Entry::Planned { id: id.clone(), instance: instance.number, cookie });
            if let Some(dependencies) = instance.told.clone() {
                entries.push(Entry::Told { id: id.clone(), dependencies });
            }
            if let Some(ProcessId { pid, start_time }) = instance.process {
                entries.push(Entry::Started { id: id.clone(), pid, start_time });
            }
            if instance.ready {
                entries.push(Entry::Ready { id: id.clone() });
            }
            if let Some(end) = instance.end {
                entries.push(Entry::Ended { id, completed: end == Ended::Completed });
            }
        }
        entries.extend(self.held.iter().map(|id| Entry::Held { id: id.clone() }));
        entries.extend(self.wanted.iter().map(|id| Entry::Wanted { id: id.clone() }));
        entries.extend(self.closing.then_some(Entry::Closing));
        entries
    }
}

fn line(entry: &Entry) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(entry).map_err(std::io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// Within what process numbers mean the same: one boot and one process namespace.
fn machine() -> Result<String, Error> {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs_err::read_link("/proc/self/ns/pid")?;
    Ok(format!("{} {}", boot.trim(), namespace.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServiceId {
        ServiceId::new("here", name)
    }

    #[test]
    fn the_next_supervisor_knows_what_the_last_one_noted() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(root.path()).unwrap();
        let mut records = Records::open(&directory).unwrap();
        records.planned(&id("a"), 1, "a/1");
        records.told(&id("a"), &[]);
        records.started(&id("a"), ProcessId { pid: 10, start_time: 100 });
        records.ready(&id("a"));
        records.ended(&id("a"), Ended::Otherwise);
        records.planned(&id("a"), 2, "a/2");
        records.planned(&id("b"), 1, "b/1");
        let told = Resolved { asked: id("a"), actual: Some(id("c")), environment: BTreeMap::new() };
        records.told(&id("b"), std::slice::from_ref(&told));
        records.ended(&id("b"), Ended::Completed);
        records.hold(&id("c"));
        records.hold(&id("d"));
        records.release(&id("d"));
        for name in ["e", "f", "c"] {
            records.want(&id(name));
        }
        records.hold(&id("c"));
        records.hold(&id("f"));
        assert_eq!(records.wanted().iter().collect::<Vec<_>>(), [&id("e")]);
        let (instances, held) = (records.instances.clone(), records.held.clone());
        // The last line is torn by the death of the supervisor.
        records.file.write_all(br#"{"what":"start"#).unwrap();
        let mut next = Records::open(&directory).unwrap();
        assert_eq!((&next.instances, &next.held, next.closing), (&instances, &held, false));
        assert_eq!(next.wanted(), records.wanted());
        assert_eq!(next.instances[&id("a")].process, None, "of the second instance nothing but the plan is known");
        assert_eq!(next.instances[&id("b")].end, Some(Ended::Completed));
        assert_eq!((&next.instances[&id("a")].told, &next.instances[&id("b")].told), (&None, &Some(vec![told])));
        next.close();
        for _ in 0..MOST_LINES {
            next.planned(&id("a"), 3, "a/3");
        }
        assert!(next.lines < 100, "it does not grow without end");
        let mut next = Records::open(&directory).unwrap();
        assert!(next.is_closing() && next.instances[&id("a")].number == 3);
        next.want_all();
        let mut next = Records::open(&directory).unwrap();
        assert!(!next.is_closing() && next.held().is_empty() && next.instances.len() == 2);
        assert_eq!(next.wanted().len(), 1);
        next.begin_anew();
        let next = Records::open(&directory).unwrap();
        assert!(next.wanted().is_empty());
        assert_eq!(next.instances.keys().collect::<Vec<_>>(), [&id("a")], "what ended counts no more");
    }

    #[test]
    fn another_boot_voids_it_and_a_newer_version_is_not_guessed_at() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(root.path()).unwrap();
        let mut records = Records::open_for(&directory, "boot 1".into()).unwrap();
        records.planned(&id("a"), 1, "a/1");
        assert!(Records::open_for(&directory, "boot 2".into()).unwrap().instances.is_empty());
        let head = serde_json::to_string(&Entry::Head { version: VERSION + 1, machine: "boot 2".into() }).unwrap();
        fs_err::write(directory.join(FILE), head).unwrap();
        assert!(matches!(Records::open_for(&directory, "boot 2".into()), Err(Error::Record { .. })));
    }
}
