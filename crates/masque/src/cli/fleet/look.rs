//! `masque fleet status` and `why`.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use masque_app::{
    Error,
    fleet::{ClientError, Place, Progress, status::FleetStatus},
};

use super::{Context, Which, known_place, place};
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
    let asked = arguments.which.asked();
    // What the fleet cannot do without only the manifest says.
    let place = if arguments.healthy { place(context, asked)? } else { known_place(context, asked)? };
    if arguments.watch {
        return tokio::select! {
            _ = tokio::signal::ctrl_c() => Ok(Exit::Success),
            ended = watch(&place, arguments.json) => ended,
        };
    }
    let status = place.connect().await?.status().await?;
    let progress = Progress::of(&place, &status);
    match (arguments.healthy, arguments.json) {
        (true, _) => {}
        (false, true) => render::json(&status),
        (false, false) => render::fleet::status(&status),
    }
    if !arguments.healthy && !progress.is_current() {
        render::note("the manifest has services that the supervisor does not know yet: masque fleet reload");
    }
    Ok(if progress.is_good() || !arguments.healthy { Exit::Success } else { Exit::Failed })
}

/// Shows the status again and again, also of the next supervisor when one is replaced, until the fleet is down.
async fn watch(place: &Place, json: bool) -> Result<Exit, Error> {
    let mut supervisor = Some(place.connect().await?);
    while let Some(client) = &mut supervisor {
        match client.status().await {
            Ok(status) => {
                show(&status, json);
                tokio::time::sleep(WATCH).await;
            }
            Err(ClientError::Gone) => supervisor = place.reconnect().await?,
            Err(error) => return Err(error.into()),
        }
    }
    render::fleet::down(place);
    Ok(Exit::Success)
}

fn show(status: &FleetStatus, json: bool) {
    if json {
        return render::json(status);
    }
    let mut out = std::io::stdout();
    if out.is_terminal() {
        // Home, and away with what is below; these are no colours. A terminal that is gone is seen elsewhere.
        let _ = out.write_all(b"\x1b[H\x1b[2J").and_then(|()| out.flush());
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
