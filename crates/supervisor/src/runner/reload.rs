//! Replacing services wave by wave: when the manifest was read again, and when somebody asks for it.

use masque_fleet::model::Fleet;
use tokio::sync::oneshot;

use super::{Runner, event::Event};
use crate::{
    Error,
    control::{Reply, Target},
};

/// Where the answer to a client goes.
type Answered = oneshot::Sender<Result<Reply, Error>>;

/// A replacement that goes on.
#[derive(Debug)]
pub(super) struct Roll {
    reply: Option<Answered>,
}

impl Runner {
    /// Reads the manifest again, beside the loop.
    pub(super) fn begin_reload(&mut self, reply: Option<Answered>) {
        let refused = match &self.spec.reload {
            _ if self.is_ending() => Some("the supervisor is ending"),
            _ if self.roll.is_some() => Some("another replacement goes on; wait for its end"),
            None => Some("this supervisor has no manifest to read again"),
            Some(_) => None,
        };
        if let Some(why) = refused {
            return refuse(reply, Error::Refused(why.to_owned()));
        }
        self.roll = Some(Roll { reply });
        let (reload, hear) = (self.spec.reload.clone(), self.hear.clone());
        self.tasks.spawn(async move {
            let Some(reload) = reload else { return };
            let read = tokio::task::spawn_blocking(move || (reload.0)().map(Box::new)).await;
            let read = read.unwrap_or_else(|error| Err(format!("the manifest cannot be read: {error}")));
            // Without a runner nobody needs it.
            let _ = hear.send(Event::Loaded(read));
        });
    }

    /// Takes the manifest that was read: what is new starts, what is gone ends, what changed is replaced.
    pub(super) fn loaded(&mut self, fleet: Result<Box<Fleet>, String>) {
        let reply = self.roll.take().and_then(|roll| roll.reply);
        let fleet = match fleet {
            Ok(fleet) => fleet,
            Err(why) => return refuse(reply, Error::Refused(why)),
        };
        let _ = (fleet, reply);
    }

    /// Replaces services in waves.
    pub(super) fn begin_roll(&mut self, target: Target, reply: Answered) {
        let _ = target;
        refuse(Some(reply), Error::Refused("not yet".to_owned()));
    }
}

fn refuse(reply: Option<Answered>, error: Error) {
    match reply {
        // A client may have gone.
        Some(reply) => _ = reply.send(Err(error)),
        None => tracing::warn!("{error}"),
    }
}
