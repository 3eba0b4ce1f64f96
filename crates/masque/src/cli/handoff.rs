//! `masque handoff`: leaves a task to a persona, with all that goes with it, at once or as a package.

use std::{collections::BTreeMap, path::PathBuf};

use masque_app::{
    Error,
    config::Argument,
    handoff::{Handoff, Inspected, Pack, persona_for},
    runs::StartRun,
};
use masque_types::{
    child::{Expected, HistoryShare},
    cost::Limits,
    persona::Persona,
    run::SandboxMode,
};
use serde_json::json;

use super::{
    Context,
    drive::{Answers, DriveArguments, drive},
    run::{detach, read_task},
};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Persona that is to do it
    #[arg(required = true)]
    persona: Option<String>,
    /// Task; standard input is added to it, or is the task when this is absent
    #[arg(short, long, alias = "task", value_name = "TASK")]
    prompt: Option<String>,
    /// Run that the task comes from: its id, the beginning of it, or `last`
    #[arg(long, value_name = "RUN")]
    from: Option<String>,
    /// What of that run's conversation goes with the task
    #[arg(long, value_enum, default_value = "none", requires = "from")]
    history: History,
    /// File of the workspace that belongs to the task
    #[arg(long, value_name = "FILE")]
    artifact: Vec<String>,
    /// Setting that the persona may know; no secrets
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "text")]
    expect: Expect,
    /// JSON Schema of a structured result
    #[arg(long, value_name = "FILE", required_if_eq("expect", "structured"))]
    schema: Option<PathBuf>,
    /// Path of the workspace for a result that is a file
    #[arg(long, value_name = "PATH", required_if_eq("expect", "file"))]
    path: Option<String>,
    /// How long it may take, such as 20m; waiting for people does not count
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Write the package to this file instead of starting a run
    #[arg(long, value_name = "FILE", conflicts_with = "asynchronous")]
    out: Option<PathBuf>,
    /// Leave the run to a process in the background and print its id
    #[arg(long = "async", conflicts_with_all = ["approve", "wait"])]
    asynchronous: bool,
    /// Models to ask, first choice first: provider/model, separated by commas
    #[arg(short, long, value_name = "MODELS")]
    model: Option<String>,
    #[command(flatten)]
    drive: DriveArguments,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what a package holds and who signed it
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// Package file
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum History {
    /// Nothing: only the task
    None,
    /// An outline
    Summary,
    /// The last messages, as many as fit
    Recent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Expect {
    /// Text
    Text,
    /// JSON that satisfies a schema
    Structured,
    /// A file of the workspace
    File,
}

impl Arguments {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        let given = [("model.default", "--model", &self.model), ("run.wall", "--timeout", &self.timeout)];
        let given = given
            .into_iter()
            .filter_map(|(key, origin, text)| Some(Argument { key, text: text.clone()?, origin: origin.to_owned() }));
        given.collect()
    }

    fn expected(&self) -> Result<Expected, Error> {
        Ok(match self.expect {
            Expect::Text => Expected::Text,
            Expect::File => Expected::File { path: self.path.clone().unwrap_or_default() },
            Expect::Structured => {
                let file = self.schema.clone().unwrap_or_default();
                let wrong = |what: String| Error::usage(format!("--schema {}: {what}", file.display()));
                let text = fs_err::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
                let schema = serde_json::from_str(&text).map_err(|error| wrong(format!("no JSON: {error}")))?;
                Expected::Structured { schema }
            }
        })
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Error> {
        let pair = |pair: &String| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::usage(format!("--env {pair}: expected NAME=VALUE"))),
        };
        self.env.iter().map(pair).collect()
    }
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    if let Some(Command::Inspect(inspect)) = &arguments.command {
        return show(&context, inspect);
    }
    let name = arguments.persona.as_deref().unwrap_or_default();
    let found = found(&context, name);
    // A package may be for a persona that lives elsewhere.
    let persona = if arguments.out.is_some() { None } else { Some(found?) };
    let task = read_task(arguments.prompt.as_deref())?;
    let (workspace, sandbox) = (context.directory.clone(), context.settings.sandbox());
    let timeout = arguments.timeout.as_ref().and_then(|_| context.settings.duration("run.wall"));
    let actor = context.actor();
    let app = context.open().await?;
    let from = match &arguments.from {
        Some(run) => Some(app.find_run(run).await?),
        None => None,
    };
    let pack = Pack {
        task,
        target: name.to_owned(),
        from,
        history: match arguments.history {
            History::None => HistoryShare::None,
            History::Summary => HistoryShare::Summary,
            History::Recent => HistoryShare::Recent,
        },
        workspace: workspace.clone(),
        artifacts: arguments.artifact.clone(),
        environment: arguments.environment()?,
        expected: arguments.expected()?,
        timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    };
    let package = app.pack(&actor, pack).await?;
    let exit = match (&arguments.out, persona) {
        (Some(out), _) => {
            fs_err::write(out, &package)?;
            render::note(&format!("{} bytes: masque run {name} --context-from {}", package.len(), out.display()));
            Ok(Exit::Success)
        }
        (None, None) => Err(Error::usage(format!("there is no persona `{name}`"))),
        (None, Some(persona)) => {
            let handoff = app.inspect(&package)?.handoff;
            let start = start(&handoff, &persona, workspace, sandbox);
            let run = app.start(&actor, start).await?;
            if arguments.asynchronous {
                detach(&app, run, arguments.drive.output)
            } else {
                drive(&app, &actor, run, &arguments.drive, &Answers::at_terminal(&arguments.drive)).await
            }
        }
    };
    app.close().await?;
    exit
}

