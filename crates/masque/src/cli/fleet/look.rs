//! `masque fleet status` and `why`.

use std::{io::IsTerminal as _, time::Duration};

use masque_app::{
    Error,
    fleet::{Place, status::FleetStatus},
};

use super::{Context, Which, place};
use crate::{exit::Exit, render};

/// How often a watched status is shown anew.
const WATCH: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    which: Which,
    /// Show it again every second until interrupted
    #[arg(long, short)]
    watch: bool,
    /// Print nothing; exit with 0 when every required service can be used
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    healthy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WhyArguments {
    /// Name of a service; `HOST/NAME` where two hosts have one
    service: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn status(context: &Context, arguments: StatusArguments) -> Result<Exit, Error> {
    let place = place(context, arguments.which.asked())?;
    if arguments.watch {
        return watch(&place, arguments.json).await;
    }
    let status = place.connect().await?.status().await?;
    match (arguments.healthy, arguments.json) {
        (true, _) => {}
        (false, true) => render::json(&status),
        (false, false) => render::fleet::status(&status),
    }
    let is_good = masque_app::fleet::Progress::of(&place, &status).is_good();
    Ok(if is_good || !arguments.healthy { Exit::Success } else { Exit::Failed })
}

async fn watch(place: &Place, json: bool) -> Result<Exit, Error> {
    let mut client = place.connect().await?;
    loop {
        show(&client.status().await?, json);
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Success),
            () = tokio::time::sleep(WATCH) => {}
        }
    }
}

fn show(status: &FleetStatus, json: bool) {
    if json {
        return render::json(status);
    }
    if std::io::stdout().is_terminal() {
        // Home, and away with what is below.
        render::text("\u{1b}[H\u{1b}[2J");
    }
    render::fleet::status(status);
}

pub(crate) async fn why(context: &Context, arguments: WhyArguments) -> Result<Exit, Error> {
    let place = place(context, arguments.which.asked())?;
    let explanation = place.connect().await?.why(&arguments.service).await?;
    if arguments.json {
        render::json(&explanation);
    } else {
        render::fleet::explanation(&explanation);
    }
    Ok(Exit::Success)
}
