//! How many steps a second the store makes durable: each step is an announced and a confirmed tool call, two appends
//! that are awaited one after the other. Say a directory: `cargo run --release --example steps -- /dev/shm`.
//! A URL instead measures that PostgreSQL database, which should be empty.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{path::Path, time::Instant};

use masque_store::{Append, Error, Store};
use masque_testkit::sample::{head, new_run, run_id};
use masque_types::{
    event::{Event, EventBody},
    id::Seq,
    message::Part,
    run::RunStatus,
    secret::Secret,
    time::Timestamp,
    tool::EffectClass,
};

const STEPS: u64 = 10_000;
const PAYLOAD_BYTES: usize = 1000;
const RUNS: u128 = 16;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let place = std::env::args().nth(1).unwrap_or_else(|| "/dev/shm".to_owned());
    let store = if place.starts_with("postgres") {
        Store::connect_postgres(&Secret::new(place.as_str())).await?
    } else {
        Store::open_sqlite(&Path::new(&place).join("masque-steps.db")).await?
    };
    let begun = Instant::now();
    steps(store.clone(), 1_000, STEPS).await?;
    report("alone", STEPS, begun);

    let begun = Instant::now();
    let each = STEPS / 4;
    let mut runs = tokio::task::JoinSet::new();
    for number in 1..=RUNS {
        runs.spawn(steps(store.clone(), number, each));
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap_or(Err(Error::Closed))?;
    }
    report("16 runs", each * 16, begun);

    let begun = Instant::now();
    let events = store.journal(run_id(1_000), 0).await?.len();
    println!("a journal of {events} events read in {:?}", begun.elapsed());
    store.close().await
}

fn report(what: &str, steps: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {:.0} steps/s", f64::from(u32::try_from(steps).unwrap_or(u32::MAX)) / seconds);
}

async fn steps(store: Store, number: u128, steps: u64) -> Result<(), Error> {
    let run = run_id(number);
    store.create_run(new_run(run)).await?;
    for step in 0..steps {
        let call_id = format!("call-{step}");
        let announced = EventBody::ToolCallStarted { call_id: call_id.clone(), effect: EffectClass::Once, attempt: 1 };
        let text =
            format!("{number} {step} ").repeat(PAYLOAD_BYTES / 8).chars().take(PAYLOAD_BYTES).collect::<String>();
        let confirmed = EventBody::ToolCallFinished {
            call_id,
            content: vec![Part::text(text)],
            is_error: false,
            whole: None,
            duration_ms: 1,
        };
        for (seq, body) in (2 * step + 2..).zip([announced, confirmed]) {
            store.append(Append::new(run, 0, vec![event(seq, body)], head(RunStatus::Running))).await?;
        }
    }
    Ok(())
}

fn event(seq: Seq, body: EventBody) -> Event {
    Event { seq, epoch: 0, at: Timestamp(1_780_000_000_000), body }
}