/// The persona of a name, in the project of the command.
pub(super) fn found(context: &Context, name: &str) -> Result<Persona, Error> {
    let catalog = masque_app::personas::catalog(&context.host, &context.project);
    let persona = masque_app::personas::find(&catalog, name)?.persona.clone();
    for diagnostic in catalog.diagnostics_of(&persona.source) {
        render::warning(diagnostic);
    }
    Ok(persona)
}

/// The run that a package asks for.
pub(super) fn start(handoff: &Handoff, persona: &Persona, workspace: PathBuf, sandbox: SandboxMode) -> StartRun {
    StartRun {
        persona: persona_for(persona, &handoff.expected),
        task: handoff.briefing(),
        workspace,
        limits: Limits { wall: handoff.timeout_ms.map(std::time::Duration::from_millis), ..Limits::default() },
        ceiling: Vec::new(),
        sandbox,
        conversation: false,
        models: Vec::new(),
        mode: None,
    }
}

/// What a package file holds; a warning when another installation signed it.
pub(super) fn read_package(context: &Context, file: &PathBuf) -> Result<Handoff, Error> {
    let Inspected { handoff, signed_by, own } = inspected(context, file)?;
    if !own {
        render::note(&format!("{} was signed by another installation: {signed_by}", file.display()));
    }
    Ok(handoff)
}

fn inspected(context: &Context, file: &PathBuf) -> Result<Inspected, Error> {
    let wrong = |what: String| Error::usage(format!("{}: {what}", file.display()));
    let bytes = fs_err::read(file).map_err(|error| wrong(error.to_string()))?;
    masque_app::handoff::inspect(&context.host, &bytes).map_err(|error| wrong(error.to_string()))
}

fn show(context: &Context, inspect: &Inspect) -> Result<Exit, Error> {
    let Inspected { handoff, signed_by, own } = inspected(context, &inspect.file)?;
    if inspect.json {
        render::json(&json!({ "v": 1, "handoff": handoff, "signed_by": signed_by.to_string(), "own": own }));
    } else {
        render::handoff::print(&handoff, &signed_by.to_string(), own);
    }
    Ok(Exit::Success)
}
