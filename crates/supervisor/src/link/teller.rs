//! The one task that ends leases, joins what is told to whom, and hands out news.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    News, States,
    table::{Shared, joined},
};

/// Runs until the link is closed or nobody takes news any more.
pub(super) async fn run(shared: Arc<Shared>, mut states: watch::Receiver<States>, news: mpsc::Sender<News>) {
    let mut own_is_told = true;
    loop {
        let own = states.borrow_and_update().clone();
        tell(&shared, &own);
        let begun = Instant::now();
        let (has_news, expiry) = shared.quietly(|table| (table.has_news(), table.next_expiry()));
        let beat = begun + shared.rhythm.beat;
        let wake = expiry.map_or(beat, |expiry| expiry.min(beat));
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            place = news.reserve(), if has_news => match place {
                Ok(place) => place.send(shared.quietly(super::table::Table::take_news)),
                Err(_) => return,
            },
            changed = states.changed(), if own_is_told => own_is_told = changed.is_ok(),
            () = shared.changed.notified() => {}
            () = sleep_until(wake) => {}
        }
        expire(&shared, begun);
    }
}

/// Ends leases. Time in which this process itself stood still counts for none.
fn expire(shared: &Shared, begun: Instant) {
    let (now, beat) = (Instant::now(), shared.rhythm.beat);
    let late = now.duration_since(begun).saturating_sub(beat);
    shared.quietly(|table| {
        if late > beat {
            table.prolong(late);
        }
        table.expire(now);
    });
}

/// Tells other hosts this host's services, and supervisors of this host all that is known.
fn tell(shared: &Shared, own: &States) {
    let (inside, outside) = shared.quietly(|table| {
        let told = |outside: bool| if table.has_peers(!outside) { table.told_by(outside) } else { BTreeMap::new() };
        (told(false), told(true))
    });
    let of_this_host = inside.into_iter().filter(|(id, _)| id.host == shared.host).collect();
    for (told, heard) in [(&shared.told_outside, of_this_host), (&shared.told_inside, outside)] {
        let new = joined(own, heard);
        told.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
    }
}
