//! Replays a journal without effects: folds it event by event, and checks that the machine would decide the same
//! today from the recorded inputs.

use masque_types::{
    actor::Channel,
    approval::Ruling,
    child::ChildStop,
    event::{Event, EventBody},
    id::{RunId, Seq},
    model::{ModelError, ModelReply},
    run::Command,
};

use crate::{
    machine::{Input, Machine},
    output::Bounded,
    state::State,
};

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Replay {
    /// Events folded.
    pub events: usize,
    /// The first event that the machine would not write today, if any. A difference is no damage: a newer Masque may
    /// decide otherwise; the fold is what counts.
    pub differs_at: Option<Seq>,
}

/// Replays a journal.
///
/// # Errors
/// When it does not fold.
pub fn replay(run: RunId, events: &[Event]) -> Result<Replay, crate::Error> {
    State::fold(run, events)?;
    Ok(Replay { events: events.len(), differs_at: first_difference(run, events)? })
}

/// Feeds each recorded input to the machine at the state before it, and compares what it writes with what stands in
/// the journal.
fn first_difference(run: RunId, events: &[Event]) -> Result<Option<Seq>, crate::Error> {
    let mut state = State::fold(run, events.get(..1).unwrap_or_default())?;
    let mut machine = Machine::new(state.clone(), 0);
    for (place, event) in events.iter().enumerate().skip(1) {
        if let Some(input) = recorded_input(&state, event) {
            machine.rewind(state.clone(), event.epoch);
            let written = machine.handle(input, event.at).events;
            // A step's events stand together in the journal, so what is written today must be a prefix of the rest.
            let recorded = events.get(place..).unwrap_or_default();
            if let Some((ours, _)) = written.iter().zip(recorded).find(|(ours, theirs)| ours.body != theirs.body) {
                return Ok(Some(ours.seq));
            }
        }
        state.apply(event);
    }
    Ok(None)
}

/// The input that an event records; `None` for events that follow from others.
fn recorded_input(state: &State, event: &Event) -> Option<Input> {
    match &event.body {
        EventBody::ToolsPinned { tools } => Some(Input::ToolsReady(tools.clone())),
        EventBody::ModelCallFinished { message, finish, receipt, .. } => {
            let (message, receipt) = (message.clone(), receipt.clone());
            Some(Input::Model(Ok(ModelReply { message, finish: *finish, receipt })))
        }
        EventBody::ModelCallFailed { failure, receipt, .. } => {
            let error = ModelError { failure: failure.clone(), receipt: receipt.clone() };
            Some(Input::Model(Err(Box::new(error))))
        }
        EventBody::ToolCallFinished { call_id, content, is_error, whole, duration_ms } => {
            let whole = whole.map(|whole| (whole, Vec::new()));
            let output = Bounded { content: content.clone(), is_error: *is_error, whole };
            Some(Input::Tool { call_id: call_id.clone(), output, duration_ms: *duration_ms })
        }
        EventBody::ApprovalDecided { ruling: Ruling { channel: Channel::Timeout, .. }, .. } => Some(Input::Tick),
        EventBody::ApprovalDecided { approval, ruling } => {
            let digest = state.questions().find(|question| question.id == *approval)?.digest;
            Some(Input::Command(Command::Answer { approval: *approval, digest, ruling: ruling.clone() }))
        }
        EventBody::Recovered { worker } => Some(Input::Recovered { worker: worker.clone() }),
        EventBody::CancelRequested { by } => Some(Input::Command(Command::Cancel { by: by.clone() })),
        EventBody::ChildCancelled { reason: ChildStop::Timeout, .. } => Some(Input::Tick),
        EventBody::InterruptRequested { by, partial } => {
            Some(Input::Interrupted { by: by.clone(), partial: partial.clone() })
        }
        EventBody::UserSaid { parts, by, model } => {
            Some(Input::Command(Command::Say { parts: parts.clone(), by: by.clone(), model: model.clone() }))
        }
        EventBody::FinishRequested { by } => Some(Input::Command(Command::Finish { by: by.clone() })),
        EventBody::PolicyChanged { mode, narrow, by } => {
            let (narrow, by) = (narrow.clone(), by.clone());
            Some(Input::Command(Command::SetPolicy { mode: *mode, narrow, by }))
        }
        _ => None,
    }
}
