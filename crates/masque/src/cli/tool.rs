//! `masque tool`: the built-in tools, and what a persona has of them.

use masque_app::{Error, personas, tools};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the built-in tools
    List {
        /// Only those of this persona, each with what its policy says
        #[arg(long)]
        persona: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a tool with its schema
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Error> {
    match command {
        Command::List { persona, json } => {
            let catalog = personas::catalog(&context.host, &context.project);
            let persona = persona.as_deref().map(|name| personas::find(&catalog, name)).transpose()?;
            let views = tools::list(persona.map(|loaded| &loaded.persona));
            if *json { render::json(&views) } else { render::tools::table(&views) }
        }
        Command::Show { name, json } => {
            let view = tools::find(name)?;
            if *json { render::json(&view) } else { render::tools::whole(&view) }
        }
    }
    Ok(Exit::Success)
}
