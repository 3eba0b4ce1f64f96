//! `masque fleet check`: what is wrong with a fleet before it starts.

use masque_app::{
    Error,
    fleet::{Manifest, Report},
};
use serde_json::{Value, json};

use super::{Context, Which, read};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Error> {
    let manifest = read(context, arguments.which.asked())?;
    if arguments.json && manifest.fleet.is_none() {
        render::json(&found(&manifest, None));
    }
    let images = manifest.images(&context.host, &context.settings).await;
    let report = manifest.check(&context.host, images)?;
    if arguments.json {
        render::json(&found(&manifest, Some(&report)));
    } else {
        render::fleet::report(manifest.fleet()?, &report);
    }
    Ok(if report.is_good() { Exit::Success } else { Exit::Failed })
}

/// What was found, as JSON.
pub(super) fn found(manifest: &Manifest, report: Option<&Report>) -> Value {
    match report {
        Some(report) => json!({ "diagnostics": manifest.diagnostics, "report": report }),
        None => json!({ "diagnostics": manifest.diagnostics }),
    }
}
