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
    /// Find tools by what they do
    Search {
        /// What is to be done, in words
        task: Vec<String>,
        /// Among the tools of this persona, whose MCP servers are started for it; else among the built-in ones
        #[arg(long)]
        persona: Option<String>,
        /// Tools to show
        #[arg(long, default_value_t = 8)]
        limit: usize,
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

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::List { persona, json } => {
            let catalog = personas::catalog(&context.host, &context.project);
            let persona = persona.as_deref().map(|name| personas::find(&catalog, name)).transpose()?;
            let views = tools::list(persona.map(|loaded| &loaded.persona));
            if json { render::json(&views) } else { render::tools::table(&views) }
        }
        Command::Search { task, persona, limit, json } => {
            let catalog = personas::catalog(&context.host, &context.project);
            let persona = persona.as_deref().map(|name| personas::find(&catalog, name)).transpose()?;
            let app = context.open().await?;
            let found = app.search_tools(persona.map(|loaded| &loaded.persona), &task.join(" "), limit).await;
            app.close().await?;
            let found = found?;
            if json { render::json(&found) } else { render::tools::hits(&found) }
        }
        Command::Show { name, json } => {
            let view = tools::find(&name)?;
            if json { render::json(&view) } else { render::tools::whole(&view) }
        }
    }
    Ok(Exit::Success)
}
