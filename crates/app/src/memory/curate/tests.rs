//! Rounds of the curator with a scripted model: what is kept, what is refused, what goes.

use std::time::Duration;

use masque_memory::{curate::Limits, index::Source};
use masque_store::{ForgetFilter, MemoryFilter};
use masque_types::{
    actor::{Actor, Caller, Reach},
    digest::Digest,
    id::RunId,
    memory::{Document, DocumentKind, Namespace, Origin},
    message::Part,
    persona::Persona,
    policy::ToolSelection,
    run::SandboxMode,
    time::Timestamp,
};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::{CurateMemory, CurateResult, Curated};
use crate::{
    App, Error, Kind,
    config::{Settings, argument},
    host::Host,
    memory::ListMemories,
    runs::{Drive, RunFilter, StartRun, WhenWaiting},
};

const GOOD: &str = r#"{"title": "Pumps", "statements": [{"text": "Pump 1 has 7 valves.", "sources": ["S1", "S2"]}], "contradictions": [{"about": "The number of tanks.", "sources": ["S1", "S3"]}]}"#;
const UNKNOWN: &str = r#"{"title": "Pumps", "statements": [{"text": "Pump 1 is red.", "sources": ["S9"]}]}"#;

struct World {
    root: tempfile::TempDir,
    app: App,
}

impl World {
    async fn new(settings: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(root.path().join("project/.git")).unwrap();
        let host = Host {
            directory: root.path().join("project").canonicalize().unwrap(),
            ..Host::for_tests(&root.path().canonicalize().unwrap())
        };
        let always = ["memory.embedder=none", "model.probe_local=off"];
        let given: Vec<_> = always.iter().chain(settings).map(|pair| argument(pair).unwrap()).collect();
        let settings = Settings::load(&host, &host.directory, &given).unwrap();
        Self { app: App::open(host, settings).await.unwrap(), root }
    }

    /// With a model, three documents that belong together, and its answer about them.
    async fn with_documents(answer: &str, settings: &[&str]) -> Self {
        let mut settings = settings.to_vec();
        settings.push("model.default=scripted/../script.yaml");
        let world = Self::new(&settings).await;
        world.answers(answer);
        for name in ["a", "b", "c"] {
            world.remember(&format!("notes/{name}.md"), Origin::Trusted).await;
        }
        world
    }

    fn answers(&self, text: &str) {
        let script = serde_json::json!({ "replies": [{ "text": text }, { "text": text }] });
        fs_err::write(self.root.path().join("script.yaml"), script.to_string()).unwrap();
    }

    fn namespace(&self) -> Namespace {
        self.app.project_namespace(&self.app.host.directory).unwrap()
    }

    async fn remember(&self, source: &str, origin: Origin) {
        let line = |n: usize| format!("In {source} pump {n} has {n} valves and is checked on day {n}.\n\n");
        let text: String = (0..120).map(line).collect();
        let source = Source {
            namespace: self.namespace(),
            source: source.to_owned(),
            kind: DocumentKind::Document,
            title: source.to_owned(),
            media_type: "text/markdown".to_owned(),
            origin,
            digest: Digest::of(&text),
            text,
            changed_at: Timestamp(1),
            metadata: Map::new(),
        };
        self.app.memory_index().await.unwrap().add(source, self.app.now()).await.unwrap();
    }

    async fn curate(&self, asked: &CurateMemory) -> Result<Curated, Error> {
        self.app.curate_memory(&local(), asked, &CancellationToken::new()).await
    }

    async fn round(&self) -> Curated {
        self.curate(&CurateMemory::default()).await.unwrap()
    }

    async fn summaries(&self) -> Vec<Document> {
        let namespaces = self.app.memory_namespaces().await.unwrap();
        let filter = MemoryFilter { kinds: vec![DocumentKind::Summary], ..MemoryFilter::of(namespaces) };
        self.app.memories(&local(), &ListMemories { filter, limit: 100 }).await.unwrap()
    }

    async fn runs(&self) -> usize {
        self.app.runs(&RunFilter::default()).await.unwrap().len()
    }

    /// A conversation that says this, waits for the next words, and is never answered.
    async fn converse(&self, words: &str) -> RunId {
        let start = StartRun {
            persona: Persona { tools: ToolSelection::Only(Vec::new()), ..Persona::new("ada") },
            task: vec![Part::text(words)],
            workspace: self.app.host.directory.clone(),
            limits: masque_types::cost::Limits::default(),
            ceiling: Vec::new(),
            sandbox: SandboxMode::Process,
            conversation: true,
            models: Vec::new(),
            mode: None,
        };
        let run = self.app.start(&Actor::System, start).await.unwrap();
        self.turn(run).await;
        self.app
            .say(
                &Actor::System,
                run,
                crate::conversations::Say { parts: vec![Part::text("Go on.")], ..Default::default() },
            )
            .await
            .unwrap();
        self.turn(run).await;
        run
    }

    async fn turn(&self, run: RunId) {
        let drive = Drive {
            when_waiting: &|_| WhenWaiting::Park,
            between_turns: WhenWaiting::Park,
            observe: &|_| {},
            stop: CancellationToken::new(),
        };
        Box::pin(self.app.drive(run, drive)).await.unwrap();
    }
}

