//! Small valid values for tests: ids that count, events, runs.

use masque_store::{NewRun, RunHead};
use masque_types::{
    cost::Spend,
    event::{Event, EventBody},
    id::{CommandId, Epoch, RunId, Seq},
    message::Part,
    run::{RunStatus, SandboxMode},
    time::Timestamp,
};
use uuid::Uuid;

/// The run with that number. Higher numbers sort later, like newer runs.
#[must_use]
pub fn run_id(number: u128) -> RunId {
    RunId::from_uuid(Uuid::from_u128(number))
}

/// The command with that number.
#[must_use]
pub fn command_id(number: u128) -> CommandId {
    CommandId::from_uuid(Uuid::from_u128(number))
}

/// A finished tool call with a text; its time is its position, in milliseconds.
#[must_use]
pub fn event(seq: Seq, epoch: Epoch, text: &str) -> Event {
    let body = EventBody::ToolCallFinished {
        call_id: format!("call-{seq}"),
        content: vec![Part::text(text)],
        is_error: false,
        whole: None,
        duration_ms: 1,
    };
    Event { seq, epoch, at: Timestamp(i64::try_from(seq).unwrap_or(i64::MAX)), body }
}

/// A running run with one event.
#[must_use]
pub fn new_run(id: RunId) -> NewRun {
    NewRun {
        id,
        persona: "architect".to_owned(),
        title: "Draw a bridge".to_owned(),
        sandbox: SandboxMode::Process,
        created_at: Timestamp(1),
        status: RunStatus::Running,
        events: vec![event(1, 0, "first")],
        forked_from: None,
        parent: None,
        conversation: false,
        job: None,
        audit: Vec::new(),
    }
}

/// The head of a run that stands there and spent nothing.
#[must_use]
pub fn head(status: RunStatus) -> RunHead {
    RunHead { status, spend: Spend::default(), wake_at: None }
}
