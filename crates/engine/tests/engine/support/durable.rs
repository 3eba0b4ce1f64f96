//! A run whose effects outlive its process: files, a child process, and a server that counts; and the process that is
//! struck while it drives that run.
//!
//! The victim is this test binary, started again with [`victim`] selected.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    ScriptModel, Turn, answer_one, create, drive, engine,
    helpers::{Helpers, TreeModel, caller, tools},
    options, persona, run_spec, send_as,
};
use masque_engine::{
    driver::{DriveOptions, Driven, Engine, Progress},
    environment::{Activation, ActiveEnvironment, Environments},
    replay::replay,
    state::{Outcome, State},
};
use masque_store::{ApprovalFilter, RunFilter, Store};
use masque_testkit::database::TestDatabase;
use masque_types::{
    BoxFuture,
    actor::Actor,
    approval::{Answer, Approval, Question},
    diagnostic::Diagnostic,
    event::{Event, EventBody},
    id::{RunId, Seq},
    message::Part,
    policy::Rule,
    run::Command,
    secret::Secret,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use serde_json::json;

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
    /// The blow comes right after the `mail` call of this number took effect.
    blow_after_mail: Option<(u32, Arc<Blow>)>,
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
                if let Some((nth, blow)) = &self.blow_after_mail
                    && nth == &*mails
                {
                    blow.strike();
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
pub(crate) struct DurableEnvironments {
    directory: PathBuf,
    counter: SocketAddr,
    blow_after_mail: Option<(u32, Arc<Blow>)>,
}

impl Environments for DurableEnvironments {
    fn activate(&self, _: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async {
            let Self { directory, counter, blow_after_mail } = self.clone();
            let tools =
                DurableTools { directory, counter, blow_after_mail, mails: Mutex::new(0), specs: tools().into() };
            Ok(Arc::new(tools) as Arc<dyn ActiveEnvironment>)
        })
    }
}

/// What strikes the victim: SIGKILL, or whoever listens at an address and freezes it for a while.
pub(crate) struct Blow {
    freezer: Option<SocketAddr>,
    struck: AtomicBool,
}

impl Blow {
    fn strike(&self) {
        if self.struck.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(freezer) = self.freezer {
            // The byte comes when the victim was frozen and goes on.
            TcpStream::connect(freezer).unwrap().read_exact(&mut [0]).unwrap();
            return;
        }
        // SIGKILL cannot be caught: nothing is flushed, nothing is dropped.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        loop {
            std::thread::park();
        }
    }
}

/// What the victim is struck after.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// The commit of this event.
    Event(Seq),
    /// The effect of its nth mail, before the commit of the outcome.
    Mail(u32),
    /// The commit of this event.of a called run.
    ChildEvent(Seq),
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
pub(crate) struct Counter(Arc<Mutex<BTreeMap<String, u32>>>);

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

    pub(crate) fn of(&self, id: &str) -> u32 {
        self.0.lock().unwrap().get(id).copied().unwrap_or(0)
    }
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
    let freezer = orders["freezer"].as_str().map(|address| address.parse().unwrap());
    let blow = Arc::new(Blow { freezer, struck: AtomicBool::new(false) });
    let (last, child_last) = (orders["event"].as_u64(), orders["child_event"].as_u64());
    let struck = Arc::clone(&blow);
    let observe = move |progress: Progress<'_>| {
        let reached =
            |last: Option<u64>, events: &[Event]| last.is_some_and(|last| events.iter().any(|event| event.seq >= last));
        let strikes = match progress {
            Progress::Committed(events) => reached(last, events),
            Progress::Child { progress: Progress::Committed(events), .. } => reached(child_last, events),
            _ => false,
        };
        if strikes {
            struck.strike();
        }
    };
    let mail = orders["mail"].as_u64().map(|mail| (u32::try_from(mail).unwrap(), blow));
    let environments = DurableEnvironments {
        directory: text("directory").into(),
        counter: text("counter").parse().unwrap(),
        blow_after_mail: mail,
    };
    let mut engine = worker(&store, &environments, "victim", orders["story"] == "tree", Some("victim"));
    engine.lease = Duration::from_millis(orders["lease_ms"].as_u64().unwrap());
    let options = DriveOptions { observe: &observe, dead_worker: Some("victim"), ..options() };
    let driven = engine.drive(text("run").parse().unwrap(), options).await;
    // A server ends the connection of a program that was frozen within a transaction.
    let lost = matches!(driven, Ok(Driven::LeaseLost) | Err(masque_engine::Error::Store(_)));
    assert!(lost || (freezer.is_none() && driven.is_ok()), "a frozen worker finds its lease gone: {driven:?}");
}

