//! What a supervisor takes while nothing happens but health checks.

use std::time::Duration;

use super::{
    peers, shape,
    stage::{self, Stage},
};
use crate::{
    figures::{Row, Unit},
    places::Places,
    process,
    statistics::real,
};

const LIMIT: Duration = Duration::from_secs(60);
/// How long the rest is looked at.
const REST: Duration = Duration::from_secs(20);
/// The kernel counts processor time in these.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory and processor time of the supervisor of 89 services with a check a second each.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let shape = shape::asked_fleet();
    let stage = Stage::new(places)?;
    let mut supervisor = peers::masque(places, &shape, &stage)?;
    let mut child = supervisor.stdout(stage.log()?).stderr(stage.log()?).spawn()?;
    let id = child.id();
    let measured = stage.wait(&shape, &mut child, LIMIT).and_then(|_| {
        let before = ticks(id)?;
        std::thread::sleep(REST);
        let share = (ticks(id)? - before) / TICKS_PER_SECOND / REST.as_secs_f64();
        Ok((share, process::resident_bytes(id)))
    });
    stage::end(&mut child);
    let (share, memory) = measured?;
    Ok(vec![
        Row::new("memory of the supervisor of 89 services", Unit::Bytes, real(memory)).at_most(20.0 * 1024.0 * 1024.0),
        Row::new("share of a core that it takes at a check a second of each", Unit::Quality, share).at_most(0.01),
    ])
}

/// Processor time of a process so far: fields 14 and 15 of its `stat`, which count from the name in parentheses on.
fn ticks(id: u32) -> anyhow::Result<f64> {
    let text = fs_err::read_to_string(format!("/proc/{id}/stat"))?;
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |number: usize| rest.split_whitespace().nth(number - 3).and_then(|field| field.parse::<f64>().ok());
    Ok(field(14).unwrap_or(0.0) + field(15).unwrap_or(0.0))
}
