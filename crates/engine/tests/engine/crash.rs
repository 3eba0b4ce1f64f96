//! SIGKILL after every journal event, and in the middle of effects: resuming completes each run, no `once` effect
//! happens twice, none is lost, and every interrupted one is shown as in doubt.
//!
//! The victim is a process of its own: this test binary, started again with the child's test selected.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    sync::{Arc, Mutex},
};

use crate::support::{ScriptModel, Turn, ask_rule, create, engine, persona, run_spec, specs};
use masque_engine::{
    driver::{DriveOptions, Driven, Progress, WhenWaiting},
    environment::{Activation, ActiveEnvironment, Environments},
    replay::replay,
    state::Outcome,
};
use masque_store::{ApprovalFilter, Store};
use masque_testkit::database::TestDatabase;
use masque_types::{
    BoxFuture,
    actor::{Actor, Channel},
    approval::{Answer, Approval, Question, Ruling},
    diagnostic::Diagnostic,
    event::EventBody,
    id::{CommandId, RunId, Seq},
    run::Command,
    secret::Secret,
    time::Timestamp,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn turns() -> Vec<Turn> {
    vec![
        vec![("read", json!({ "n": 1 })), ("read", json!({ "n": 2 })), ("note", json!({ "n": 1 }))],
        vec![("mail", json!({ "n": 1 })), ("patch", json!({ "n": 1 })), ("read", json!({ "n": 3 }))],
        vec![("mail", json!({ "n": 2 })), ("note", json!({ "n": 2 }))],
    ]
}

/// Tools whose effects outlive their process: files, a child process, and a server that counts.
struct DurableTools {
    directory: PathBuf,
    counter: SocketAddr,
    /// The process kills itself right after its `mail` call of this number took effect.
    die_after_mail: Option<u32>,
    mails: Mutex<u32>,
    specs: Arc<[ToolSpec]>,
}

impl DurableTools {
    fn perform(&self, invocation: &Invocation) -> ToolOutput {
        let id = &invocation.call.id;
        match invocation.call.tool.as_str() {
            "read" => ToolOutput::text(fs_err::read_to_string(self.directory.join("input")).unwrap()),
            "note" => {
                fs_err::write(self.directory.join(format!("note_{id}")), &invocation.idempotency_key).unwrap();
                ToolOutput::text("noted")
            }
            "patch" => {
                let script = format!("echo {id} >> {}", self.directory.join("patches").display());
                #[expect(clippy::disallowed_methods, reason = "the tool of this test starts a process")]
                let status = Process::new("sh").args(["-c", &script]).status().unwrap();
                ToolOutput::text(status.to_string())
            }
            "mail" => {
                post(self.counter, id);
                let mut mails = self.mails.lock().unwrap();
                *mails += 1;
                if self.die_after_mail == Some(*mails) {
                    die();
                }
                ToolOutput::text("sent")
            }
            other => ToolOutput::error(other),
        }
    }

    fn patches(&self) -> String {
        fs_err::read_to_string(self.directory.join("patches")).unwrap_or_default()
    }
}

impl Toolbox for DurableTools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { self.perform(invocation) })
    }

    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        Box::pin(async move {
            if self.patches().lines().any(|line| line == invocation.call.id) {
                ProbeAnswer::Happened(ToolOutput::text("patched"))
            } else {
                ProbeAnswer::DidNotHappen
            }
        })
    }
}

impl ActiveEnvironment for DurableTools {
    fn diagnostics(&self) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[derive(Clone)]
struct DurableEnvironments {
    directory: PathBuf,
    counter: SocketAddr,
    die_after_mail: Option<u32>,
}

impl Environments for DurableEnvironments {
    fn activate(&self, _: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async {
            let Self { directory, counter, die_after_mail } = self.clone();
            let tools =
                DurableTools { directory, counter, die_after_mail, mails: Mutex::new(0), specs: specs().into() };
            Ok(Arc::new(tools) as Arc<dyn ActiveEnvironment>)
        })
    }
}

