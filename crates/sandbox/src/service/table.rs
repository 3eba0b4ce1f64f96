//! [`ProcessTable`]: the processes of the machine at one moment, read from `/proc` (proc(5)).

use std::{collections::HashMap, io};

/// Bytes of an environment that are looked at.
const ENVIRONMENT: u64 = 2 << 20;

/// All processes at one moment. It is read once and asked for many services.
#[derive(Debug, Default)]
pub struct ProcessTable {
    entries: Vec<Entry>,
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) process: u32,
    pub(super) parent: u32,
    pub(super) process_group: u32,
    pub(super) session: u32,
    pub(super) start_time: u64,
    pub(super) resident_bytes: u64,
    /// Whether it has ended and only waits to be buried.
    pub(super) is_dead: bool,
}

/// A process that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// When it was started, in the kernel's ticks since the machine was.
    pub start_time: u64,
    /// Its number.
    pub process: u32,
    /// Whether it leads a session.
    pub is_leader: bool,
}

impl Running {
    fn of(entry: &Entry) -> Self {
        Self { start_time: entry.start_time, process: entry.process, is_leader: entry.session == entry.process }
    }
}

impl ProcessTable {
    /// Reads the table. Takes some microseconds for each process of the machine.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn read() -> io::Result<Self> {
        let mut entries = Vec::new();
        for file in fs_err::read_dir("/proc")? {
            let number = file?.file_name().to_str().and_then(|name| name.parse().ok());
            // Those that end meanwhile are not there.
            entries.extend(number.and_then(entry));
        }
        Ok(Self { entries })
    }

    /// The processes that have not ended.
    pub(super) fn running(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_dead)
    }

    /// What runs of the session that a process began. As long as anything does, its number is not given to another one.
    #[must_use]
    pub fn session(&self, leader: u32, start_time: u64) -> Vec<Running> {
        let is_another = |entry: &Entry| entry.process == leader && entry.start_time != start_time;
        if self.entries.iter().any(is_another) {
            return Vec::new();
        }
        self.running().filter(|entry| entry.session == leader).map(Running::of).collect()
    }

    /// Those of these processes that run.
    #[must_use]
    pub fn those_of(&self, processes: &[u32]) -> Vec<Running> {
        self.running().filter(|entry| processes.contains(&entry.process)).map(Running::of).collect()
    }

    /// A session, the process group of its leader, and all that descends from them and is not of another session that
    /// is asked for by itself.
    pub(super) fn family(&self, leader: u32) -> Vec<Entry> {
        let mut of_family: HashMap<u32, bool> = HashMap::new();
        let by_number: HashMap<u32, &Entry> = self.entries.iter().map(|entry| (entry.process, entry)).collect();
        for entry in &self.entries {
            let mut chain = Vec::new();
            let mut at = Some(entry);
            let mut answer = false;
            while let Some(entry) = at {
                if let Some(known) = of_family.get(&entry.process) {
                    answer = *known;
                    break;
                }
                // Until the answer is known: a cycle, which a changing table may show, leads nowhere.
                of_family.insert(entry.process, false);
                chain.push(entry.process);
                if [entry.process, entry.session, entry.process_group].contains(&leader) {
                    answer = true;
                    break;
                }
                at = by_number.get(&entry.parent).copied();
            }
            of_family.extend(chain.into_iter().map(|process| (process, answer)));
        }
        let belongs = |entry: &&Entry| of_family.get(&entry.process) == Some(&true);
        self.running().filter(belongs).copied().collect()
    }

    /// Memory that these processes have, in bytes.
    pub(super) fn resident_bytes(&self, processes: &[u32]) -> u64 {
        self.entries.iter().filter(|entry| processes.contains(&entry.process)).map(|entry| entry.resident_bytes).sum()
    }
}

/// What the kernel says of one process.
pub(super) fn entry(process: u32) -> Option<Entry> {
    look(process).ok().flatten()
}

/// The same, and why it cannot be read, so that one that cannot be looked at does not pass for one that is gone.
pub(super) fn look(process: u32) -> io::Result<Option<Entry>> {
    match fs_err::read(format!("/proc/{process}/stat")) {
        Ok(line) => Ok(parse(process, &line)),
        // It may end between the opening and the reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the line of a process. Its name, in parentheses, may hold anything.
fn parse(process: u32, line: &[u8]) -> Option<Entry> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    // From the third field on.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let small = |field: usize| number(field).and_then(|number| u32::try_from(number).ok());
    Some(Entry {
        process,
        is_dead: matches!(*fields.first()?, "Z" | "X"),
        parent: small(4)?,
        process_group: small(5)?,
        session: small(6)?,
        start_time: number(22)?,
        resident_bytes: number(24)?.saturating_mul(rustix::param::page_size() as u64),
    })
}

/// The environment that a process was started with; none when it has none or is another user's.
pub(super) fn environment(process: u32) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = fs_err::File::open(format!("/proc/{process}/environ")).ok()?;
    let mut bytes = Vec::new();
    file.take(ENVIRONMENT).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Entry, ProcessTable, parse};

    fn process(process: u32, parent: u32, process_group: u32, session: u32) -> Entry {
        Entry { process, parent, process_group, session, start_time: 0, resident_bytes: 1, is_dead: false }
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"7 (a) S 1 (b\n) S 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 10 1 0 77 1000 3 1844 1 1";
        let entry = parse(7, line).unwrap();
        assert_eq!((entry.parent, entry.process_group, entry.session, entry.start_time), (5, 6, 7, 77));
        assert_eq!(parse(7, b"7 (cut) S 1"), None);
    }

    #[test]
    fn a_family_is_a_session_its_group_and_their_descendants() {
        let entries = vec![
            process(1, 0, 1, 1),
            process(10, 1, 10, 10),
            process(11, 10, 10, 10),
            process(12, 11, 12, 12),
            process(13, 1, 13, 10),
            process(14, 12, 14, 14),
            process(20, 1, 20, 20),
            process(30, 31, 30, 30),
            process(31, 30, 31, 31),
        ];
        let table = ProcessTable { entries };
        let family: Vec<u32> = table.family(10).iter().map(|entry| entry.process).collect();
        assert_eq!(family, [10, 11, 12, 13, 14]);
        assert_eq!(table.resident_bytes(&family), 5);
        let session =
            |leader, start_time| table.session(leader, start_time).iter().map(|it| it.process).collect::<Vec<_>>();
        assert_eq!(session(10, 0), [10, 11, 13]);
        assert_eq!(session(10, 1), [], "the number is another one's by now");
        assert_eq!(table.those_of(&[12, 99]), [super::Running { start_time: 0, process: 12, is_leader: true }]);
    }
}
