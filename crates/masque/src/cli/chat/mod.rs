//! `masque chat`: an interactive session with a persona.
//!
//! A session is one durable run: whatever happens to this process, it goes on where it stopped. At a terminal it has a
//! line editor (`session`), elsewhere each line of the input is a turn (`plain`). What is drawn is in `crate::chat`.

mod asking;
mod attachments;
mod commands;
mod completion;
mod drives;
mod editor;
mod front;
mod input;
mod plain;
mod session;
mod status;
mod terminal;
mod turn;
mod view;

use std::{
    collections::VecDeque,
    io::{IsTerminal as _, stdin, stdout},
    path::PathBuf,
};

use masque_app::{
    App, Error,
    config::Argument,
    personas::{self, Catalog},
    sessions::Sessions,
};
use masque_types::{
    persona::Persona,
    policy::{Rule, Verdict},
};
use tokio::sync::mpsc;

use self::{
    completion::Completions,
    editor::Editor,
    front::Front,
    session::{Session, Signals, Terms},
    view::View,
};
use super::{Context, given};
use crate::{
    chat::{screen::Abilities, text::Line},
    exit::Exit,
    render::{
        self,
        style::{BOLD, DIM},
    },
};

/// Who is talked to when nobody is named: the first of these that there is.
const DEFAULT_PERSONAS: [&str; 2] = ["default", "architect"];

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Persona to talk to; `default` when absent
    persona: Option<String>,
    /// Go on with a session: its name, its run, or `last`
    #[arg(long, value_name = "SESSION", num_args = 0..=1, default_missing_value = "last", conflicts_with = "persona")]
    resume: Option<String>,
    /// Models to ask, first choice first: provider/model, separated by commas
    #[arg(short, long, value_name = "MODELS")]
    model: Option<String>,
    /// How tools are confined: process, container, none
    #[arg(long, value_name = "MODE")]
    sandbox: Option<String>,
    /// What is done where no rule speaks: plan, default, accept-edits, auto
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Give programs neither network nor secrets, whatever persona files say
    #[arg(long)]
    offline: bool,
    /// Tools that are denied in this session, by name or pattern
    #[arg(long, value_name = "TOOL")]
    deny: Vec<String>,
    /// Approve calls of these tools without asking, by name or pattern; each is recorded
    #[arg(long, value_name = "TOOL")]
    approve: Vec<String>,
}

impl Arguments {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        let options = [
            ("model.default", "--model", &self.model),
            ("sandbox.mode", "--sandbox", &self.sandbox),
            ("run.mode", "--mode", &self.mode),
            ("run.network", "--offline", &self.offline.then(|| "none".to_owned())),
        ];
        given(&options)
    }
}

/// Whether a person sits at a terminal, who can be talked with.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let abilities = terminal::abilities(&context.host);
    let actor = context.actor();
    let (workspace, project) = (context.directory.clone(), context.project.clone());
    let catalog = personas::catalog(&context.host, &project);
    let persona = persona(&catalog, arguments.persona.as_deref())?;
    let sessions = Sessions::open(&context.host, &workspace)?;
    let terms = Terms {
        ceiling: arguments.deny.iter().map(|tool| Rule::new(tool, Verdict::Deny)).collect(),
        sandbox: context.settings.sandbox(),
        approve: arguments.approve.clone(),
    };
    let app = context.open().await?;
    let setup = Setup { actor, workspace, project, catalog, sessions, terms, resume: arguments.resume };
    let exit = if is_interactive() {
        Box::pin(talk(&app, setup, persona, abilities)).await
    } else {
        Box::pin(plain::run(&app, setup, persona)).await
    };
    app.close().await?;
    exit
}

/// What a session begins with.
struct Setup {
    actor: masque_types::actor::Actor,
    workspace: PathBuf,
    project: PathBuf,
    catalog: Catalog,
    sessions: Sessions,
    terms: Terms,
    resume: Option<String>,
}

fn persona(catalog: &Catalog, name: Option<&str>) -> Result<Persona, Error> {
    let name = match name {
        Some(name) => name,
        None => DEFAULT_PERSONAS.into_iter().find(|name| catalog.find(name).is_some()).unwrap_or("architect"),
    };
    let found = personas::find(catalog, name)?;
    for diagnostic in catalog.diagnostics_of(&found.persona.source) {
        render::warning(diagnostic);
    }
    Ok(found.persona.clone())
}

async fn talk(app: &App, setup: Setup, persona: Persona, abilities: Abilities) -> Result<Exit, Error> {
    let completions = Completions::default();
    let editor = Editor::new(abilities, setup.sessions.history()?, Box::new(completions.clone()))?;
    let texts = masque_app::commands::load(&app.host, &setup.project)?;
    let (requests, requested) = mpsc::unbounded_channel();
    let (tell, told) = mpsc::unbounded_channel();
    let mut view = View::new(abilities, setup.workspace.clone());
    for diagnostic in &texts.diagnostics {
        view.diagnostic(diagnostic);
    }
    let mut session = Session {
        app,
        actor: setup.actor,
        workspace: setup.workspace,
        terms: setup.terms,
        catalog: setup.catalog,
        sessions: setup.sessions,
        texts: texts.commands,
        view,
        front: Front::new(persona),
        behind: Vec::new(),
        signals: Signals::new()?,
        completions,
        editor: Some(editor),
        requests,
        told,
        driven: None,
        asked: VecDeque::new(),
        turn_over: true,
        warned: false,
        leaving: false,
    };
    let talking = async {
        let exit = begin(&mut session, setup.resume.as_deref()).await;
        session.goodbye();
        // The drives end when nobody can request one any more.
        drop(session);
        exit
    };
    let (exit, ()) = tokio::join!(talking, drives::drive_all(app, requested, &tell));
    exit
}

async fn begin(session: &mut Session<'_>, resume: Option<&str>) -> Result<Exit, Error> {
    match resume {
        Some(wanted) => {
            let run = session.app.find_session(&session.sessions, wanted).await?.id;
            session.open(run).await?;
        }
        None => session.know(),
    }
    greet(session);
    session.run().await
}

fn greet(session: &mut Session<'_>) {
    let persona = &session.front.persona;
    let title = persona.display.title.clone().unwrap_or_else(|| persona.name.clone());
    let head = Line::styled(&title, BOLD).with(&format!("  {}", persona.description), DIM);
    let columns = crate::chat::screen::size().columns.saturating_sub(1);
    session.view.lines(&[head.clipped(columns), Line::styled("/help lists commands and keys", DIM)]);
}
