//! [`Path`]: the chain of services that decides how long a fleet takes to start.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Cycle, Graph};
use crate::model::{Condition, ServiceId};

/// One service of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Which one.
    pub id: ServiceId,
    /// When it is started, counted from the fleet's start.
    pub offset: Duration,
    /// How long it takes from there until it is ready.
    pub duration: Duration,
    /// How long it was not started although all that it needs was there; zero when nothing was measured.
    pub waited: Duration,
}

/// The chain of services that decides when a fleet, or one service, is ready. The last one is ready last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Path {
    /// The services in the order of their starts; each needs the one before.
    pub links: Vec<Link>,
    /// When the last one is ready.
    pub total: Duration,
}

impl fmt::Display for Path {
    /// The last service first, each with what it waited for below it, as `systemd-analyze critical-chain` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, link) in self.links.iter().rev().enumerate() {
            if depth > 0 {
                writeln!(f)?;
                write!(f, "{:width$}└─", "", width = 2 * (depth - 1))?;
            }
            write!(f, "{} @{} +{}", link.id, shown(link.offset), shown(link.duration))?;
            if link.waited >= Duration::from_millis(1) {
                write!(f, " (waited {})", shown(link.waited))?;
            }
        }
        Ok(())
    }
}

/// A duration as people read it: `1.250s`, `48ms`, `0.3ms`.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_millis() {
        0 if duration.is_zero() => "0ms".to_owned(),
        0..10 => format!("{:.1}ms", seconds * 1000.0),
        10..1000 => format!("{:.0}ms", seconds * 1000.0),
        1000..60_000 => format!("{seconds:.3}s"),
        _ => format!("{}min {:.1}s", duration.as_secs() / 60, seconds % 60.0),
    }
}

impl Graph {
    /// The chain that decides when the fleet is ready, if each service takes as long as said (others no time) and
    /// starts the moment all that it needs is there.
    ///
    /// # Errors
    /// The circles, when there are any.
    pub fn critical_path(&self, durations: &BTreeMap<ServiceId, Duration>) -> Result<Path, Vec<Cycle>> {
        let length = |id: &ServiceId| durations.get(id).copied().unwrap_or_default();
        let mut starts: BTreeMap<ServiceId, Duration> = BTreeMap::new();
        let mut before: BTreeMap<ServiceId, ServiceId> = BTreeMap::new();
        let mut last: Option<(Duration, ServiceId)> = None;
        for id in self.order()? {
            let met = self.needs(&id).map(|edge| {
                let start = starts.get(&edge.to).copied().unwrap_or_default();
                let took = if edge.condition == Condition::Started { Duration::ZERO } else { length(&edge.to) };
                (start + took, &edge.to)
            });
            let latest = met.reduce(|first, other| if other.0 > first.0 { other } else { first });
            let start = latest.map_or(Duration::ZERO, |(met, _)| met);
            if let Some((_, on)) = latest {
                before.insert(id.clone(), on.clone());
            }
            let ready = start + length(&id);
            if last.as_ref().is_none_or(|(latest, _)| ready > *latest) {
                last = Some((ready, id.clone()));
            }
            starts.insert(id, start);
        }
        let Some((total, last)) = last else { return Ok(Path::default()) };
        let chain = std::iter::successors(Some(&last), |id| before.get(id));
        let link = |id: &ServiceId| Link {
            id: id.clone(),
            offset: starts.get(id).copied().unwrap_or_default(),
            duration: length(id),
            waited: Duration::ZERO,
        };
        let mut links: Vec<_> = chain.map(link).collect();
        links.reverse();
        Ok(Path { links, total })
    }
}

/// No supervisor can be faster than this: the critical path takes its time, and the processor time that all starts
/// cost together has to be spent on so many processors.
#[must_use]
pub fn lower_bound(path: &Path, processor_time: Duration, processors: NonZeroU32) -> Duration {
    path.total.max(processor_time / processors.get())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn durations_are_short_to_read() {
        let shown = |micros| super::shown(Duration::from_micros(micros));
        let texts = [0, 300, 9_940, 48_400, 1_250_000, 61_500_000].map(shown);
        assert_eq!(texts, ["0ms", "0.3ms", "9.9ms", "48ms", "1.250s", "1min 1.5s"]);
    }
}