fn die() -> ! {
    // SIGKILL cannot be caught: nothing is flushed, nothing is dropped.
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

fn post(counter: SocketAddr, id: &str) {
    let mut stream = TcpStream::connect(counter).unwrap();
    // In one piece, so that the server has it whole before it answers and closes.
    let request = format!("POST /{id} HTTP/1.1\r\nHost: counter\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// An HTTP server that counts requests by path.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counter {
    fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 1024];
                let read = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                *counts.lock().unwrap().entry(path).or_default() += 1;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        address
    }

    fn of(&self, id: &str) -> u32 {
        self.0.lock().unwrap().get(id).copied().unwrap_or(0)
    }
}

/// Where the victim dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// After the commit of this event.
    AfterEvent(Seq),
    /// Between the effect of its nth mail and the commit of the outcome.
    AfterMail(u32),
}

const VARIABLE: &str = "MASQUE_TEST_VICTIM";

/// The victim; does nothing when the test binary runs as usual.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    #[expect(clippy::disallowed_methods, reason = "the victim gets its orders by a variable")]
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let orders: serde_json::Value = serde_json::from_str(&orders).unwrap();
    let text = |name: &str| orders[name].as_str().unwrap().to_owned();
    let store = match orders["postgres"].as_str() {
        Some(url) => Store::connect_postgres(&Secret::new(url)).await.unwrap(),
        None => Store::open_sqlite(Path::new(&text("sqlite"))).await.unwrap(),
    };
    let last = orders["event"].as_u64();
    let observe = |progress: Progress<'_>| {
        if let Progress::Committed(events) = progress
            && last.is_some_and(|last| events.iter().any(|event| event.seq >= last))
        {
            die();
        }
    };
    let mail = orders["mail"].as_u64().map(|mail| u32::try_from(mail).unwrap());
    let environments = DurableEnvironments {
        directory: text("directory").into(),
        counter: text("counter").parse().unwrap(),
        die_after_mail: mail,
    };
    drive(&store, text("run").parse().unwrap(), &environments, "victim", &observe).await;
}

