//! What the supervisor tells, as events; and what it is asked to do.

use std::time::Duration;

use masque_app::{
    Error,
    fleet::{Answer, Place, model::ServiceId},
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    model::{Step, Verb},
    update::Event,
};
use crate::cli::Context;

/// Between two statuses; changes are told at once besides.
const LOOK: Duration = Duration::from_secs(1);
/// Lines that are shown of what was printed before.
const LINES: usize = 500;

/// Tells where everything stands, again and again, until nobody listens.
pub(super) async fn statuses(place: Place, tell: mpsc::Sender<Event>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = each_status(&place, &tell).await
            && tell.send(Event::Away(error.to_string())).await.is_err()
        {
            return;
        }
        if tell.is_closed() {
            return;
        }
    }
}

async fn each_status(place: &Place, tell: &mpsc::Sender<Event>) -> Result<(), Error> {
    let mut client = place.connect().await?;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let status = client.status().await?;
        if tell.send(Event::Status(Box::new(status))).await.is_err() {
            return Ok(());
        }
    }
}

/// Tells changes when they happen, until nobody listens.
pub(super) async fn changes(place: Place, tell: mpsc::Sender<Event>) {
    while !tell.is_closed() {
        // That the supervisor is away is told with the status.
        let _ = each_change(&place, &tell).await;
        sleep(LOOK).await;
    }
}

async fn each_change(place: &Place, tell: &mpsc::Sender<Event>) -> Result<(), Error> {
    let mut client = place.connect().await?;
    let known = client.changes(0).await?.last().map_or(0, |change| change.number);
    client.follow_changes(known).await?;
    loop {
        let change = client.next_change().await?;
        if tell.send(Event::Change(change)).await.is_err() {
            return Ok(());
        }
    }
}

/// Tells the lines of the wanted service, until nobody listens.
pub(super) async fn lines(place: Place, mut wants: watch::Receiver<Option<ServiceId>>, tell: mpsc::Sender<Event>) {
    loop {
        let wanted = wants.borrow_and_update().clone();
        tokio::select! {
            changed = wants.changed() => if changed.is_err() { return },
            () = of_service(&place, wanted.as_ref(), &tell) => {}
        }
    }
}

/// Goes on with the next supervisor when one is replaced. Never comes back by itself.
async fn of_service(place: &Place, wanted: Option<&ServiceId>, tell: &mpsc::Sender<Event>) {
    let Some(id) = wanted else { return std::future::pending().await };
    loop {
        if let Err(error) = each_line(place, id, tell).await {
            // What is closed is noticed by the one that waits for another wish.
            let _ = tell.send(Event::Mute(id.clone(), error.to_string())).await;
        }
        sleep(LOOK).await;
    }
}

async fn each_line(place: &Place, id: &ServiceId, tell: &mpsc::Sender<Event>) -> Result<(), Error> {
    let mut client = place.connect().await?;
    client.follow_logs(vec![id.to_string()], LINES).await?;
    let mut told = tell.send(Event::Listening(id.clone())).await;
    while told.is_ok()
        && let Some(answer) = client.next().await?
    {
        told = match answer {
            Answer::Line(line) => tell.send(Event::Line(line)).await,
            Answer::Missed(count) => tell.send(Event::Missed(id.clone(), count)).await,
            _ => Ok(()),
        };
    }
    Ok(())
}

/// Does something with services, and tells how it went.
pub(super) async fn act(context: Context, place: Place, step: Step, tell: mpsc::Sender<Event>) {
    let said = match perform(context, &place, &step).await {
        Ok(()) => format!("{} {}: begun", step.verb.word(), step.name),
        Err(error) => error.to_string(),
    };
    // Who has left need not know.
    let _ = tell.send(Event::Said(said)).await;
}

async fn perform(context: Context, place: &Place, step: &Step) -> Result<(), Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let target = step.target.clone();
    let done = match step.verb {
        Verb::Start => app.start_services(&actor, place, target).await,
        Verb::Stop => app.stop_services(&actor, place, target).await,
        Verb::Restart => app.restart_services(&actor, place, target).await,
    };
    app.close().await?;
    done
}
