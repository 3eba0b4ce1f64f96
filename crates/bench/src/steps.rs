//! Durable steps: how many a second, with how many flushes, in how many bytes; beside LangGraph.
//!
//! A step is a model call and a tool call of class `once`: announced, made, confirmed, in four events and two commits.

use std::{path::PathBuf, time::Instant};

use masque_store::{Faults, RunFilter, Store};
use serde::{Deserialize, Serialize};

use crate::{
    figures::{Row, Section, Unit},
    job::Job,
    places::Places,
    process::{self, PeerSteps},
    statistics::{median, real},
    world::{self, Script},
};

const PAYLOAD: usize = 1_024;
/// Steps of each run whose speed is measured: what the peer's speed was measured with.
const STEPS: u32 = 200;
const MANY: u32 = 16;
const ROUNDS: usize = 5;
const PEER: &str = include_str!("langgraph_steps.py");

/// Runs of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StepsJob {
    directory: PathBuf,
    runs: u32,
    at_once: u32,
    steps: u32,
}

/// What they took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Took {
    seconds: f64,
    commits: u64,
    stored_bytes: u64,
    /// What the store takes before the first run.
    empty_bytes: u64,
    /// The JSON of all events.
    journal_bytes: u64,
}

impl StepsJob {
    pub(crate) async fn run(&self) -> anyhow::Result<Took> {
        let path = self.directory.join("masque.db");
        Store::open_sqlite(&path).await?.close().await?;
        let empty_bytes = process::directory_bytes(&self.directory)?;
        let counter = Faults::new();
        let store = Store::open_sqlite_with_faults(&path, counter.clone()).await?;
        let script = Script { steps: self.steps, payload: PAYLOAD, asks: false };
        let engine = world::engine(&store, script, "bench");
        let begun = Instant::now();
        world::drive_all(&engine, script, self.runs, self.at_once).await?;
        let seconds = begun.elapsed().as_secs_f64();
        drop(engine);
        let journal_bytes = journal_bytes(&store).await?;
        store.close().await?;
        Ok(Took {
            seconds,
            commits: counter.commits(),
            stored_bytes: process::directory_bytes(&self.directory)?,
            empty_bytes,
            journal_bytes,
        })
    }

    fn all_steps(&self) -> f64 {
        real(u64::from(self.runs) * u64::from(self.steps))
    }

    fn payload_bytes(&self) -> f64 {
        self.all_steps() * real(PAYLOAD as u64)
    }
}

async fn journal_bytes(store: &Store) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for run in store.runs(&RunFilter { limit: 1_000, ..RunFilter::default() }).await? {
        for event in store.journal(run.id, 0).await? {
            bytes += serde_json::to_string(&event.body)?.len() as u64;
        }
    }
    Ok(bytes)
}

/// Measures steps a second, flushes and storage.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let mut rows = speed(places)?;
    rows.extend(flushes(places)?);
    for steps in [200, 800] {
        rows.extend(storage(places, steps)?);
    }
    Ok(Section {
        title: "Durable steps",
        command: "make bench ARGS=steps",
        about: format!(
            "A step is a model call and a tool call of class `once` with {PAYLOAD} bytes of result, announced and \
             confirmed by the engine in an SQLite store (WAL, `synchronous=FULL`) in memory (`/dev/shm`), so that the \
             figures show the program and not the disk. A LangGraph step is one node that adds {PAYLOAD} bytes to the \
             state, with one checkpoint (`durability=\"sync\"`, `synchronous=FULL`); it announces nothing. Speeds are \
             medians of {ROUNDS} processes with runs of {STEPS} steps, Masque and LangGraph in turn. Commits are \
             counted by the store in the same processes, flushes by `strace` in others. Stored bytes are those that a \
             run adds to a closed store; beside the result a step has its model call with receipt, the call, and its \
             announcement, which are about half as many bytes again."
        ),
        rows,
    })
}