async fn drive(
    store: &Store,
    run: RunId,
    environments: &DurableEnvironments,
    worker: &str,
    observe: &(dyn Fn(Progress<'_>) + Send + Sync),
) -> Driven {
    let mut engine = engine(store, ScriptModel::new(turns()), &Arc::default(), worker);
    engine.environments = Arc::new(environments.clone());
    let options = DriveOptions {
        when_waiting: &|_| WhenWaiting::Park,
        observe,
        stop: CancellationToken::new(),
        dead_worker: Some("victim"),
    };
    engine.drive(run, options).await.unwrap()
}

/// Everything of one case: a run in a database, its files, its counter.
struct Case {
    database: TestDatabase,
    store: Store,
    run: RunId,
    files: tempfile::TempDir,
    counter: Counter,
    address: SocketAddr,
    doubts: u32,
}

impl Case {
    async fn new(database: TestDatabase) -> Self {
        let store = database.open().await;
        let mut spec = run_spec();
        spec.policy.rules = vec![ask_rule("note")];
        let run = create(&store, spec, persona()).await;
        let files = tempfile::tempdir().unwrap();
        fs_err::write(files.path().join("input"), "input").unwrap();
        let counter = Counter::default();
        let address = counter.start();
        Self { database, store, run, files, counter, address, doubts: 0 }
    }

    fn environments(&self) -> DurableEnvironments {
        DurableEnvironments { directory: self.files.path().into(), counter: self.address, die_after_mail: None }
    }

    /// Starts the victim and waits for its death; false when it lived to the end.
    fn kill(&self, death: Death) -> bool {
        let (event, mail) = match death {
            Death::AfterEvent(seq) => (Some(seq), None),
            Death::AfterMail(nth) => (None, Some(nth)),
        };
        let sqlite = self.database.file().map(|file| file.display().to_string());
        let orders = json!({
            "postgres": self.database.url().map(|url| url.expose().to_owned()), "sqlite": sqlite,
            "run": self.run, "directory": self.files.path(), "counter": self.address.to_string(),
            "event": event, "mail": mail,
        });
        #[expect(clippy::disallowed_methods, reason = "the victim is a process of its own")]
        let status = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(VARIABLE, orders.to_string())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success() || std::os::unix::process::ExitStatusExt::signal(&status) == Some(9), "{status}");
        !status.success()
    }

    /// Resumes until the run ends: a person approves, and answers each doubt after a look at the counter.
    async fn finish(&mut self) -> Driven {
        loop {
            let driven = drive(&self.store, self.run, &self.environments(), "rescuer", &|_| {}).await;
            if driven != Driven::Waiting {
                return driven;
            }
            let filter = ApprovalFilter { open_only: true, run: Some(self.run), limit: 10 };
            let open = self.store.approvals(&filter).await.unwrap();
            assert!(!open.is_empty(), "a waiting run has a question");
            for approval in open {
                self.answer(approval).await;
            }
        }
    }

    async fn answer(&mut self, approval: Approval) {
        let answer = match &approval.question {
            Question::InDoubt { .. } => {
                self.doubts += 1;
                if self.counter.of(&approval.call_id) > 0 { Answer::Happened { result: None } } else { Answer::Retry }
            }
            _ => Answer::Approve,
        };
        let ruling = Ruling { answer, by: Actor::User("ada".into()), channel: Channel::Cli };
        let command = Command::Answer { approval: approval.id, digest: approval.digest, ruling };
        self.store.send(CommandId::from_uuid(uuid::Uuid::now_v7()), self.run, &command, Timestamp(1)).await.unwrap();
    }

    /// What must hold at the end, however often the run was killed.
    async fn check(&self, driven: &Driven, what: &str) -> usize {
        assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{what}: {driven:?}");
        for mail in ["call_1_0", "call_2_0"] {
            assert_eq!(self.counter.of(mail), 1, "{what}: {mail} happened once");
        }
        let patches = fs_err::read_to_string(self.files.path().join("patches")).unwrap();
        assert_eq!(patches, "call_1_1\n", "{what}");
        for note in ["note_call_0_2", "note_call_2_1"] {
            assert!(self.files.path().join(note).exists(), "{what}: {note}");
        }
        let events = self.store.journal(self.run, 0).await.unwrap();
        assert_eq!(replay(self.run, &events).unwrap().differs_at, None, "{what}");
        let in_doubt = events.iter().filter(|event| matches!(event.body, EventBody::ToolCallInDoubt { .. })).count();
        assert_eq!(u32::try_from(in_doubt).unwrap(), self.doubts, "{what}: every doubt was shown");
        events.len()
    }
}

async fn every_death(new_database: impl AsyncFn() -> TestDatabase) {
    let mut undisturbed = Case::new(new_database().await).await;
    let driven = undisturbed.finish().await;
    let events = undisturbed.check(&driven, "undisturbed").await as Seq;
    let deaths = (3..events).map(Death::AfterEvent).chain([Death::AfterMail(1), Death::AfterMail(2)]);
    let mut doubts = 0;
    for death in deaths {
        let mut case = Case::new(new_database().await).await;
        // A victim stops at the first question; the rest of the run is reached by answering and killing again.
        while !case.kill(death) {
            let filter = ApprovalFilter { open_only: true, run: Some(case.run), limit: 10 };
            let open = case.store.approvals(&filter).await.unwrap();
            if open.is_empty() {
                break;
            }
            for approval in open {
                case.answer(approval).await;
            }
        }
        let driven = case.finish().await;
        case.check(&driven, &format!("{death:?}")).await;
        doubts += case.doubts;
        case.store.close().await.unwrap();
    }
    assert!(doubts >= 4, "deaths within a mail call leave doubts: {doubts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_is_survived_on_sqlite() {
    every_death(async || TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_is_survived_on_postgres() {
    if TestDatabase::postgres().await.is_some() {
        every_death(async || TestDatabase::postgres().await.unwrap()).await;
    }
}