/// What the run of a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// Calls of every class, one run.
    Alone,
    /// A conversation of three turns.
    Conversation,
    /// A run that calls two others, one of them without waiting.
    Tree,
}

pub(crate) fn worker(
    store: &Store,
    environments: &DurableEnvironments,
    name: &str,
    calls: bool,
    dead_worker: Option<&str>,
) -> Engine {
    let environments = Arc::new(environments.clone());
    if !calls {
        return Engine { environments, ..engine(store, ScriptModel::new(turns()), &Arc::default(), name) };
    }
    let helper = vec![vec![("mail", json!({ "n": 1 }))]];
    let helpers = Helpers {
        store: store.clone(),
        model: TreeModel::new(tree_turns(), helper),
        environments,
        worker: name.into(),
        dead_worker: dead_worker.map(Into::into),
    };
    helpers.engine()
}

fn tree_turns() -> Vec<Turn> {
    let call = |mode: &str| ("agent.call", json!({ "persona": "helper", "task": "help", "mode": mode }));
    vec![vec![call("blocking")], vec![("note", json!({ "n": 1 }))]]
}

/// Everything of one case: a run in a database, its files, its counter.
pub(crate) struct Case {
    database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) run: RunId,
    files: tempfile::TempDir,
    counter: Counter,
    address: SocketAddr,
    pub(crate) doubts: u32,
    story: Story,
}

impl Case {
    pub(crate) async fn new(database: TestDatabase, rules: Vec<Rule>) -> Self {
        Self::of(database, rules, Story::Alone).await
    }

    pub(crate) async fn of(database: TestDatabase, rules: Vec<Rule>, story: Story) -> Self {
        let store = database.open().await;
        let mut spec = run_spec();
        spec.policy.rules = rules;
        spec.conversation = story == Story::Conversation;
        let persona = if story == Story::Tree { caller() } else { persona() };
        let run = create(&store, spec, persona).await;
        let files = tempfile::tempdir().unwrap();
        fs_err::write(files.path().join("input"), "input").unwrap();
        let counter = Counter::default();
        let address = counter.start();
        Self { database, store, run, files, counter, address, doubts: 0, story }
    }

    pub(crate) fn environments(&self) -> DurableEnvironments {
        DurableEnvironments { directory: self.files.path().into(), counter: self.address, blow_after_mail: None }
    }

    /// The process that will be struck.
    pub(crate) fn victim(&self, moment: Moment, lease: Duration, freezer: Option<SocketAddr>) -> Process {
        let (event, mail) = match moment {
            Moment::Event(seq) => (Some(seq), None),
            Moment::Mail(nth) => (None, Some(nth)),
            Moment::ChildEvent(_) => (None, None),
        };
        let child_event = match moment {
            Moment::ChildEvent(seq) => Some(seq),
            _ => None,
        };
        let sqlite = self.database.file().map(|file| file.display().to_string());
        let orders = json!({
            "postgres": self.database.url().map(|url| url.expose().to_owned()), "sqlite": sqlite,
            "run": self.run, "directory": self.files.path(), "counter": self.address.to_string(),
            "event": event, "child_event": child_event, "mail": mail,
            "story": if self.story == Story::Tree { "tree" } else { "alone" }, "lease_ms": u64::try_from(lease.as_millis()).unwrap(),
            "freezer": freezer.map(|address| address.to_string()),
        });
        #[expect(clippy::disallowed_methods, reason = "the victim is a process of its own")]
        let mut process = Process::new(std::env::current_exe().unwrap());
        process
            .args(["--exact", "support::durable::victim", "--nocapture"])
            .env(VARIABLE, orders.to_string())
            .stdout(Stdio::null());
        process
    }

