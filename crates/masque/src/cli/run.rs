//! `masque run`: a persona, a task, a run.

use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
};

use base64::Engine as _;
use masque_app::{
    App, Error,
    config::Argument,
    runs::{MAX_TASK_BYTES, StartRun},
};
use masque_types::{
    cost::Limits,
    id::RunId,
    message::{Part, joined_text},
    policy::{Rule, Verdict},
};

use super::{
    Context,
    drive::{Answers, DriveArguments, Output, drive},
    given, handoff,
};
use crate::{exit::Exit, render};

/// Largest image in bytes that providers take.
const MAX_IMAGE_BYTES: u64 = 20 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Persona to run; `architect` when absent
    #[arg(value_name = "PERSONA", conflicts_with = "persona")]
    name: Option<String>,
    /// Persona to run
    #[arg(long)]
    persona: Option<String>,
    /// Task; standard input is added to it, or is the task when this is absent
    #[arg(short, long, alias = "task", value_name = "TASK")]
    prompt: Option<String>,
    /// Hand-off package that the task comes from; the persona, and without a task the task, are the package's
    #[arg(long, value_name = "FILE")]
    context_from: Option<PathBuf>,
    /// Image to send with the task
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
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
    /// Tools that are denied in this run, by name or pattern
    #[arg(long, value_name = "TOOL")]
    deny: Vec<String>,
    /// Model calls that the run may make
    #[arg(long, value_name = "N")]
    max_steps: Option<String>,
    /// Tokens that the run may use
    #[arg(long, value_name = "N")]
    max_tokens: Option<String>,
    /// Dollars that the run may spend
    #[arg(long, value_name = "USD")]
    max_usd: Option<String>,
    /// Active time of the run, such as 20m
    #[arg(long, value_name = "TIME")]
    max_time: Option<String>,
    /// Leave the run to a process in the background and print its id
    #[arg(long, conflicts_with_all = ["approve", "wait"])]
    detach: bool,
    #[command(flatten)]
    drive: DriveArguments,
}

impl Arguments {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        let options = [
            ("model.default", "--model", &self.model),
            ("sandbox.mode", "--sandbox", &self.sandbox),
            ("run.mode", "--mode", &self.mode),
            ("run.network", "--offline", &self.offline.then(|| "none".to_owned())),
            ("run.steps", "--max-steps", &self.max_steps),
            ("run.tokens", "--max-tokens", &self.max_tokens),
            ("run.usd", "--max-usd", &self.max_usd),
            ("run.wall", "--max-time", &self.max_time),
        ];
        given(&options)
    }
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let named = arguments.name.as_deref().or(arguments.persona.as_deref());
    let from = arguments.context_from.as_ref().map(|file| handoff::read_package(&context, file)).transpose()?;
    let name = named.or(from.as_ref().map(|handoff| handoff.target.as_str())).unwrap_or("architect");
    let persona = handoff::found(&context, name)?;
    let (task, limits, persona) = match from {
        None => (task(arguments.prompt.as_deref(), &arguments.image)?, Limits::default(), persona),
        Some(mut package) => {
            package.task = arguments.prompt.clone().unwrap_or(package.task);
            let StartRun { mut task, limits, persona, .. } =
                handoff::start(&package, &persona, context.directory.clone(), context.settings.sandbox());
            for image in &arguments.image {
                task.push(image_part(image)?);
            }
            (task, limits, persona)
        }
    };
    let start = StartRun {
        persona,
        task,
        workspace: context.directory.clone(),
        limits,
        ceiling: arguments.deny.iter().map(|tool| Rule::new(tool, Verdict::Deny)).collect(),
        sandbox: context.settings.sandbox(),
        conversation: false,
        models: Vec::new(),
        mode: None,
    };
    let actor = context.actor();
    let app = context.open().await?;
    let run = app.start(&actor, start).await?;
    let exit = if arguments.detach {
        detach(&app, run, arguments.drive.output)
    } else {
        drive(&app, &actor, run, &arguments.drive, &Answers::at_terminal(&arguments.drive)).await
    };
    app.close().await?;
    exit
}

pub(super) fn detach(app: &App, run: RunId, output: Output) -> Result<Exit, Error> {
    app.detach(run)?;
    match output {
        Output::Text => {
            render::line(&run.to_string());
            render::note(&format!("it runs in the background: masque runs watch {run}"));
        }
        Output::Json | Output::StreamJson => render::json(&serde_json::json!({ "run": run, "detached": true })),
    }
    Ok(Exit::Success)
}

/// The text of the task from the option and standard input.
pub(super) fn read_task(prompt: Option<&str>) -> Result<String, Error> {
    Ok(joined_text(&task(prompt, &[])?))
}

/// The task from the option, standard input, and images.
fn task(prompt: Option<&str>, images: &[PathBuf]) -> Result<Vec<Part>, Error> {
    let mut parts: Vec<Part> = prompt.map(Part::text).into_iter().collect();
    let input = std::io::stdin();
    // With a task given, an inherited input that nobody writes to must not be waited for: only a pipe or file counts.
    if !input.is_terminal() && (prompt.is_none() || has_content(&input)) {
        let text = read_input(input)?;
        if !text.trim().is_empty() || prompt.is_none() {
            parts.push(Part::text(text));
        }
    }
    if parts.is_empty() {
        return Err(Error::usage("there is no task")
            .hint("say what to do: -p \"Review this repository\"")
            .hint("or give it on standard input: < task.md"));
    }
    for image in images {
        parts.push(image_part(image)?);
    }
    Ok(parts)
}

/// Whether standard input is a file, or a pipe with something in it or closed by its writer.
fn has_content(input: &std::io::Stdin) -> bool {
    let mut fds = [rustix::event::PollFd::new(input, rustix::event::PollFlags::IN)];
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

fn read_input(input: std::io::Stdin) -> Result<String, Error> {
    let mut bytes = Vec::new();
    input.take(MAX_TASK_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TASK_BYTES {
        return Err(Error::usage(format!("standard input is larger than {MAX_TASK_BYTES} bytes"))
            .hint("put the material into a file of the workspace and name the file in the task"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Error::usage(format!("standard input is not text: byte {place} is not UTF-8"))
            .hint("name the file in the task instead; for an image use --image")
    })
}

fn image_part(path: &PathBuf) -> Result<Part, Error> {
    let wrong = |what: String| Error::usage(format!("--image {}: {what}", path.display()));
    let media_type = match path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        _ => return Err(wrong("expected a .png, .jpg, .gif or .webp file".to_owned())),
    };
    let size = fs_err::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_IMAGE_BYTES {
        return Err(wrong(format!("it has {size} bytes; at most {MAX_IMAGE_BYTES} are taken")));
    }
    let bytes = fs_err::read(path).map_err(|error| wrong(error.to_string()))?;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(Part::Image { media_type: media_type.to_owned(), data })
}
