//! What decides about a standard and what does not; what a crash leaves; what is found.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_store::DecideProposal;
use masque_types::{
    actor::{Actor, Caller, Channel, Reach},
    digest::Digest,
    id::ProposalId,
    standard::{Decision, Proposal, ProposalStatus},
    time::Timestamp,
};

use super::{Decide, ProposalFilter, Propose, Review, StandardQuery, Verdict, propose::output};
use crate::{
    App, Error,
    config::{Argument, Settings},
    host::Host,
};

struct World {
    app: App,
    root: tempfile::TempDir,
}

const TEXT: &str = "## Context\n\nClients retry.\n\n## Pattern\n\nPaths use plural nouns.\n";

fn person() -> Caller {
    Caller { actor: Actor::User("ada".into()), reach: Reach::Local }
}

fn persona() -> Caller {
    Caller { actor: Actor::Persona("architect".into()), reach: Reach::Local }
}

impl World {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(root.path().join("project/.git")).unwrap();
        let app = Self::app(root.path(), "cli").await;
        Self { app, root }
    }

    async fn app(root: &Path, decide: &str) -> App {
        let host = Host::for_tests(root);
        let argument = |key: &'static str, text: &str| Argument { key, text: text.to_owned(), origin: key.to_owned() };
        let arguments = [argument("standards.decide", decide), argument("memory.embedder", "none")];
        let settings = Settings::load(&host, &root.join("project"), &arguments).unwrap();
        App::open(host, settings).await.unwrap()
    }

    fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    fn file(&self, topic: &str) -> PathBuf {
        self.project().join(".masque/standards/data").join(format!("{topic}.md"))
    }

    fn write(&self, topic: &str, text: &str) {
        fs_err::create_dir_all(self.file(topic).parent().unwrap()).unwrap();
        fs_err::write(self.file(topic), text).unwrap();
    }

    /// Every file of the project.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.project()];
        while let Some(directory) = open.pop() {
            for entry in fs_err::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.insert(path.clone(), fs_err::read_to_string(path).unwrap());
                }
            }
        }
        files
    }

    fn propose(&self, topic: &str, content: &str) -> Propose {
        Propose {
            project: self.project(),
            domain: "data".into(),
            topic: topic.into(),
            title: format!("On {topic}"),
            tags: vec!["api".into()],
            content: content.into(),
            run: None,
            revises: None,
            key: None,
        }
    }

    async fn proposed(&self, topic: &str) -> Review {
        self.app.propose_standard(&persona(), self.propose(topic, TEXT)).await.unwrap()
    }

    async fn decide(&self, proposal: &Proposal, verdict: Verdict) -> Result<Proposal, Error> {
        let decide = Decide { proposal: proposal.id, digest: proposal.digest, verdict, feedback: None };
        self.app.decide_proposal(&person(), Channel::Cli, decide).await
    }

    /// A decision that is durable while its file is not: what a process leaves that is killed between the two.
    async fn killed_after_decision(&self, proposal: &Proposal) {
        let at = self.app.now();
        let by = person().actor;
        let decision = Decision { digest: proposal.digest, by: by.clone(), channel: Channel::Cli, at, feedback: None };
        let approved =
            Proposal { status: ProposalStatus::Approved, decision: Some(decision), updated_at: at, ..proposal.clone() };
        let current = fs_err::read_to_string(self.project().join(&proposal.file)).ok();
        let decided = DecideProposal {
            output: Some(output(&approved, current.as_deref(), &by, at)),
            expected: proposal.digest,
            audit: self.app.proposal_entry(&by, "standard.approve", &approved, at),
            proposal: approved,
        };
        assert!(self.app.store.decide_proposal(decided).await.unwrap());
    }
}

/// What happened to a proposal between looking at it and deciding.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meanwhile {
    Nothing,
    Approved,
    Rejected,
    Superseded,
    Revised,
    FileChanged,
    FileMade,
    FileGone,
    Expired,
}

const MEANWHILE: [Meanwhile; 9] = [
    Meanwhile::Nothing,
    Meanwhile::Approved,
    Meanwhile::Rejected,
    Meanwhile::Superseded,
    Meanwhile::Revised,
    Meanwhile::FileChanged,
    Meanwhile::FileMade,
    Meanwhile::FileGone,
    Meanwhile::Expired,
];

