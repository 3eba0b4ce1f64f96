//! Runs that are driven beside the prompt, and what is told of them.
//!
//! A conversation is driven on between its turns, so that its tools and servers stay up. Leaves out showing.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use masque_app::{
    App, Error,
    runs::{Drive, Driven, Progress, WhenWaiting},
};
use masque_types::{
    diagnostic::Diagnostic,
    event::{Event, EventBody},
    id::RunId,
    message::ToolCall,
    model::ModelDelta,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;

use crate::chat::diff;

/// Tools whose calls change one file.
const EDITS: [&str; 2] = ["fs.write", "fs.edit"];

/// What happens to a run.
#[derive(Debug)]
pub(crate) enum Told {
    /// A file that a call is about to change, as it is now.
    Before { call_id: String, path: String, content: Option<String> },
    /// Events that are durable.
    Events(Vec<Event>),
    /// What a model call shows.
    Delta(ModelDelta),
    /// Something wrong with the environment that does not stop the run.
    Diagnostic(Diagnostic),
    /// A run that was called by this one.
    Child { persona: String, told: Box<Told> },
    /// It is not driven any more.
    Over(Result<Driven, Error>),
}

/// A run that is to be driven.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) run: RunId,
    /// The directory of its tools.
    pub(crate) workspace: PathBuf,
    /// Stops driving without ending the run.
    pub(crate) stop: CancellationToken,
}

/// Drives what is requested until nobody can request any more and all drives have ended.
pub(crate) async fn drive_all(
    app: &App,
    mut requests: UnboundedReceiver<Request>,
    told: &UnboundedSender<(RunId, Told)>,
) {
    let mut drives = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !drives.is_empty() {
        tokio::select! {
            request = requests.recv(), if is_open => match request {
                Some(request) => drives.push(drive(app, request, told)),
                None => is_open = false,
            },
            Some(()) = drives.next(), if !drives.is_empty() => {}
        }
    }
}

async fn drive(app: &App, request: Request, told: &UnboundedSender<(RunId, Told)>) {
    let Request { run, workspace, stop } = request;
    let calls = Calls { workspace, known: Mutex::default() };
    // Nobody listens any more only while the session ends.
    let tell = |what| drop(told.send((run, what)));
    let observe = |progress: Progress<'_>| calls.observe(&progress, &tell);
    let drive =
        Drive { when_waiting: &|_| WhenWaiting::Stay, between_turns: WhenWaiting::Stay, observe: &observe, stop };
    let driven = Box::pin(app.drive(run, drive)).await;
    tell(Told::Over(driven));
}

/// The calls that were proposed, so that a file can be read before one of them changes it.
struct Calls {
    workspace: PathBuf,
    known: Mutex<HashMap<String, ToolCall>>,
}

impl Calls {
    fn observe(&self, progress: &Progress<'_>, tell: &dyn Fn(Told)) {
        match progress {
            Progress::Committed(events) => {
                for event in *events {
                    self.note(&event.body, tell);
                }
                tell(Told::Events(events.to_vec()));
            }
            Progress::Delta(delta) => tell(Told::Delta(delta.clone())),
            Progress::Diagnostic(diagnostic) => tell(Told::Diagnostic((*diagnostic).clone())),
            Progress::Child { persona, progress, .. } => {
                let of_child = |told| tell(Told::Child { persona: (*persona).to_owned(), told: Box::new(told) });
                self.observe(progress, &of_child);
            }
        }
    }

    /// An event is told before what it announces is done.
    fn note(&self, body: &EventBody, tell: &dyn Fn(Told)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for call in body.calls().iter().filter(|call| EDITS.contains(&call.tool.as_str())) {
            known.insert(call.id.clone(), call.clone());
        }
        let EventBody::ToolCallStarted { call_id, .. } = body else { return };
        let Some(call) = known.remove(call_id) else { return };
        if let Some(path) = call.arguments.get("path").and_then(serde_json::Value::as_str) {
            let content = content(&self.workspace, path);
            tell(Told::Before { call_id: call_id.clone(), path: path.to_owned(), content });
        }
    }
}

/// The text of a file of the workspace, as far as it can be compared.
pub(crate) fn content(workspace: &Path, path: &str) -> Option<String> {
    let path = workspace.join(path).canonicalize().ok().filter(|path| path.starts_with(workspace))?;
    let is_small =
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= diff::MOST_BYTES as u64);
    if !is_small {
        return None;
    }
    String::from_utf8(fs_err::read(path).ok()?).ok()
}
