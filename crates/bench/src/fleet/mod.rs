//! Starting, watching and healing a fleet, beside supervisord and horust.
//!
//! Leaves out real agents: the subjects do nothing but become ready, so that what is measured is the supervisor.

mod peers;
mod probe;
mod recovery;
mod rest;
mod shape;
mod stage;

use std::{process::Command, time::Duration};

use self::{
    shape::Shape,
    stage::{Outcome, Stage, over_bound},
};
use crate::{
    figures::{Row, Section, Unit},
    places::Places,
    statistics::{median, quantile_ms, real},
};

const ROUNDS: usize = 7;
/// How long a peer may take: an order of magnitude above the shortest time.
const PEER_LIMIT: Duration = Duration::from_secs(90);
const OWN_LIMIT: Duration = Duration::from_secs(60);

/// Measures starts, recovery and rest.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let mut rows = Vec::new();
    for shape in [shape::chain(), shape::fleet()] {
        rows.extend(starts(places, &shape)?);
    }
    rows.push(asked(places)?);
    rows.extend(probe::measure(places)?);
    rows.extend(recovery::measure(places)?);
    rows.extend(rest::measure(places)?);
    Ok(Section {
        title: "Fleet",
        command: "make bench ARGS=fleet",
        about: format!(
            "Services that become ready after 50 to 400 ms and say so to their notify socket (supervisord knows no \
             readiness but time, horust looks for a file). The bound is the longest chain of those times, or all \
             processor time divided by the cores, whichever is longer; times are the services' own monotonic stamps. \
             Medians of {ROUNDS} for Masque, one start of each peer."
        ),
        rows,
    })
}

fn starts(places: &Places, shape: &Shape) -> anyhow::Result<Vec<Row>> {
    let outcomes = plays(places, shape)?;
    let of = |took: fn(&Outcome) -> Duration| {
        median(outcomes.iter().map(|outcome| over_bound(shape, took(outcome), outcome.used)).collect())
    };
    let errors: usize = outcomes.iter().map(|outcome| outcome.order_errors).sum();
    let mut over = Row::new(format!("{}: time over the bound", shape.what), Unit::Share, of(|one| one.services));
    for (who, value) in rivals(places, shape) {
        over = over.beside(who, value.map(|one| over_bound(shape, one.services, one.used)));
    }
    Ok(vec![
        over.at_most(1.02),
        Row::new(format!("{}: the same with the supervisor's own start", shape.what), Unit::Share, of(|one| one.whole)),
        Row::new(format!("{}: services begun too early", shape.what), Unit::Count, real(errors as u64)).at_most(0.0),
        hop(shape, &outcomes).at_most(2.0),
    ])
}

/// The same where readiness is asked for.
fn asked(places: &Places) -> anyhow::Result<Row> {
    let shape = shape::asked_chain();
    Ok(hop(&shape, &plays(places, &shape)?).at_most(10.0))
}

fn plays(places: &Places, shape: &Shape) -> anyhow::Result<Vec<Outcome>> {
    let play = |_| {
        let stage = Stage::new(places)?;
        stage.play(shape, peers::masque(places, shape, &stage)?, OWN_LIMIT)
    };
    (0..ROUNDS).map(play).collect()
}

/// From the stamp of something being ready to the first instruction of what waited for it.
fn hop(shape: &Shape, outcomes: &[Outcome]) -> Row {
    let hops: Vec<Duration> = outcomes.iter().flat_map(|outcome| outcome.hops.iter().copied()).collect();
    Row::new(
        format!("{}: from ready to the next one's first instruction, 99 of 100", shape.what),
        Unit::Milliseconds,
        quantile_ms(&hops, 0.99),
    )
}

/// The peers' starts, or why there is none.
fn rivals(places: &Places, shape: &Shape) -> Vec<(&'static str, Result<Outcome, String>)> {
    let play = |command: &dyn Fn(&Stage) -> anyhow::Result<Command>| {
        let played = Stage::new(places).and_then(|stage| stage.play(shape, command(&stage)?, PEER_LIMIT));
        played.map_err(|error| error.to_string())
    };
    let supervisord = places.supervisord().and_then(|python| play(&|stage| peers::supervisord(&python, shape, stage)));
    let horust = places.horust().and_then(|program| play(&|stage| peers::horust(&program, shape, stage)));
    vec![("supervisord", supervisord), ("horust", horust)]
}
