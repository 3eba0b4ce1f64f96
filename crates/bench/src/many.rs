//! Many runs at once in one process: do they end, and how much memory do they take.

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use masque_store::{RunFilter, Store};
use masque_types::run::RunStatus;
use serde::{Deserialize, Serialize};

use crate::{
    figures::{Row, Section, Unit},
    job::Job,
    places::Places,
    process,
    statistics::real,
    world::{self, Script},
};

const RUNS: u32 = 200;
const SCRIPT: Script = Script { steps: 20, payload: 1_024, asks: false };

/// Runs at once in one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManyJob {
    directory: PathBuf,
    runs: u32,
}

/// What they took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Many {
    seconds: f64,
    peak_bytes: u64,
}

impl ManyJob {
    pub(crate) async fn run(&self) -> anyhow::Result<Many> {
        let store = Store::open_sqlite(&self.directory.join("masque.db")).await?;
        let engine = world::engine(&store, SCRIPT, "bench");
        let begun = Instant::now();
        world::drive_all(&engine, SCRIPT, self.runs, self.runs).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let completed = RunFilter { status: Some(RunStatus::Completed), limit: 1_000, ..RunFilter::default() };
        let completed = store.runs(&completed).await?.len();
        anyhow::ensure!(completed == self.runs as usize, "{completed} of {} runs completed", self.runs);
        drop(engine);
        store.close().await?;
        Ok(Many { seconds, peak_bytes: process::high_water_bytes("self").context("the kernel tells no peak")? })
    }
}

/// Measures memory and time, beside a single run.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let of = |runs| {
        let directory = places.memory_disk()?;
        process::job::<Many>(places, &Job::Many(ManyJob { directory: directory.path().to_owned(), runs }))
    };
    let (one, many) = (of(1)?, of(RUNS)?);
    Ok(Section {
        title: "Runs at once",
        command: "make bench ARGS=many",
        about: format!(
            "{RUNS} runs of {} steps with 1 KiB each, all at once in one process, each driven to its end; memory is \
             the peak of the process.",
            SCRIPT.steps
        ),
        rows: vec![
            Row::new(format!("memory, {RUNS} runs"), Unit::Bytes, real(many.peak_bytes))
                .beside("1 run", Ok(real(one.peak_bytes))),
            Row::new(format!("time until all {RUNS} runs are completed"), Unit::Milliseconds, many.seconds * 1e3),
        ],
    })
}
