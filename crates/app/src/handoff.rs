//! Use cases over hand-off packages: pack a task, look into a package, and what a run that comes from one begins with.
//!
//! Leaves out the package's form, which is the persona crate's, and calls between runs, which the engine makes.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use masque_engine::{compaction, state::State};
use masque_home::identity::{KeyPair, PublicKey, Signature};
use masque_persona::handoff::{self, Opened, PURPOSE};
pub use masque_persona::handoff::{Artifact, Handoff, ReplyTo, Source};
use masque_types::{
    actor::Actor,
    child::{Expected, HistoryShare},
    digest::Digest,
    event::BlobRef,
    id::RunId,
    message::{Message, Part},
    persona::Persona,
};

use serde_json::json;

use crate::{App, Error, audit, home, host::Host, runs::check_task};

/// Tokens of history that go with a task at most.
pub const HISTORY_TOKENS: u64 = 20_000;
/// The largest artifact in bytes.
const MAX_ARTIFACT_BYTES: u64 = 1 << 30;

/// A task that is to be packed.
#[derive(Debug, Clone)]
pub struct Pack {
    /// What to do.
    pub task: String,
    /// The persona that is to do it.
    pub target: String,
    /// The run that the task comes from.
    pub from: Option<RunId>,
    /// What of that run's conversation goes with it.
    pub history: HistoryShare,
    /// Where the artifacts are.
    pub workspace: PathBuf,
    /// Files of the workspace that belong to the task.
    pub artifacts: Vec<String>,
    /// Settings that the target may know.
    pub environment: BTreeMap<String, String>,
    /// What is wanted back.
    pub expected: Expected,
    /// How long the result may take, in milliseconds.
    pub timeout_ms: Option<u64>,
}

/// A package that was looked into.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What it holds.
    pub handoff: Handoff,
    /// The key that signed it.
    pub signed_by: PublicKey,
    /// Whether that is this installation's own key.
    pub own: bool,
}

impl App {
    /// Packs a task and signs the package with the installation's key.
    ///
    /// # Errors
    /// When the task is empty, an artifact is no file of the workspace, a setting looks like a secret, the run's persona keeps its
    /// conversation to itself, or the package gets too large.
    pub async fn pack(&self, actor: &Actor, pack: Pack) -> Result<Vec<u8>, Error> {
        check_task(&[Part::text(pack.task.as_str())])?;
        let (source, history) = match pack.from {
            Some(run) => shared(&self.state(run).await?, pack.history)?,
            None => (Source { name: actor.to_string(), digest: None, run: None }, Vec::new()),
        };
        check_environment(&pack.environment)?;
        let handoff = Handoff {
            task: pack.task,
            source,
            target: pack.target,
            history,
            artifacts: artifacts(&pack.workspace, &pack.artifacts)?,
            working_directory: pack.workspace.display().to_string(),
            environment: pack.environment,
            expected: pack.expected,
            reply_to: None,
            timeout_ms: pack.timeout_ms,
            created_at: self.now(),
        };
        let package = sealed(&self.host, &handoff)?;
        let detail = json!({ "package": Digest::of(&package), "history": handoff.history.len() });
        let run = handoff.source.run;
        self.store.audit(audit::entry(self.now(), actor, "handoff.pack", run, &handoff.target, detail)).await?;
        Ok(package)
    }

    /// Looks into a package.
    ///
    /// # Errors
    /// As for [`inspect`].
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspected, Error> {
        inspect(&self.host, bytes)
    }
}

/// Looks into a package: checks size and signature first.
///
/// # Errors
/// When it is no package, was changed, or was written by a newer Masque.
pub fn inspect(host: &Host, bytes: &[u8]) -> Result<Inspected, Error> {
    let Opened { handoff, signed_by } = handoff::decode(bytes, verifies).map_err(refused)?;
    let signed_by = PublicKey::from_bytes(signed_by);
    let own = signed_by == installation(host)?.public();
    Ok(Inspected { handoff, signed_by, own })
}

