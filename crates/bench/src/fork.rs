//! Branching a long run off: how long it takes, and how much it writes.

use std::{collections::BTreeMap, path::Path, time::Instant};

use anyhow::Context as _;
use masque_app::{App, config::Settings, forks::Fork, host::Host};
use masque_store::Store;
use masque_types::{
    actor::Actor,
    event::EventBody,
    id::{RunId, Seq},
};

use crate::{
    figures::{Row, Section, Unit},
    job,
    places::Places,
    process,
    statistics::{median_ms, real},
    world::{self, Script},
};

const SCRIPT: Script = Script { steps: 1_000, payload: 1_024, asks: false };
const AT_STEP: usize = 900;
const FORKS: usize = 50;

/// Measures the use case `fork`.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let home = places.memory_disk()?;
    let database = home.path().join("masque.db");
    let runtime = job::runtime()?;
    let (run, at) = runtime.block_on(long_run(&database))?;
    let before = process::directory_bytes(home.path())?;
    let mut took = Vec::new();
    runtime.block_on(async {
        let app = open(home.path()).await?;
        let actor = Actor::User("bench".to_owned());
        for _ in 0..FORKS {
            let begun = Instant::now();
            app.fork(&actor, run, Fork { at: Some(at), ..Fork::default() }).await?;
            took.push(begun.elapsed());
        }
        Ok::<_, anyhow::Error>(app.close().await?)
    })?;
    let grown = process::directory_bytes(home.path())?.saturating_sub(before);
    Ok(Section {
        title: "Fork",
        command: "make bench ARGS=fork",
        about: format!(
            "A run of {} steps with 1 KiB each, branched off {FORKS} times after step {AT_STEP}: reading the parent, \
             finding what it did afterwards, writing the fork with its audit entry. Time is the median; bytes are what \
             the closed store grew by, per fork.",
            SCRIPT.steps
        ),
        rows: vec![
            Row::new("time of a fork", Unit::Milliseconds, median_ms(&took)).at_most(10.0),
            Row::new("bytes of a fork", Unit::Bytes, real(grown) / real(FORKS as u64)).at_most(4_096.0),
        ],
    })
}

/// Makes the run; returns it and the event that ends the step to fork after.
async fn long_run(database: &Path) -> anyhow::Result<(RunId, Seq)> {
    let store = Store::open_sqlite(database).await?;
    let engine = world::engine(&store, SCRIPT, "bench");
    let run = world::create(&store, SCRIPT).await?;
    world::drive(&engine, run).await?;
    let events = store.journal(run, 0).await?;
    let confirmed = events.iter().filter(|event| matches!(event.body, EventBody::ToolCallFinished { .. }));
    let at = confirmed.map(|event| event.seq).nth(AT_STEP - 1).context("the run is too short")?;
    drop(engine);
    store.close().await?;
    Ok((run, at))
}

async fn open(home: &Path) -> anyhow::Result<App> {
    let host = Host {
        environment: BTreeMap::new(),
        directory: home.to_owned(),
        executable: std::env::current_exe()?,
        home: home.to_owned(),
        config: home.join("config"),
        user: "bench".to_owned(),
    };
    let settings = Settings::load(&host, home, &[])?;
    Ok(App::open(host, settings).await?)
}