fn speed(places: &Places) -> anyhow::Result<Vec<Row>> {
    let (mut alone, mut many, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peer_alone, mut peer_many) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (one, took) = masque(places, MANY, 1, STEPS)?;
        alone.push(one.all_steps() / took.seconds);
        let (all, took) = masque(places, MANY * 2, MANY, STEPS)?;
        many.push(all.all_steps() / took.seconds);
        commits.push(real(took.commits) / all.all_steps());
        // The peer's figures vary less and take longer.
        if round < 3 {
            peer_alone.push(langgraph(places, 1, STEPS).map(|took| f64::from(STEPS) / took.seconds));
            peer_many.push(langgraph(places, MANY, 50).map(|took| f64::from(MANY * 50) / took.seconds));
        }
    }
    let name = langgraph(places, 1, 1).map_or_else(|_| "LangGraph".to_owned(), |took| took.version);
    Ok(vec![
        Row::new("steps a second, 1 run", Unit::PerSecond, median(alone))
            .at_least(10_000.0)
            .beside(&name, all_or_reason(peer_alone)),
        Row::new(format!("steps a second, {MANY} runs at once"), Unit::PerSecond, median(many))
            .at_least(20_000.0)
            .beside("LangGraph", all_or_reason(peer_many)),
        Row::new(format!("commits per step, {MANY} runs at once"), Unit::Share, median(commits)).at_most(0.25),
    ])
}

fn all_or_reason(figures: Vec<Result<f64, String>>) -> Result<f64, String> {
    figures.into_iter().collect::<Result<Vec<_>, _>>().map(median)
}

fn flushes(places: &Places) -> anyhow::Result<Vec<Row>> {
    let row = |runs: u32, peer: bool| {
        let directory = places.memory_disk()?;
        let job = StepsJob { directory: directory.path().to_owned(), runs, at_once: runs, steps: STEPS };
        let command = process::job_command(places, &Job::Steps(job.clone()))?;
        let counted = process::flushes(&command).map(|calls| real(calls) / job.all_steps());
        let what = format!("flushes per step, {runs} at once");
        let mut row = match counted {
            Ok(counted) => Row::new(what, Unit::Share, counted),
            Err(reason) => Row::new(format!("{what} ({reason})"), Unit::Share, f64::NAN),
        };
        if peer {
            row = row.beside("LangGraph", langgraph_flushes(places));
        }
        anyhow::Ok(row)
    };
    Ok(vec![row(1, true)?, row(MANY, false)?])
}

fn storage(places: &Places, steps: u32) -> anyhow::Result<[Row; 2]> {
    let (job, took) = masque(places, 1, 1, steps)?;
    let per_payload = |bytes: u64| real(bytes) / job.payload_bytes();
    let with_empty = per_payload(took.stored_bytes);
    let what = format!(
        "stored bytes per byte of result, {steps} steps ({with_empty:.2} with the {} kB of an empty store)",
        took.empty_bytes / 1_000
    );
    let peer = langgraph(places, 1, steps).map(|took| per_payload(took.stored_bytes));
    let added = took.stored_bytes.saturating_sub(took.empty_bytes);
    Ok([
        Row::new(what, Unit::Share, per_payload(added)).at_most(1.3).beside("LangGraph", peer),
        Row::new(
            format!("stored bytes per byte of the journal's JSON, {steps} steps"),
            Unit::Share,
            real(added) / real(took.journal_bytes),
        ),
    ])
}

fn masque(places: &Places, runs: u32, at_once: u32, steps: u32) -> anyhow::Result<(StepsJob, Took)> {
    let directory = places.memory_disk()?;
    let job = StepsJob { directory: directory.path().to_owned(), runs, at_once, steps };
    let took = process::job(places, &Job::Steps(job.clone()))?;
    Ok((job, took))
}

fn langgraph(places: &Places, runs: u32, steps: u32) -> Result<PeerSteps, String> {
    let directory = places.memory_disk().map_err(|error| error.to_string())?;
    let mut command = langgraph_command(places, directory.path().as_ref(), runs, steps)?;
    let output = process::run(&mut command).map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn langgraph_flushes(places: &Places) -> Result<f64, String> {
    let directory = places.memory_disk().map_err(|error| error.to_string())?;
    let command = langgraph_command(places, directory.path().as_ref(), 1, STEPS)?;
    process::flushes(&command).map(|calls| real(calls) / f64::from(STEPS))
}

fn langgraph_command(
    places: &Places,
    directory: &std::ffi::OsStr,
    runs: u32,
    steps: u32,
) -> Result<std::process::Command, String> {
    let mut command = process::inherited(places.langgraph()?);
    command.arg("-c").arg(PEER).arg(directory);
    command.args([runs.to_string(), steps.to_string(), PAYLOAD.to_string()]);
    Ok(command)
}
