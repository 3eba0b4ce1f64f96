//! How long a killed service is away.

use std::time::{Duration, Instant};

use super::{
    peers,
    shape::{Probe, Shape, Subject},
    stage::{self, Stage, duration, monotonic},
};
use crate::{
    figures::{Row, Unit},
    places::Places,
    process,
    statistics::{median_ms, quantile_ms},
};

const SERVICES: usize = 20;
const DELAY_MS: u64 = 50;
const LIMIT: Duration = Duration::from_secs(60);

/// Kills each of some services once.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let subject =
        |place| Subject { name: format!("mortal-{place:02}"), delay_ms: DELAY_MS, needs: Vec::new(), port: None };
    let shape = Shape { what: "mortals", probe: Probe::Said, subjects: (0..SERVICES).map(subject).collect() };
    let stage = Stage::new(places)?;
    let mut supervisor = peers::masque(places, &shape, &stage)?;
    let mut child = supervisor.stdout(stage.log()?).stderr(stage.log()?).spawn()?;
    let away = stage.wait(&shape, &mut child, LIMIT).and_then(|_| kill_all(&shape, &stage));
    stage::end(&mut child);
    let extra: Vec<Duration> =
        away?.into_iter().map(|away| away.saturating_sub(Duration::from_millis(DELAY_MS))).collect();
    Ok(vec![
        Row::new(
            "killed to ready again, beyond the service's own start: median",
            Unit::Milliseconds,
            median_ms(&extra),
        ),
        Row::new("the same, the worst of 20", Unit::Milliseconds, quantile_ms(&extra, 1.0)).at_most(20.0),
    ])
}

fn kill_all(shape: &Shape, stage: &Stage) -> anyhow::Result<Vec<Duration>> {
    shape.subjects.iter().map(|subject| kill(stage, subject)).collect()
}

fn kill(stage: &Stage, subject: &Subject) -> anyhow::Result<Duration> {
    let killed = monotonic();
    let pattern = format!("fleet_subject {}$", subject.name);
    anyhow::ensure!(
        process::succeeds(process::inherited("pkill").args(["-KILL", "-f", &pattern])),
        "{} does not run",
        subject.name
    );
    let begun = Instant::now();
    loop {
        let again = stage.stamps_of(&subject.name).into_iter().find(|stamp| stamp.began > killed);
        if let Some(stamp) = again {
            return Ok(duration(stamp.ready - killed));
        }
        anyhow::ensure!(begun.elapsed() < LIMIT, "{} did not come back", subject.name);
        std::thread::sleep(Duration::from_millis(2));
    }
}