fn local() -> Caller {
    Caller { actor: Actor::User("ada".to_owned()), reach: Reach::Local }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_names_its_sources_and_is_forgotten_with_them() {
    let world = World::with_documents(GOOD, &[]).await;
    let dry = world.curate(&CurateMemory { dry_run: true, ..CurateMemory::default() }).await.unwrap();
    assert!(matches!(dry.groups[0].result, CurateResult::Planned), "{dry:?}");
    assert_eq!((world.runs().await, world.summaries().await.len()), (0, 0), "a dry run changes nothing");
    assert!(world.app.audit_tail(1).await.unwrap().is_empty());

    let curated = world.round().await;
    let CurateResult::Summarised { document, run, contradictions, .. } = &curated.groups[0].result else {
        panic!("{curated:?}");
    };
    assert_eq!(contradictions.as_slice(), ["The number of tanks."]);
    let view = world.app.memory(&local(), &document.to_string()).await.unwrap();
    assert_eq!(view.document.kind, DocumentKind::Summary);
    assert_eq!(view.document.origin, Origin::Untrusted, "a model wrote it, whatever it read");
    assert_eq!(view.document.namespace, world.namespace());
    assert_eq!(view.document.metadata["sources"].as_array().unwrap().len(), 3);
    assert_eq!(view.document.metadata["contradictions"][0]["about"], "The number of tanks.");
    assert!(view.chunks[0].text.contains("Pump 1 has 7 valves. [1][2]"), "{view:?}");
    let state = world.app.state(*run).await.unwrap();
    let task = masque_types::message::joined_text(&state.spec.task);
    assert!(task.contains("title: notes/c.md") && task.contains("pump 119 has 119 valves"), "{task}");
    assert!(state.tools.as_deref().is_none_or(|tools| tools.iter().all(|tool| tool.name.ends_with(".read"))));
    assert!(world.app.audit_tail(9).await.unwrap().iter().any(|entry| entry.what.action == "memory.curate"));

    assert!(world.round().await.groups.is_empty(), "everything is summarised");
    assert_eq!(world.runs().await, 1);
    let filter = ForgetFilter {
        namespaces: vec![world.namespace()],
        sources: vec!["notes/b.md".to_owned()],
        ..ForgetFilter::default()
    };
    world.app.forget_memory(&local(), filter).await.unwrap();
    assert!(world.summaries().await.is_empty(), "it went with its source");
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cites_unknown_sources_is_refused_and_asked_for_again() {
    let world = World::with_documents(UNKNOWN, &[]).await;
    let curated = world.round().await;
    let CurateResult::Refused { run: Some(_), reasons } = &curated.groups[0].result else { panic!("{curated:?}") };
    assert!(reasons[0].contains("there is no source S9"), "{reasons:?}");
    assert!(world.summaries().await.is_empty());
    world.answers(GOOD);
    world.round().await;
    assert_eq!(world.summaries().await.len(), 1);

    // What changes afterwards is summarised anew, in place of the older summary.
    world.remember("notes/b.md", Origin::Untrusted).await;
    let again = world.round().await;
    assert_eq!(again.groups[0].group.why, masque_memory::curate::Why::Outdated);
    assert_eq!(world.summaries().await.len(), 1);
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_model_or_from_elsewhere_nothing_is_changed() {
    let world = World::new(&[]).await;
    for name in ["a", "b", "c"] {
        world.remember(&format!("notes/{name}.md"), Origin::Untrusted).await;
    }
    let error = world.curate(&CurateMemory::default()).await.unwrap_err();
    assert!(!error.hints.is_empty(), "{error}");
    assert_eq!((world.runs().await, world.summaries().await.len()), (0, 0));
    let remote = Caller { reach: Reach::Remote, ..local() };
    let refused = world.app.curate_memory(&remote, &CurateMemory::default(), &CancellationToken::new()).await;
    assert_eq!(refused.unwrap_err().kind, Kind::Refused);
    assert_eq!(world.app.curate_when_due(&CancellationToken::new()).await.unwrap(), None, "never is the default");
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_do_a_round_once() {
    let world = World::with_documents(GOOD, &["memory.curate_every=1h"]).await;
    let (one, other) = (world.app.handle(), world.app.handle());
    let stop = CancellationToken::new();
    let (one, other) = tokio::join!(one.curate_when_due(&stop), other.curate_when_due(&stop));
    let done: Vec<Curated> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!((world.runs().await, world.summaries().await.len()), (1, 1));
    assert_eq!(world.app.curate_when_due(&stop).await.unwrap(), None, "it is not due again");
    world.app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_conversation_is_summarised_for_its_persona_and_goes_with_it() {
    let answer =
        r#"{"title": "Valves", "statements": [{"text": "The person wants valve 7 checked.", "sources": ["S1"]}]}"#;
    let world = World::new(&["model.default=scripted/../script.yaml"]).await;
    world.answers(answer);
    let conversation = world.converse(&"Check valve 7 before the others. ".repeat(400)).await;
    let limits = Limits { long_tokens: 2_000, settled: Duration::ZERO, ..Limits::default() };
    let asked = CurateMemory { limits, ..CurateMemory::default() };
    let elsewhere = CurateMemory { namespaces: vec![world.namespace()], ..asked.clone() };
    assert!(world.curate(&elsewhere).await.unwrap().groups.is_empty(), "it is not the project's");
    let curated = world.curate(&asked).await.unwrap();
    assert!(matches!(curated.groups[0].result, CurateResult::Summarised { .. }), "{curated:?}");
    let summaries = world.summaries().await;
    assert_eq!(summaries[0].namespace.to_string(), "private:ada");
    assert_eq!(summaries[0].metadata["run"], conversation.to_string());
    assert!(world.curate(&asked).await.unwrap().groups.is_empty());

    world.app.finish_conversation(&Actor::System, conversation).await.unwrap();
    // Time passes: what ended in this very millisecond is not older than now.
    while world.app.run(conversation).await.is_ok() {
        world.app.prune_runs(&Actor::System, Duration::ZERO, false).await.unwrap();
    }
    assert!(world.summaries().await.is_empty(), "it went with the conversation");
    world.app.close().await.unwrap();
}
