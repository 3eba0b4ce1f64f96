//! `masque doctor`: what this machine can enforce, which models can be asked, whether all is in order.

use masque_app::{Error, doctor::Health};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let app = context.open().await?;
    let findings = app.doctor().await?;
    if arguments.json {
        render::json(&findings);
    } else {
        render::doctor::findings(&findings);
    }
    app.close().await?;
    let bad = findings.iter().any(|finding| finding.state == Health::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Success })
}
