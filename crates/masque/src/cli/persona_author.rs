//! `masque persona new` and `edit`: asking a person, and the person's editor.

use std::io::{IsTerminal as _, Write as _};

use masque_app::{
    Error,
    personas::{self, Place, Reach, Replace},
};
use masque_types::{
    diagnostic::{Diagnostic, Severity},
    model::ModelRef,
};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct NewArguments {
    /// Its name
    name: String,
    /// What it does and when to use it
    #[arg(long, conflicts_with = "from_description")]
    description: Option<String>,
    /// Its prompt
    #[arg(long, conflicts_with = "from_description")]
    prompt: Option<String>,
    /// What it may touch
    #[arg(long, value_enum, conflicts_with = "from_description")]
    reach: Option<ReachArgument>,
    /// Let the configured model write it from this text
    #[arg(long, value_name = "TEXT")]
    from_description: Option<String>,
    /// The model that it prefers, and that writes it, as provider/model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Write it for yourself instead of the project
    #[arg(long)]
    user: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Write without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ReachArgument {
    /// Read files
    Read,
    /// Read files, and change them after asking
    Write,
    /// Change files and run commands, after asking
    Run,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EditArguments {
    /// Its name
    name: String,
    /// Copy a bundled one for yourself instead of the project
    #[arg(long)]
    user: bool,
}

const fn place(user: bool) -> Place {
    if user { Place::User } else { Place::Project }
}

pub(crate) async fn new(context: Context, arguments: NewArguments) -> Result<Exit, Error> {
    let directory = personas::directory(&context.host, &context.project, place(arguments.user));
    let target = directory.join(format!("{}.md", arguments.name));
    if target.exists() && !arguments.force {
        let error = Error::refused(format!("{} is there already", target.display()));
        return Err(
            error.hint(format!("change it with `masque persona edit {}`; `--force` replaces it", arguments.name))
        );
    }
    let model = arguments.model.as_deref().map(str::parse::<ModelRef>).transpose();
    let model = model.map_err(|error| Error::usage(error.to_string()))?;
    let actor = context.actor();
    let guided = std::io::stdin().is_terminal();
    let app = context.open().await?;
    let written = async {
        let persona = match &arguments.from_description {
            Some(text) => app.propose_persona(&arguments.name, text, model).await?,
            None => answered(&arguments, model, guided)?,
        };
        let draft = personas::draft(persona, &target)?;
        let asks = !arguments.yes && (guided || arguments.from_description.is_some());
        if asks || draft.diagnostics.iter().any(is_error) {
            render::text(&draft.text);
        }
        draft.diagnostics.iter().for_each(render::warning);
        if draft.diagnostics.iter().any(is_error) {
            return Ok(Exit::Failed);
        }
        if asks && !guided {
            return Err(
                Error::refused("a model wrote this: it is not kept without consent").hint("look at it, then add --yes")
            );
        }
        if asks && !agreed(&format!("write it to {}?", target.display()))? {
            render::note("nothing was written");
            return Ok(Exit::Refused);
        }
        let replace = if arguments.force { Replace::Allowed } else { Replace::Never };
        app.write_persona(&actor, &draft, &target, replace).await?;
        render::line(&target.display().to_string());
        render::note(&format!("change it: masque persona edit {0}; use it: masque run {0} -p …", arguments.name));
        Ok(Exit::Success)
    }
    .await;
    app.close().await?;
    written
}

/// A persona from the arguments; what is missing is asked at a terminal.
fn answered(
    arguments: &NewArguments,
    model: Option<ModelRef>,
    guided: bool,
) -> Result<masque_types::persona::Persona, Error> {
    let text = |given: &Option<String>, option: &str, question: &str| match given {
        Some(text) => Ok(text.clone()),
        None if guided => ask(question),
        None => Err(Error::usage(format!("{option} is missing"))
            .hint("give it, or let a model write the persona: --from-description TEXT")),
    };
    let description = text(&arguments.description, "--description", "What does it do, and when is it used?")?;
    let prompt = text(&arguments.prompt, "--prompt", "What are its instructions? (more later: masque persona edit)")?;
    let reach = match arguments.reach {
        Some(ReachArgument::Read) => Reach::Read,
        Some(ReachArgument::Write) => Reach::Write,
        Some(ReachArgument::Run) => Reach::Run,
        None if guided => ask_reach()?,
        None => Reach::Read,
    };
    Ok(personas::compose(&arguments.name, &description, &prompt, reach, model))
}

fn ask(question: &str) -> Result<String, Error> {
    let mut line = String::new();
    while line.trim().is_empty() {
        let mut out = anstream::stderr();
        write!(out, "{question}\n> ")?;
        out.flush()?;
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Err(Error::usage("the input ended before the answer"));
        }
    }
    Ok(line.trim().to_owned())
}

fn ask_reach() -> Result<Reach, Error> {
    let choices = Reach::ALL.iter().enumerate().map(|(at, (_, words))| format!("\n  {}. {words}", at + 1));
    let question = format!("What may it do? Changes and commands are always asked.{}", choices.collect::<String>());
    loop {
        let answer = ask(&question)?;
        let chosen = answer.parse::<usize>().ok().and_then(|number| Reach::ALL.get(number.checked_sub(1)?));
        match chosen {
            Some((reach, _)) => return Ok(*reach),
            None => render::note("answer with a number of the list"),
        }
    }
}

fn agreed(question: &str) -> Result<bool, Error> {
    let mut out = anstream::stderr();
    write!(out, "{question} [Y/n] ")?;
    out.flush()?;
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line)?;
    Ok(read > 0 && matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

pub(crate) async fn edit(context: Context, arguments: EditArguments) -> Result<Exit, Error> {
    let edit = personas::edit(&context.host, &context.project, &arguments.name, place(arguments.user))?;
    let (host, actor) = (context.host.clone(), context.actor());
    let mut text = edit.text.clone();
    loop {
        text = personas::in_editor(&host, &edit.name, &text)?;
        let found = edit.check(&text);
        found.iter().for_each(render::warning);
        if !found.iter().any(is_error) {
            break;
        }
        let again = std::io::stdin().is_terminal() && agreed("this cannot be used; edit it again?")?;
        if !again {
            render::note("nothing was changed");
            return Ok(Exit::Failed);
        }
    }
    if text == edit.text && edit.target.exists() {
        render::note("nothing was changed");
        return Ok(Exit::Success);
    }
    let app = context.open().await?;
    let written = app.finish_edit(&actor, &edit, &text).await;
    app.close().await?;
    written?;
    render::line(&edit.target.display().to_string());
    Ok(Exit::Success)
}
