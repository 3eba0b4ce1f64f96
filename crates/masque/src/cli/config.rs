//! `masque config`: every option with its value and the layer that it came from.

use masque_app::{Error, config::Resolved};
use serde_json::json;

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every option, its value and where that came from
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Error> {
    let Command::Show { json } = command;
    let shown = |resolved: &Resolved| {
        let value = resolved.value.to_string();
        if resolved.option.secret && !value.is_empty() { "(set)".to_owned() } else { value }
    };
    if *json {
        let options = context.settings.all().map(|resolved| {
            json!({
                "key": resolved.option.key, "value": shown(resolved), "layer": resolved.layer,
                "origin": resolved.origin, "doc": resolved.option.doc,
                "takes": resolved.option.kind.takes(), "variable": resolved.option.variable(),
                "project": resolved.option.project,
            })
        });
        render::json(&options.collect::<Vec<_>>());
        return Ok(Exit::Success);
    }
    let rows = context.settings.all().map(|resolved| {
        [resolved.option.key.to_owned(), shown(resolved), resolved.origin.clone(), resolved.option.doc.to_owned()]
    });
    render::table(["OPTION", "VALUE", "FROM", "MEANING"], rows);
    Ok(Exit::Success)
}
