//! `masque fleet up`: starts the fleet and shows how far it is.

use std::time::Duration;

use masque_app::{
    App, Error,
    config::Settings,
    fleet::{
        Began, Begin, Chain, Client, Manifest, Place, Progress,
        status::{Change, State},
    },
    host::Host,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Context, Which, check::found, read, said};
use crate::{
    exit::Exit,
    render::{self, fleet_live::Live},
};

/// Time between two looks whether the supervisor of this process answers.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Leave it running in the background, kept by a process that starts the supervisor again when it is killed
    #[arg(long, short)]
    detach: bool,
    /// With --detach: come back when everything is ready, or nothing more comes
    #[arg(long, requires = "detach")]
    wait: bool,
    /// With --wait: fail after that time
    #[arg(long, requires = "wait", value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Start although the check finds errors
    #[arg(long)]
    no_check: bool,
    /// Print changes as JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let manifest = read(&context, arguments.which.asked())?;
    let place = manifest.place(&context.host)?;
    place.refuse_doubles()?;
    if !arguments.no_check && place.supervisor()?.is_none() {
        check(&context, &manifest, &place, arguments.json)?;
    }
    let (actor, host, settings) = (context.actor(), context.host.clone(), context.settings.clone());
    let app = context.open().await?;
    if arguments.detach {
        let began = app.start_fleet(&actor, &place).await;
        app.close().await?;
        return detached(&place, began?, &arguments).await;
    }
    app.admit_fleet(&actor, &place).await?;
    close(app).await?;
    attached(&host, &settings, &place, arguments.json).await
}

/// Refuses to start what cannot work.
fn check(context: &Context, manifest: &Manifest, place: &Place, json: bool) -> Result<(), Error> {
    let report = manifest.check(&context.host, None)?;
    if report.is_good() {
        return Ok(());
    }
    if json {
        render::json(&found(manifest, Some(&report)));
    } else {
        render::fleet::report(&place.fleet, &report);
    }
    Err(Error::refused("the fleet is not started: the check found errors")
        .hint("mend what is listed above, or start all the same: --no-check"))
}

/// The supervisor does not hold the store open.
async fn close(app: App) -> Result<(), Error> {
    app.close().await
}

async fn detached(place: &Place, began: Began, arguments: &Arguments) -> Result<Exit, Error> {
    let mut live = Live::new(arguments.json);
    let (word, text) = match began {
        Began::Started => ("starting", "it starts in the background; look: masque fleet status"),
        Began::Running => ("running", "it is up already; what had been stopped is started"),
    };
    if !arguments.wait || (began == Began::Running && !arguments.json) {
        said(arguments.json, word, text);
    }
    if !arguments.wait {
        return Ok(Exit::Success);
    }
    let seen = match began {
        Began::Started => 0,
        Began::Running => place.connect().await?.changes(0).await?.last().map_or(0, |change| change.number),
    };
    let patience = arguments.timeout.map_or(Duration::MAX, Duration::from_secs);
    let mut follow = Follow::start(place, seen).await?;
    let came = tokio::select! {
        came = tokio::time::timeout(patience, follow.until_settled(place, &mut live)) => came,
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Cancelled),
    };
    let Ok(progress) = came else {
        live.finish(&follow.progress, None);
        return Err(Error::environment("not everything was ready in time").hint("look: masque fleet status"));
    };
    let progress = progress?;
    live.finish(&progress, follow.chain(place).as_ref());
    Ok(if progress.is_good() { Exit::Success } else { Exit::Failed })
}

/// Supervises in this process and shows what happens, until it is told to end.
async fn attached(host: &Host, settings: &Settings, place: &Place, json: bool) -> Result<Exit, Error> {
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let mut hang_up = signal(SignalKind::hangup())?;
    let supervise = async {
        let result = place.supervise(host, settings, (Begin::Up, true), stop.clone()).await;
        over.cancel();
        result
    };
    // A supervisor takes it as a wish to read the manifest again; without its terminal nobody would see this one any more.
    let leave = over.run_until_cancelled(async {
        hang_up.recv().await;
        stop.cancel();
    });
    let (result, (), _) = tokio::join!(supervise, show(place, json, &over), leave);
    result.map(|()| Exit::Success)
}

async fn show(place: &Place, json: bool, over: &CancellationToken) {
    let mut live = Live::new(json);
    let told = async {
        let mut follow = loop {
            match Follow::start(place, 0).await {
                Ok(follow) => break follow,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let progress = follow.until_settled(place, &mut live).await?;
        live.finish(&progress, follow.chain(place).as_ref());
        loop {
            let change = follow.changes.next_change().await?;
            live.later(&follow.explained(change).await);
        }
    };
    // However the telling ends, the supervisor's end is what counts.
    let _: Option<Result<(), Error>> = over.run_until_cancelled(told).await;
    live.clear();
}

/// What is told about a start.
struct Follow {
    asks: Client,
    changes: Client,
    progress: Progress,
    /// The number of the last change that the progress knew from the beginning.
    known: u64,
    seen: Vec<Change>,
}

impl Follow {
    async fn start(place: &Place, after: u64) -> Result<Self, Error> {
        let (mut asks, mut changes) = (place.connect().await?, place.connect().await?);
        changes.follow_changes(after).await?;
        let known = asks.changes(after).await?.last().map_or(after, |change| change.number);
        let progress = Progress::of(place, &asks.status().await?);
        Ok(Self { asks, changes, progress, known, seen: Vec::new() })
    }

    /// Shows changes until nothing more comes by itself.
    async fn until_settled(&mut self, place: &Place, live: &mut Live) -> Result<Progress, Error> {
        live.begin(&self.progress);
        loop {
            if self.progress.is_quiet() {
                let fresh = Progress::of(place, &self.asks.status().await?);
                if fresh.is_settled() {
                    self.drain(live).await;
                    return Ok(fresh);
                }
            }
            let change = self.changes.next_change().await?;
            self.take(change, live).await;
        }
    }

    /// What is on its way already belongs to the start.
    async fn drain(&mut self, live: &mut Live) {
        while let Ok(Ok(change)) = tokio::time::timeout(LOOK, self.changes.next_change()).await {
            self.take(change, live).await;
        }
    }

    /// A change says why a service is missing; who stands in the supervisor says.
    async fn explained(&mut self, mut change: Change) -> Change {
        if change.to == State::Substituted
            && let Ok(explanation) = self.asks.why(&change.id.to_string()).await
            && let Some(other) = explanation.service.substituted_by
        {
            change.why = format!("{other} stands in; {}", change.why);
        }
        change
    }

    async fn take(&mut self, change: Change, live: &mut Live) {
        // What happened before is told, and does not turn the progress back.
        let counts = match change.number <= self.known {
            true => self.progress.counts(&change.id),
            false => self.progress.apply(&change),
        };
        let change = self.explained(change).await;
        if counts {
            live.show(&change, &self.progress);
        }
        self.seen.push(change);
    }

    fn chain(&self, place: &Place) -> Option<Chain> {
        Chain::of_changes(&place.fleet, &self.seen, None)
    }
}