/// Who decides, how it reaches Masque, and whether that is a person under a policy.
fn deciders() -> Vec<(Caller, Channel, &'static str, bool)> {
    let remote = Caller { actor: Actor::User("ada".into()), reach: Reach::Remote };
    let system = Caller { actor: Actor::System, reach: Reach::Local };
    vec![
        (person(), Channel::Cli, "cli", true),
        (person(), Channel::Elicitation, "elicitation", true),
        (person(), Channel::Elicitation, "cli", false),
        (person(), Channel::Mcp, "elicitation", false),
        (person(), Channel::Flag, "cli", false),
        (system, Channel::Timeout, "elicitation", false),
        (persona(), Channel::Cli, "cli", false),
        (persona(), Channel::Elicitation, "elicitation", false),
        (remote.clone(), Channel::Cli, "cli", false),
        (remote, Channel::Elicitation, "elicitation", false),
    ]
}

impl World {
    /// A proposal as somebody saw it, and then what happened to it.
    async fn seen(&self, topic: &str, meanwhile: Meanwhile) -> Proposal {
        if matches!(meanwhile, Meanwhile::FileChanged | Meanwhile::FileGone) {
            self.write(topic, "# Old\n\nThe old rule.\n");
        }
        let seen = self.proposed(topic).await.proposal;
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Approved => drop(self.decide(&seen, Verdict::Approve).await.unwrap()),
            Meanwhile::Rejected => drop(self.decide(&seen, Verdict::Reject).await.unwrap()),
            Meanwhile::Superseded => drop(self.proposed(topic).await),
            Meanwhile::Revised => {
                let revision = Propose { revises: Some(seen.id), ..self.propose(topic, "Another text.") };
                self.app.propose_standard(&persona(), revision).await.unwrap();
            }
            Meanwhile::FileChanged => self.write(topic, "# Old\n\nA changed rule.\n"),
            Meanwhile::FileMade => self.write(topic, "# Other\n\nSomebody wrote this.\n"),
            Meanwhile::FileGone => fs_err::remove_file(self.file(topic)).unwrap(),
            Meanwhile::Expired => return self.aged(&seen).await,
        }
        seen
    }

    /// The same proposal, made long ago.
    async fn aged(&self, young: &Proposal) -> Proposal {
        let old = Proposal {
            id: ProposalId::derive(&young.digest),
            created_at: Timestamp(young.created_at.0 - 40 * 86_400_000),
            ..young.clone()
        };
        let entry = self.app.proposal_entry(&old.proposed_by, "standard.propose", &old, old.created_at);
        assert!(self.app.store.propose(&old, entry).await.unwrap());
        old
    }
}

