//! `agent.call` and `agent.handoff`: what they declare. The engine answers them by runs of other personas; nothing runs
//! here.

use masque_types::{
    child::{AgentCall, CALL, HANDOFF},
    persona::Persona,
    tool::{EffectClass, Place, ToolSpec},
};
use serde_json::json;

use crate::builtin::schema_of;

/// What the tools declare, without the names of personas.
#[must_use]
pub fn specs() -> [ToolSpec; 2] {
    let call = "Asks another persona to do something and gives its result. It works in an environment of its own and \
                does not see this conversation, so the task must say all that it needs to know. Several calls in one \
                answer run beside each other. With `mode: async` the result comes later as a message.";
    let handoff = "Leaves the rest of the task to another persona: its answer becomes yours, and you are not asked \
                   again. Use it when the other one should answer the person itself; otherwise use agent.call.";
    [spec(CALL, call), spec(HANDOFF, handoff)]
}

/// What a persona has of them: nothing when it may call nobody.
#[must_use]
pub fn specs_of(persona: &Persona) -> Vec<ToolSpec> {
    let may = &persona.delegate.to;
    if may.is_empty() {
        return Vec::new();
    }
    let named = |mut spec: ToolSpec| {
        spec.description = format!("{} You may call: {}.", spec.description, may.join(", "));
        spec
    };
    specs().map(named).into()
}

fn spec(name: &str, description: &str) -> ToolSpec {
    let mut input_schema = schema_of::<AgentCall>();
    if name == HANDOFF
        && let Some(properties) = input_schema.get_mut("properties").and_then(serde_json::Value::as_object_mut)
    {
        // Its result is always waited for.
        properties
            .insert("mode".to_owned(), json!({ "const": "blocking", "description": "The answer is waited for." }));
    }
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema,
        output_schema: None,
        // The same call is the same run.
        effect: EffectClass::Keyed,
        place: Place::Run,
        depends_on: Vec::new(),
    }
}
