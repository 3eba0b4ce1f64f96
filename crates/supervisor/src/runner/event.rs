//! [`Event`]: everything that the runner hears.

use masque_fleet::{
    model::{Fleet, ServiceId},
    status::HostStatus,
};
use tokio::sync::oneshot;

use crate::{
    link::News,
    machine::{End, Input},
};

/// What the runner hears.
#[derive(Debug)]
pub(super) enum Event {
    /// Something that is the machine's: a check, a notice.
    Machine(Input),
    /// All processes of an instance are gone.
    Ended { id: ServiceId, instance: u64, end: End },
    /// Somebody wants everything to end; said twice, at once.
    Stop,
    /// Somebody wants the manifest to be read again.
    Reload,
    /// It was read.
    Loaded(Result<Box<Fleet>, String>),
    /// Something about other supervisors.
    News(News),
    /// Another supervisor wants to know everything about the services here.
    Describe(oneshot::Sender<HostStatus>),
}