    /// Resumes until the run ends: a person approves, and answers each doubt after a look at the counter.
    pub(crate) async fn finish(&mut self, dead_worker: Option<&str>) -> Result<Driven, masque_engine::Error> {
        let rescuer = worker(&self.store, &self.environments(), "rescuer", self.story == Story::Tree, dead_worker);
        loop {
            let driven = drive(&rescuer, self.run, dead_worker).await?;
            if !matches!(driven, Driven::Waiting(_)) {
                return Ok(driven);
            }
            assert!(self.go_on().await, "a waiting run waits for something: {driven:?}");
        }
    }

    /// Gives a waiting run what it waits for; false when it waits for nothing.
    pub(crate) async fn go_on(&mut self) -> bool {
        if self.answer_all().await > 0 {
            return true;
        }
        let events = self.store.journal(self.run, 0).await.unwrap();
        let state = State::fold(self.run, &events).unwrap();
        if !state.turn_over || state.outcome.is_some() {
            return false;
        }
        let said = events.iter().filter(|event| event.body.kind() == "user_said").count();
        let by = Actor::User("ada".into());
        let command = match said {
            0 | 1 => Command::Say { parts: vec![Part::text(format!("turn {said}"))], by, model: None },
            _ => Command::Finish { by },
        };
        // The same words again are the same command, however often this is tried.
        send_as(&self.store, &format!("{} {said}", self.run), self.run, command).await;
        true
    }

    /// Answers the open questions, and says how many there were.
    pub(crate) async fn answer_all(&mut self) -> usize {
        let all = ApprovalFilter { open_only: true, run: None, limit: 10 };
        let open = self.store.approvals(&all).await.unwrap();
        for approval in &open {
            self.answer(approval).await;
        }
        open.len()
    }

    async fn answer(&mut self, approval: &Approval) {
        let answer = match &approval.question {
            Question::InDoubt { .. } => {
                self.doubts += 1;
                if self.counter.of(&approval.call_id) > 0 { Answer::Happened { result: None } } else { Answer::Retry }
            }
            _ => Answer::Approve,
        };
        answer_one(&self.store, approval, answer).await;
    }

    /// What must hold of a tree at the end, however often it was killed.
    pub(crate) async fn check_tree(&self, driven: &Driven, what: &str) -> (usize, usize) {
        assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{what}: {driven:?}");
        assert_eq!(self.counter.of("help_0_0"), 1, "{what}: the mail of the called run was sent once");
        let called = RunFilter { parent: Some(self.run), ..RunFilter::default() };
        let called = self.store.runs(&called).await.unwrap();
        assert_eq!(called.len(), 1, "{what}: the call is one run");
        let child = self.store.journal(called[0].id, 0).await.unwrap();
        let root = self.store.journal(self.run, 0).await.unwrap();
        for (run, events) in [(called[0].id, &child), (self.run, &root)] {
            assert_eq!(replay(run, events).unwrap().differs_at, None, "{what}");
        }
        let count = |kind: &str| root.iter().filter(|event| event.body.kind() == kind).count();
        assert_eq!((count("child_started"), count("child_ended")), (1, 1), "{what}: its end is told once");
        assert_eq!(self.store.inbox(self.run).await.unwrap(), [], "{what}: nothing is left in the inbox");
        (root.len(), child.len())
    }

    /// What must hold at the end, however often the run was killed.
    pub(crate) async fn check(&self, driven: &Driven, what: &str) -> usize {
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
