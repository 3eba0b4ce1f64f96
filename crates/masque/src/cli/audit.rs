//! `masque audit`: the hash-chained log of who did what.

use masque_app::Error;
use serde_json::json;

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the newest entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// Print JSON, one entry per line
        #[arg(long)]
        json: bool,
    },
    /// Check the whole chain
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let app = context.open().await?;
    let exit = match command {
        Command::Tail { limit, json } => {
            let entries = app.audit_tail(limit).await?;
            if json {
                entries.iter().for_each(render::audit::json)
            } else {
                render::audit::table(&entries)
            }
            Exit::Success
        }
        Command::Verify { json } => {
            let report = app.audit_verify().await?;
            let broken = report.broken.as_ref();
            if json {
                let broken = broken.map(|broken| json!({ "entry": broken.entry, "what": broken.what }));
                render::json(&json!({ "entries": report.entries, "head": report.head, "broken": broken }));
            } else if let Some(broken) = broken {
                render::line(&format!("broken at entry {} of {}: {}", broken.entry, report.entries, broken.what));
            } else {
                render::line(&format!("unbroken: {} entries, head {}", report.entries, report.head));
            }
            if broken.is_some() { Exit::Failed } else { Exit::Success }
        }
    };
    app.close().await?;
    Ok(exit)
}
