//! Where subjects run: their directory, their stamps, and what the stamps say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::shape::Shape;
use crate::{places::Places, process, statistics::real};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a supervisor may take to end what it started.
const END_LIMIT: Duration = Duration::from_secs(60);

/// When a service began and was ready, by the monotonic clock, and the processor time that this took; nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) began: i128,
    pub(crate) ready: i128,
    used: i128,
}

/// A directory for one start of all subjects.
pub(crate) struct Stage {
    directory: TempDir,
    pub(crate) subject: PathBuf,
}

/// How one start went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the beginning of the first service until the last was ready.
    pub(crate) services: Duration,
    /// From the start of the supervisor until then.
    pub(crate) whole: Duration,
    /// Edges whose service began before what it needs was ready.
    pub(crate) order_errors: usize,
    /// The processor time of all services.
    pub(crate) used: Duration,
    /// From something being ready to the beginning of what waited for it alone or last.
    pub(crate) hops: Vec<Duration>,
}

impl Stage {
    pub(crate) fn new(places: &Places) -> anyhow::Result<Self> {
        let directory = places.memory_disk()?;
        for inside in ["stamps", "ready", "home"] {
            fs_err::create_dir(directory.path().join(inside))?;
        }
        let subject = places.bench.with_file_name("fleet_subject");
        anyhow::ensure!(subject.exists(), "{} is missing: build the benchmarks whole", subject.display());
        Ok(Self { directory, subject })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The stamps of every start of a service so far.
    pub(crate) fn stamps_of(&self, name: &str) -> Vec<Stamp> {
        let text = fs_err::read_to_string(self.path().join("stamps").join(name)).unwrap_or_default();
        text.lines().filter_map(stamp).collect()
    }

    /// Starts a supervisor, waits until every service was ready, and ends it.
    pub(crate) fn play(&self, shape: &Shape, mut supervisor: Command, limit: Duration) -> anyhow::Result<Outcome> {
        let before = monotonic();
        let mut child = supervisor.stdin(Stdio::null()).stdout(self.log()?).stderr(self.log()?).spawn()?;
        let waited = self.wait(shape, &mut child, limit);
        end(&mut child);
        let stamps = waited?;
        let first = stamps.values().map(|stamp| stamp.began).min().unwrap_or(before);
        let last = stamps.values().map(|stamp| stamp.ready).max().unwrap_or(before);
        Ok(Outcome {
            services: duration(last - first),
            whole: duration(last - before),
            order_errors: shape.edges().filter(|(of, need)| began(&stamps, of) < ready(&stamps, need)).count(),
            used: duration(stamps.values().map(|stamp| stamp.used).sum()),
            hops: hops(shape, &stamps),
        })
    }

    /// A file that takes what a supervisor prints.
    pub(crate) fn log(&self) -> anyhow::Result<Stdio> {
        let file = fs_err::OpenOptions::new().create(true).append(true).open(self.path().join("supervisor.log"))?;
        Ok(file.into_parts().0.into())
    }

    /// Waits until every service was ready once.
    pub(crate) fn wait(
        &self,
        shape: &Shape,
        child: &mut Child,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<String, Stamp>> {
        let begun = Instant::now();
        loop {
            let stamps: BTreeMap<String, Stamp> = shape
                .subjects
                .iter()
                .filter_map(|subject| Some((subject.name.clone(), *self.stamps_of(&subject.name).first()?)))
                .collect();
            if stamps.len() == shape.subjects.len() {
                return Ok(stamps);
            }
            if let Some(status) = child.try_wait()? {
                let said = fs_err::read_to_string(self.path().join("supervisor.log")).unwrap_or_default();
                anyhow::bail!("the supervisor ended ({status}): {}", said.lines().last().unwrap_or_default());
            }
            let ready = stamps.len();
            anyhow::ensure!(
                begun.elapsed() < limit,
                "{ready} of {} were ready after {} s",
                shape.subjects.len(),
                limit.as_secs()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Asks a supervisor to end, waits for it, and kills it when it does not.
pub(crate) fn end(child: &mut Child) {
    let id = child.id().to_string();
    process::succeeds(process::inherited("kill").args(["-TERM", &id]));
    let begun = Instant::now();
    while begun.elapsed() < END_LIMIT {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn began(stamps: &BTreeMap<String, Stamp>, name: &str) -> i128 {
    stamps.get(name).map_or(0, |stamp| stamp.began)
}

fn ready(stamps: &BTreeMap<String, Stamp>, name: &str) -> i128 {
    stamps.get(name).map_or(0, |stamp| stamp.ready)
}

/// How long each service began after the last thing that it needs was ready.
fn hops(shape: &Shape, stamps: &BTreeMap<String, Stamp>) -> Vec<Duration> {
    let hop = |subject: &super::shape::Subject| {
        let last = subject.needs.iter().map(|need| ready(stamps, need)).max()?;
        Some(duration(began(stamps, &subject.name) - last))
    };
    shape.subjects.iter().filter_map(hop).collect()
}

fn stamp(line: &str) -> Option<Stamp> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Stamp { began: next()?, ready: next()?, used: next()? })
}

/// The monotonic clock in nanoseconds, as the subjects read it.
pub(crate) fn monotonic() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// A difference of two stamps; zero when it is negative.
pub(crate) fn duration(nanoseconds: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// How often a start took the shortest time that is possible.
pub(crate) fn over_bound(shape: &Shape, took: Duration, used: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bound = shape.critical_path().as_secs_f64().max(used.as_secs_f64() / real(cores as u64));
    took.as_secs_f64() / bound
}

/// A path as text for a configuration file.
pub(crate) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a temporary directory whose name is no text")
}
