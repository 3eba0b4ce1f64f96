//! The golden journals of released event versions fold into the states that were recorded with them.

use std::path::{Path, PathBuf};

use masque_engine::state::State;
use masque_types::{
    digest::Digest,
    event::{Event, decode},
    id::RunId,
    message::Message,
};
use serde_json::{Value, json};

fn journal(path: &Path) -> Vec<Event> {
    let event = |line: &str| {
        let stored: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| stored[name].as_u64().unwrap();
        let body = decode(u32::try_from(number("version")).unwrap(), &stored["body"].to_string()).unwrap();
        let at = serde_json::from_value(stored["at"].clone()).unwrap();
        Event { seq: number("seq"), epoch: number("epoch"), at, body }
    };
    fs_err::read_to_string(path).unwrap().lines().map(event).collect()
}

/// What a person would look at first.
fn summary(state: &State) -> Value {
    let role = |message: &Message| match message {
        Message::User { .. } => "user",
        Message::Assistant(_) => "assistant",
        Message::Tool(_) => "tool",
    };
    json!({
        "status": state.status().name(),
        "outcome": state.outcome.as_ref().map(|outcome| format!("{outcome:?}")),
        "last_seq": state.last_seq,
        "step": state.step,
        "spend": state.spend,
        "context_tokens": state.context_tokens,
        "messages": state.messages.iter().map(|message| role(message)).collect::<Vec<_>>(),
        "open_calls": state.calls.iter().map(|call| format!("{:?}", call.phase)).collect::<Vec<_>>(),
        "decisions": state.decisions,
        "repairs": state.repairs,
        "active_ms": state.active_time(state.last_at).as_millis(),
        "route": state.route.models,
        "tools": state.tools.iter().flat_map(|tools| tools.iter().map(|tool| &tool.name)).collect::<Vec<_>>(),
    })
}

#[test]
fn golden_journals_fold_into_the_recorded_states() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut journals: Vec<PathBuf> =
        fs_err::read_dir(here.join("../types/tests/golden/v1")).unwrap().map(|entry| entry.unwrap().path()).collect();
    journals.sort();
    assert!(!journals.is_empty());
    for path in journals {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let state = State::fold(RunId::derive(&Digest::of("golden")), &journal(&path)).unwrap();
        let summary = serde_json::to_string_pretty(&summary(&state)).unwrap();
        let recorded = here.join(format!("tests/golden/v1/{name}.state.json"));
        let recorded = fs_err::read_to_string(recorded).unwrap_or_default();
        assert_eq!(summary, recorded.trim_end(), "{name}: the state is\n{summary}");
    }
}
