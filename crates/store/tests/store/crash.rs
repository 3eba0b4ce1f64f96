//! A program that is killed while it writes: everything that it had acknowledged is there.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use masque_store::{Append, RunFilter, Store};
use masque_testkit::{
    database::TestDatabase,
    sample::{event, head, new_run, run_id},
};
use masque_types::{id::Seq, run::RunStatus};

const RUNS: u128 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let database = TestDatabase::sqlite();
    let path = database.file().unwrap();
    for lines in [1, 150, 400] {
        let acknowledged = tokio::task::spawn_blocking({
            let path = path.clone();
            move || kill_after(lines, &path)
        });
        let acknowledged = acknowledged.await.unwrap();
        let store = database.open().await;
        for run in store.runs(&RunFilter::default()).await.unwrap() {
            let journal: Vec<_> = store.journal(run.id, 0).await.unwrap().iter().map(|event| event.seq).collect();
            assert_eq!(journal, (1..=run.last_seq).collect::<Vec<_>>());
            let said = acknowledged.get(&run.id.to_string()).copied().unwrap_or(0);
            assert!(run.last_seq >= said, "{}: {said} acknowledged, {} found", run.id, run.last_seq);
        }
        store.close().await.unwrap();
    }
}

/// Starts [`writer`] in a process of its own, kills it after some acknowledgements, and returns the last of each run.
#[expect(clippy::disallowed_methods, reason = "what is tested is the death of a process")]
fn kill_after(lines: usize, path: &Path) -> BTreeMap<String, Seq> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", path.display()).unwrap();
    let mut said = BTreeMap::new();
    let mut note = |line: &str| {
        let acknowledged = line.strip_prefix("stored ").and_then(|line| line.split_once(' '));
        let seq = acknowledged.and_then(|(run, seq)| Some((run.to_owned(), seq.parse::<Seq>().ok()?)));
        said.extend(seq);
    };
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    output.by_ref().take(lines + 4).for_each(|line| note(&line.unwrap()));
    child.kill().unwrap();
    output.map_while(Result::ok).for_each(|line| note(&line));
    child.wait().unwrap();
    assert!(!said.is_empty() || lines == 1, "the writer stored something");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by what_was_acknowledged_survives_a_kill, with the path of a database on its input"]
async fn writer() {
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).unwrap();
    if path.trim().is_empty() {
        return;
    }
    let store = Store::open_sqlite(Path::new(path.trim())).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 1..=RUNS {
        writers.spawn(write_for_ever(store.clone(), number));
    }
    while writers.join_next().await.is_some() {}
}

async fn write_for_ever(store: Store, number: u128) {
    let run = run_id(number);
    let mut seq = match store.run(run).await.unwrap() {
        Some(run) => run.last_seq,
        None => {
            store.create_run(new_run(run)).await.unwrap();
            1
        }
    };
    loop {
        seq += 1;
        let append = Append::new(run, 0, vec![event(seq, 0, "more")], head(RunStatus::Running));
        store.append(append).await.unwrap();
        // One write call, so that lines of different runs do not mix and none is half written.
        let mut output = std::io::stdout().lock();
        if output.write_all(format!("stored {run} {seq}\n").as_bytes()).and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}
