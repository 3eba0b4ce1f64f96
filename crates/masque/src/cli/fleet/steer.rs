//! `masque fleet down`, `start`, `stop`, `restart` and `reload`.

use masque_app::{
    App, Error,
    fleet::{Place, Rolled, Target},
};
use masque_types::actor::Actor;

use super::{Context, Which, known_place, place, said};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct DownArguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServicesArguments {
    /// Names of services; `HOST/NAME` where two hosts have one
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestartArguments {
    /// Names of services; all when absent
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Wave by wave; halt, and put back what was changed, when one does not become ready
    #[arg(long)]
    rolling: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReloadArguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn down(context: Context, arguments: DownArguments) -> Result<Exit, Error> {
    let place = known_place(&context, arguments.which.asked())?;
    let actor = context.actor();
    let app = context.open().await?;
    let done = app.end_fleet(&actor, &place).await;
    app.close().await?;
    done?;
    said(arguments.json, "down", &format!("{} is down on {}", place.fleet.name, place.host));
    Ok(Exit::Success)
}

pub(crate) async fn start(context: Context, arguments: ServicesArguments) -> Result<Exit, Error> {
    let (app, actor, place) = open(context, &arguments.which).await?;
    let target = Target::Services(arguments.services.clone());
    let done = app.start_services(&actor, &place, target).await;
    app.close().await?;
    done?;
    said(arguments.json, "starting", &format!("starting {}", arguments.services.join(", ")));
    Ok(Exit::Success)
}

pub(crate) async fn stop(context: Context, arguments: ServicesArguments) -> Result<Exit, Error> {
    let (app, actor, place) = open(context, &arguments.which).await?;
    let target = Target::Services(arguments.services.clone());
    let done = app.stop_services(&actor, &place, target).await;
    app.close().await?;
    done?;
    said(arguments.json, "stopping", &format!("stopping {}", arguments.services.join(", ")));
    Ok(Exit::Success)
}

pub(crate) async fn restart(context: Context, arguments: RestartArguments) -> Result<Exit, Error> {
    let (app, actor, place) = open(context, &arguments.which).await?;
    let target = match arguments.services.as_slice() {
        [] => Target::All,
        services => Target::Services(services.to_vec()),
    };
    let done = if arguments.rolling {
        app.roll_services(&actor, &place, target).await.map(Some)
    } else {
        app.restart_services(&actor, &place, target).await.map(|()| None)
    };
    app.close().await?;
    let Some(rolled) = done? else {
        let what = match (arguments.services.as_slice(), place.groups.is_empty()) {
            ([], true) => "everything".to_owned(),
            ([], false) => place.groups.iter().map(|group| format!("group {group}")).collect::<Vec<_>>().join(", "),
            (services, _) => services.join(", "),
        };
        said(arguments.json, "restarting", &format!("restarting {what}"));
        return Ok(Exit::Success);
    };
    Ok(show_rolled(&rolled, arguments.json))
}

pub(crate) async fn reload(context: Context, arguments: ReloadArguments) -> Result<Exit, Error> {
    let place = place(&context, arguments.which.asked())?;
    let actor = context.actor();
    let app = context.open().await?;
    let done = app.reload_fleet(&actor, &place).await;
    app.close().await?;
    Ok(show_rolled(&done?, arguments.json))
}

async fn open(context: Context, which: &Which) -> Result<(App, Actor, Place), Error> {
    let place = known_place(&context, which.asked())?;
    let actor = context.actor();
    Ok((context.open().await?, actor, place))
}

fn show_rolled(rolled: &Rolled, json: bool) -> Exit {
    if json {
        render::json(rolled);
    } else {
        render::fleet::rolled(rolled);
    }
    if rolled.halted.is_some() { Exit::Failed } else { Exit::Success }
}
