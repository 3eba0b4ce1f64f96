//! Many runs that wait for a human: what they cost a process that has just been started, and how fast it is ready.

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use masque_engine::driver::Driven;
use masque_store::{ApprovalFilter, RunFilter, Store};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Ruling},
    id::CommandId,
    run::{Command, RunStatus},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    figures::{Row, Section, Unit},
    job::{self, Job},
    places::Places,
    process::{self, alone, timed},
    statistics::{median, median_ms, real},
    world::{self, Script},
};

const RUNS: u32 = 10_000;
const ROUNDS: usize = 5;
const SCRIPT: Script = Script { steps: 1, payload: 1_024, asks: true };

/// A fresh process over a store whose runs wait, one of them with an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadyJob {
    database: PathBuf,
}

/// What it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Until the answered run was claimed.
    ready_ms: f64,
    list_ms: f64,
    peak_bytes: u64,
}

impl ReadyJob {
    pub(crate) async fn run(&self) -> anyhow::Result<Ready> {
        let begun = Instant::now();
        let store = Store::open_sqlite(&self.database).await?;
        let listing = Instant::now();
        let filter = RunFilter { status: Some(RunStatus::Waiting), limit: RUNS as usize, ..RunFilter::default() };
        let waiting = store.runs(&filter).await?.len();
        let list_ms = listing.elapsed().as_secs_f64() * 1e3;
        anyhow::ensure!(waiting == RUNS as usize, "{waiting} of {RUNS} runs wait");
        let engine = world::engine(&store, SCRIPT, "bench-ready");
        let now = world::now();
        let until = now.plus(engine.lease);
        let claimed = store.claim_next(&engine.worker, now, until).await?;
        let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
        let (run, epoch) = claimed.context("no run can be gone on with")?;
        let driven = engine.drive_claimed(run, epoch, until, world::options()).await?;
        anyhow::ensure!(matches!(driven, Driven::Ended(_)), "the answered run did not end: {driven:?}");
        drop(engine);
        store.close().await?;
        let peak_bytes = process::high_water_bytes("self").context("the kernel tells no peak of memory")?;
        Ok(Ready { ready_ms, list_ms, peak_bytes })
    }
}

/// Measures readiness, memory and listings.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let home = places.memory_disk()?;
    let database = home.path().join("masque.db");
    let runtime = job::runtime()?;
    runtime.block_on(make_waiting_runs(&database))?;
    let (mut ready, mut list, mut peak, mut command) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        runtime.block_on(answer_one(&database))?;
        let took: Ready = process::job(places, &Job::Ready(ReadyJob { database: database.clone() }))?;
        ready.push(took.ready_ms);
        list.push(took.list_ms);
        peak.push(real(took.peak_bytes));
        let limit = RUNS.to_string();
        command.push(timed(alone(&places.masque, home.path()).args(["runs", "list", "--limit", &limit]))?);
    }
    Ok(Section {
        title: "Waiting runs",
        command: "make bench ARGS=waiting",
        about: format!(
            "{RUNS} runs that wait for an approval, made by the engine. A new process opens the store, lists them \
             all, and claims the one run whose question was answered meanwhile; it then drives that run to its end. \
             Medians of {ROUNDS}; memory is the peak of the whole process."
        ),
        rows: vec![
            Row::new("ready after the restart", Unit::Milliseconds, median(ready)).at_most(1_000.0),
            Row::new("memory", Unit::Bytes, median(peak)).at_most(50e6),
            Row::new(format!("listing {RUNS} runs, in the process"), Unit::Milliseconds, median(list)).at_most(100.0),
            Row::new(format!("`masque runs list --limit {RUNS}`"), Unit::Milliseconds, median_ms(&command)),
        ],
    })
}

async fn make_waiting_runs(database: &std::path::Path) -> anyhow::Result<()> {
    let store = Store::open_sqlite(database).await?;
    let engine = world::engine(&store, SCRIPT, "bench");
    world::drive_all(&engine, SCRIPT, RUNS, 16).await?;
    drop(engine);
    Ok(store.close().await?)
}

/// Answers the newest question, and replaces its run by a new waiting one.
async fn answer_one(database: &std::path::Path) -> anyhow::Result<()> {
    let store = Store::open_sqlite(database).await?;
    let engine = world::engine(&store, SCRIPT, "bench");
    let missing = RUNS as usize
        - store.approvals(&ApprovalFilter { limit: usize::MAX >> 1, ..ApprovalFilter::default() }).await?.len();
    for _ in 0..missing {
        let run = world::create(&store, SCRIPT).await?;
        world::drive(&engine, run).await?;
    }
    let open = store.approvals(&ApprovalFilter { limit: RUNS as usize, ..ApprovalFilter::default() }).await?;
    let question = open.last().context("no question is open")?;
    let ruling = Ruling { answer: Answer::Approve, by: Actor::User("bench".to_owned()), channel: Channel::Cli };
    let command = Command::Answer { approval: question.id, digest: question.digest, ruling };
    store.send(CommandId::from_uuid(Uuid::now_v7()), question.run, &command, world::now()).await?;
    drop(engine);
    Ok(store.close().await?)
}