/// Everything that can come between a look and a decision, by everybody who may try, with every verdict, and with digests
/// of something else: only what a person decided about what that person saw changes a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_that_no_person_approved() {
    let world = World::new().await;
    let elicitation = World::app(world.root.path(), "elicitation").await;
    let verdicts = [Verdict::Approve, Verdict::ApproveWith("A person's words.".into()), Verdict::Reject];
    let mut cases = 0;
    for meanwhile in MEANWHILE {
        for (who, (caller, channel, policy, is_person)) in deciders().into_iter().enumerate() {
            // Each verdict is tried for the two that may decide; a refusal does not look at it.
            for verdict in verdicts.iter().take(if is_person { 3 } else { 1 }) {
                for wrong in [false, true] {
                    cases += 1;
                    let topic = format!("case-{cases}");
                    let case = format!("{meanwhile:?} {who} {channel:?} {policy} {verdict:?} wrong: {wrong}");
                    let seen = world.seen(&topic, meanwhile).await;
                    let digest = if wrong { Digest::of(&topic) } else { seen.digest };
                    let app = if policy == "cli" { &world.app } else { &elicitation };
                    let decide = Decide { proposal: seen.id, digest, verdict: verdict.clone(), feedback: None };
                    let (before, stood) = (world.files(), world.app.proposal(seen.id).await.unwrap());
                    let decided = app.decide_proposal(&caller, channel, decide).await;
                    let after = world.files();
                    let may = is_person
                        && !wrong
                        && match verdict {
                            Verdict::Reject => matches!(
                                meanwhile,
                                Meanwhile::Nothing
                                    | Meanwhile::Expired
                                    | Meanwhile::FileChanged
                                    | Meanwhile::FileMade
                                    | Meanwhile::FileGone
                            ),
                            _ => meanwhile == Meanwhile::Nothing,
                        };
                    assert_eq!(decided.is_ok(), may, "{case}: {decided:?}");
                    if may && *verdict != Verdict::Reject {
                        let text = fs_err::read_to_string(world.file(&topic)).unwrap();
                        assert!(text.contains("approved_by: \"user:ada\""), "{case}: {text}");
                        let words = if *verdict == Verdict::Approve { "plural nouns" } else { "A person's words." };
                        assert!(text.contains(words), "{case}: {text}");
                        fs_err::remove_file(world.file(&topic)).unwrap();
                        assert_eq!(world.files(), before, "{case}: one file and nothing else");
                    } else {
                        assert_eq!(after, before, "{case}: nothing is written");
                    }
                    if !may {
                        let stands = world.app.proposal(seen.id).await.unwrap();
                        assert_eq!((stands.status, stands.decision), (stood.status, stood.decision), "{case}");
                    }
                    // What was seen cannot be decided on a second time.
                    if may {
                        let again = Decide { proposal: seen.id, digest, verdict: Verdict::Approve, feedback: None };
                        assert!(app.decide_proposal(&caller, channel, again).await.is_err(), "{case}: replayed");
                    }
                }
            }
        }
    }
    assert!(cases >= 200, "{cases}");
    assert_eq!(world.app.audit_verify().await.unwrap().broken, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_deciders_one_wins() {
    let world = World::new().await;
    for round in 0..4 {
        let seen = world.proposed(&format!("round-{round}")).await.proposal;
        let verdict = |place: usize| match place % 3 {
            0 => Verdict::Approve,
            1 => Verdict::ApproveWith(format!("Words of {place}.")),
            _ => Verdict::Reject,
        };
        let tries = (0..6).map(|place| world.decide(&seen, verdict(place)));
        let results = futures::future::join_all(tries).await;
        let won: Vec<&Proposal> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{results:?}");
        let stands = world.app.proposal(seen.id).await.unwrap();
        assert_eq!(stands.decision, won[0].decision);
        assert_eq!(world.file(&format!("round-{round}")).exists(), stands.status == ProposalStatus::Approved);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_before_a_crash_is_written_after_it() {
    let world = World::new().await;
    let seen = world.proposed("crash").await.proposal;
    world.killed_after_decision(&seen).await;
    assert!(!world.file("crash").exists());
    let listed = world.app.standards(&world.project()).await.unwrap();
    assert!(listed.iter().any(|standard| standard.standard.topic == "crash" && standard.approved), "{listed:?}");

    // A file that was changed between the decision and its writing is not what the person saw.
    world.write("late", "# Old\n\nThe old rule.\n");
    let seen = world.proposed("late").await.proposal;
    world.killed_after_decision(&seen).await;
    world.write("late", "# Old\n\nSomebody's own words.\n");
    world.app.standards(&world.project()).await.unwrap();
    assert!(fs_err::read_to_string(world.file("late")).unwrap().contains("Somebody's own words."));
    let review = world.app.review_proposal(seen.id).await.unwrap();
    assert_eq!((review.proposal.status, review.proposal.revision), (ProposalStatus::Draft, 2));
    assert_ne!(review.proposal.digest, seen.digest);
    assert!(review.diff.contains("-Somebody's own words."), "{}", review.diff);
    world.decide(&review.proposal, Verdict::Approve).await.unwrap();
    assert!(fs_err::read_to_string(world.file("late")).unwrap().contains("plural nouns"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_wrong_names_are_refused_everywhere() {
    let world = World::new().await;
    let secret = format!("Use {}{} for it.", "ghp_", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5");
    let refused = world.app.propose_standard(&persona(), world.propose("x", &secret)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the text holds a secret: line 1 (GitHub token)");
    assert!(refused.hints[0].contains("$GITHUB_TOKEN"), "{refused:?}");
    let seen = world.proposed("x").await.proposal;
    let changed = world.decide(&seen, Verdict::ApproveWith(secret.clone())).await.unwrap_err();
    assert!(changed.to_string().contains("GitHub token") && !world.file("x").exists());
    for topic in ["../x", "X", "a/b", "", "."] {
        assert!(world.app.propose_standard(&persona(), world.propose(topic, TEXT)).await.is_err(), "{topic}");
    }
    let stranger = Caller { actor: Actor::Persona("qa".into()), reach: Reach::Local };
    let revision = Propose { revises: Some(seen.id), ..world.propose("x", "Mine now.") };
    let refused = world.app.propose_standard(&stranger, revision).await.unwrap_err();
    assert!(refused.to_string().contains("who alone may revise it"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_tried_again_proposes_once_and_feedback_is_read() {
    let world = World::new().await;
    let propose = || Propose { key: Some("call-1".into()), ..world.propose("again", TEXT) };
    let first = world.app.propose_standard(&persona(), propose()).await.unwrap().proposal;
    let second = world.app.propose_standard(&persona(), propose()).await.unwrap().proposal;
    assert_eq!(first.id, second.id);
    let reject = Decide {
        proposal: first.id,
        digest: first.digest,
        verdict: Verdict::Reject,
        feedback: Some(" Name the exceptions. ".into()),
    };
    world.app.decide_proposal(&person(), Channel::Cli, reject).await.unwrap();
    let filter = ProposalFilter { project: Some(world.project()), ..ProposalFilter::default() };
    let listed = world.app.proposals(&filter).await.unwrap();
    assert_eq!(listed.len(), 1);
    let decision = listed[0].decision.as_ref().unwrap();
    assert_eq!(decision.feedback.as_deref(), Some("Name the exceptions."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approved_standards_are_found_and_others_are_labelled() {
    let world = World::new().await;
    let ask = |text: &str| {
        let (app, project, query) = (&world.app, world.project(), StandardQuery::new(text));
        async move { app.search_standards(&persona(), &project, &query).await.unwrap() }
    };
    assert!(ask("plural nouns").await.notes[0].contains("has no standards"));
    let kafka = "# Kafka topics\n\n## Pattern\n\nTopics are named by domain, entity and version, with dots between.\n";
    let seen = world.app.propose_standard(&persona(), world.propose("kafka", kafka)).await.unwrap().proposal;
    world.decide(&seen, Verdict::Approve).await.unwrap();
    world.write("by-hand", "# Retries\n\nRetry idempotent requests three times with backoff.\n");
    let found = ask("how are Kafka topics named").await;
    assert_eq!(found.hits[0].citation, "standard://data/kafka", "{found:?}");
    assert!(found.hits[0].approved && found.hits[0].text.contains("dots between"));
    let by_hand = ask("retry idempotent requests with backoff").await;
    assert_eq!((by_hand.hits[0].standard.topic.as_str(), by_hand.hits[0].approved), ("by-hand", false));
    // An approved file that somebody edits is not approved any more.
    let text = fs_err::read_to_string(world.file("kafka")).unwrap();
    fs_err::write(world.file("kafka"), text.replace("with dots", "with dashes")).unwrap();
    let found = ask("how are Kafka topics named").await;
    assert!(!found.hits[0].approved && found.hits[0].text.contains("with dashes"), "{found:?}");
    fs_err::remove_file(world.file("by-hand")).unwrap();
    let gone = ask("retry idempotent requests with backoff").await;
    assert!(gone.hits.iter().all(|hit| hit.standard.topic != "by-hand"), "{gone:?}");
    let uses = world.app.standard_stats(&world.project()).await.unwrap();
    assert_eq!((uses.standards[0].standard.topic.as_str(), uses.standards[0].queries >= 2), ("kafka", true));
    assert!(ask("zeppelin mooring procedures").await.hits.is_empty(), "nothing fits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_at_most_a_tenth_of_the_standards() {
    let world = World::new().await;
    let matters = ["retries", "timeouts", "pagination", "logging", "caching", "naming", "migrations", "alerts"];
    for (place, matter) in matters.iter().cycle().take(32).enumerate() {
        let filler =
            format!("Service number {place} keeps its own way of {matter}, described here at length. ").repeat(12);
        world.write(&format!("{matter}-{place}"), &format!("# {matter} of {place}\n\n## Pattern\n\n{filler}\n"));
    }
    for matter in matters {
        let query = StandardQuery::new(format!("service way of {matter}"));
        let found = world.app.search_standards(&persona(), &world.project(), &query).await.unwrap();
        assert!(!found.hits.is_empty(), "{matter}");
        assert!(found.context_tokens * 10 <= found.source_tokens, "{matter}: {found:?}");
    }
}
