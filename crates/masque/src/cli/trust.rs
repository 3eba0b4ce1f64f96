//! `masque trust`: whether what a project brings may start programs.

use masque_app::{Error, trust::Trust};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Take the trust back
    #[arg(long, conflicts_with = "show")]
    revoke: bool,
    /// Only show whether the project is trusted
    #[arg(long)]
    show: bool,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let (actor, project) = (context.actor(), context.project.clone());
    let app = context.open().await?;
    let place = project.display();
    if arguments.revoke {
        app.distrust(&actor, &project).await?;
        render::line(&format!("{place} is no longer trusted"));
    } else if arguments.show {
        render::line(&format!(
            "{place}: {}",
            match app.trust_of(&project)? {
                Trust::Trusted => "trusted",
                Trust::Changed => "no longer trusted, its content changed",
                Trust::Unknown => "not trusted",
                Trust::NothingToTrust => "brings nothing that needs trust",
            }
        ));
    } else {
        let digest = app.trust(&actor, &project).await?;
        render::line(&format!("{place} is trusted with the content that it has now ({})", digest.short()));
    }
    app.close().await?;
    Ok(Exit::Success)
}
