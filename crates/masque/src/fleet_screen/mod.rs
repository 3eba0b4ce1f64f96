//! `masque fleet top`: a fleet on the whole screen, with its states, the selected service, its logs, and keys to steer.
//!
//! Owns the screen: a [`model`], what changes it ([`update`]) and its picture ([`view`]) are pure; [`feed`] asks the
//! supervisor, [`screen`] has the terminal. Leaves out what a supervisor does.

mod feed;
mod model;
mod screen;
#[cfg(test)]
mod tests;
mod text;
mod update;
mod view;

use futures::StreamExt as _;
use masque_app::{Error, fleet::Place};
use ratatui::crossterm::event;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
};

use self::{
    model::Model,
    screen::Screen,
    update::{Effect, Event, update},
};
use crate::{cli::Context, exit::Exit};

/// Events that may wait; whoever tells more waits.
const WAITING: usize = 1024;

/// Shows the fleet until somebody leaves.
pub(crate) async fn run(context: Context, place: Place) -> Result<Exit, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let is_coloured = context.host.variable("NO_COLOR").is_none_or(str::is_empty);
    let mut model = Model { is_coloured, ..Model::default() };
    let (tell, mut told) = mpsc::channel(WAITING);
    let (wanted, wants) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(feed::statuses(place.clone(), tell.clone()));
    tasks.spawn(feed::changes(place.clone(), tell.clone()));
    tasks.spawn(feed::lines(place.clone(), wants, tell.clone()));
    let mut screen = Screen::enter()?;
    let mut keys = event::EventStream::new();
    loop {
        screen.draw(&model)?;
        let event = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(event::Event::Key(key))) if key.is_press() => Some(Event::Key(key)),
                // Another size, for example: it is drawn anew.
                Some(Ok(_)) => None,
                Some(Err(_)) | None => break,
            },
            Some(event) = told.recv() => Some(event),
            _ = terminate.recv() => break,
            _ = hang_up.recv() => break,
        };
        // All that is there already makes one picture.
        let more = std::iter::from_fn(|| told.try_recv().ok()).take(WAITING);
        let effects: Vec<Effect> = event.into_iter().chain(more).flat_map(|event| update(&mut model, event)).collect();
        if effects.contains(&Effect::Quit) {
            break;
        }
        for effect in effects {
            match effect {
                Effect::Quit => {}
                Effect::Follow(id) => {
                    wanted.send_replace(id);
                }
                Effect::Do(step) => {
                    tasks.spawn(feed::act(context.clone(), place.clone(), step, tell.clone()));
                }
            }
        }
    }
    drop(screen);
    tasks.shutdown().await;
    Ok(Exit::Success)
}
