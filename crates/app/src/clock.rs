//! The clock and the source of new ids: the only place that reads either.

use masque_types::{
    id::{CommandId, ProposalId, RunId, TokenId},
    time::Timestamp,
};
use uuid::Uuid;

/// The system's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    #[expect(clippy::unused_self, reason = "time is asked of a clock, so that a test can bring its own")]
    pub(crate) fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

pub(crate) fn new_run_id() -> RunId {
    RunId::from_uuid(Uuid::now_v7())
}

pub(crate) fn new_proposal_id() -> ProposalId {
    ProposalId::from_uuid(Uuid::now_v7())
}

pub(crate) fn new_token_id() -> TokenId {
    TokenId::from_uuid(Uuid::now_v7())
}

pub(crate) fn new_command_id() -> CommandId {
    CommandId::from_uuid(Uuid::now_v7())
}
