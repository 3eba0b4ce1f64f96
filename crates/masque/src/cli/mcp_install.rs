//! `masque mcp install`: enters the server in a client's configuration, after showing the change.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use masque_app::{
    Error,
    clients::{self, Client, Plan, Scope},
};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Client: claude, cursor, vscode, zed, codex, gemini or goose
    #[arg(long, value_parser = client)]
    client: Client,
    /// In this project's configuration, for everyone who works in it, instead of this user's
    #[arg(long)]
    project: bool,
    /// Offer one persona only
    #[arg(long, value_name = "NAME")]
    persona: Option<String>,
    /// Change the file without asking
    #[arg(short, long)]
    yes: bool,
}

fn client(text: &str) -> Result<Client, String> {
    let known = || Client::ALL.map(Client::name).join(", ");
    Client::ALL.into_iter().find(|client| client.name() == text).ok_or_else(|| format!("expected one of {}", known()))
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Error> {
    if let Some(name) = &arguments.persona {
        let catalog = masque_app::personas::catalog(&context.host, &context.project);
        masque_app::personas::find(&catalog, name)?;
    }
    let scope = if arguments.project { Scope::Project(context.project.clone()) } else { Scope::User };
    let plan = clients::plan(&context.host, arguments.client, &scope, arguments.persona.as_deref())?;
    if plan.is_done() {
        render::note(&format!("{} has it already", plan.path.display()));
        return Ok(Exit::Success);
    }
    show(&plan);
    if !arguments.yes && !agreed()? {
        return Ok(Exit::Refused);
    }
    if let Some(backup) = plan.carry_out()? {
        render::note(&format!("the old file is {}", backup.display()));
    }
    render::note(&format!("{} is written; start {} again", plan.path.display(), arguments.client.name()));
    Ok(Exit::Success)
}

fn show(plan: &Plan) {
    let path = plan.path.display().to_string();
    let before = plan.before.as_deref().unwrap_or_default();
    let mut options = diffy::DiffOptions::new();
    options.set_original_filename(if plan.before.is_some() { path.clone() } else { "/dev/null".to_owned() });
    options.set_modified_filename(path);
    render::text(&options.create_patch(before, &plan.after).to_string());
}

fn agreed() -> Result<bool, Error> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::refused("the file was not changed: nobody was there to agree").hint("--yes changes it"));
    }
    let mut error = anstream::stderr();
    write!(error, "change the file? [y]es, [n]o: ")?;
    error.flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "yes"))
}