/// Signs a package with the installation's key.
pub(crate) fn sealed(host: &Host, handoff: &Handoff) -> Result<Vec<u8>, Error> {
    let key = installation(host)?;
    let sign = |signed: &[u8]| *key.sign(PURPOSE, signed).as_bytes();
    handoff::encode(handoff, key.public().as_bytes(), sign).map_err(refused)
}

fn verifies(key: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> bool {
    PublicKey::from_bytes(*key).verifies(PURPOSE, signed, &Signature::from_bytes(*signature))
}

fn refused(error: handoff::Error) -> Error {
    Error::usage(error.to_string())
}

/// The installation's key.
fn installation(host: &Host) -> Result<KeyPair, Error> {
    let failed = |error: masque_home::Error| Error::environment(error.to_string());
    let homes = home::open(host).map_err(failed)?;
    Ok(homes.identities().installation().clone())
}

/// The persona as the package wants its result.
#[must_use]
pub fn persona_for(persona: &Persona, expected: &Expected) -> Persona {
    let mut persona = persona.clone();
    if let Expected::Structured { schema } = expected {
        persona.output_schema = Some(schema.clone());
    }
    persona
}

/// A run as the source of a task, and what of its conversation may go with it.
fn shared(state: &State, share: HistoryShare) -> Result<(Source, Vec<Message>), Error> {
    let run = state.run;
    let persona = state.persona.as_deref();
    let persona = persona.ok_or_else(|| Error::environment(format!("the journal of {run} names no persona")))?;
    let source = Source { name: persona.name.clone(), digest: Some(persona.digest), run: Some(run) };
    if share != HistoryShare::None && !persona.delegate.history {
        return Err(Error::refused(format!("persona `{}` keeps its conversations to itself", persona.name))
            .hint("put what is needed into the task and leave --history away")
            .hint("or grant it in the persona's file: `masque: { delegate: { history: true } }`"));
    }
    let history = match share {
        HistoryShare::None => Vec::new(),
        HistoryShare::Summary => {
            vec![Message::user(compaction::summary(&state.messages, &state.decisions, &state.summary))]
        }
        HistoryShare::Recent => {
            let messages: Vec<Message> = state.messages.iter().map(|message| (**message).clone()).collect();
            handoff::recent(&messages, HISTORY_TOKENS)
        }
    };
    Ok((source, history))
}

/// Files of the workspace with their digests.
pub(crate) fn artifacts(workspace: &Path, paths: &[String]) -> Result<Vec<Artifact>, Error> {
    let root = workspace.canonicalize()?;
    paths.iter().map(|path| artifact(&root, path)).collect()
}

fn artifact(root: &Path, path: &str) -> Result<Artifact, Error> {
    let wrong = |what: String| Error::usage(format!("artifact {path}: {what}")).hint("name a file of the workspace");
    let real = root.join(path).canonicalize().map_err(|error| wrong(error.to_string()))?;
    let relative = real.strip_prefix(root).map_err(|_| wrong("it is not in the workspace".to_owned()))?;
    let metadata = fs_err::metadata(&real).map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_ARTIFACT_BYTES {
        return Err(wrong(format!("it is no file of at most {MAX_ARTIFACT_BYTES} bytes")));
    }
    let mut content = Vec::new();
    fs_err::File::open(&real)?.take(MAX_ARTIFACT_BYTES).read_to_end(&mut content)?;
    let content = BlobRef { digest: Digest::of(&content), bytes: content.len() as u64 };
    Ok(Artifact { path: relative.display().to_string(), content })
}

/// Settings that look like secrets do not travel: packages are signed, not sealed.
fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), Error> {
    const TELLING: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
    let telling = |name: &&String| TELLING.iter().any(|part| name.to_uppercase().contains(part));
    match environment.keys().find(telling) {
        None => Ok(()),
        Some(name) => Err(Error::refused(format!("{name} looks like a secret: secrets are not handed on"))
            .hint("grant the target its own secret: masque secret grant")),
    }
}
