//! The durable run loop.
//!
//! Owns: the run's state as a fold of its journal ([`state`]), the pure decisions about what happens next
//! ([`machine`]), and the driver that commits events before it performs the actions they announce ([`driver`]).
//! Leaves out vendors, SQL, surfaces, files: those stand behind [`masque_types::model::Model`],
//! [`masque_store::Store`] and [`environment::Environments`].

mod calling;
pub mod children;
pub mod compaction;
mod discovery;
pub mod driver;
pub mod environment;
mod heartbeat;
pub mod machine;
pub mod output;
mod planning;
pub mod replay;
mod schema;
pub mod state;
mod steady;

/// What can go wrong while a run is driven. A failing model or tool is not among these: that is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed; nothing that was acknowledged is lost, and the run can be resumed.
    #[error(transparent)]
    Store(#[from] masque_store::Error),
    /// There is no such run.
    #[error("there is no run {0}: `masque runs list` shows what there is")]
    NoSuchRun(masque_types::id::RunId),
    /// The journal does not fold into a run.
    #[error("the journal of {run} is damaged at event {seq}: {what}")]
    Damaged {
        /// The run.
        run: masque_types::id::RunId,
        /// The event.
        seq: masque_types::id::Seq,
        /// What is wrong.
        what: String,
    },
}
