//! A run's journal, recorded as a script, gives the same answers again.

use masque_gateway::{
    script::{Script, record},
    scripted::ScriptedModel,
};
use masque_types::{
    cost::Usage,
    event::{Event, EventBody},
    message::{AssistantMessage, ToolCall},
    model::{Failure, FailureKind, FinishReason, Model as _, Receipt},
    time::Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::request;

fn journal(answers: &[AssistantMessage]) -> Vec<Event> {
    let bodies = answers.iter().zip(1..).map(|(message, step)| EventBody::ModelCallFinished {
        step,
        message: message.clone(),
        finish: if message.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls },
        receipt: Receipt {
            usage: Usage { input_tokens: 9, output_tokens: 4, ..Usage::default() },
            ..Receipt::default()
        },
    });
    bodies.zip(1..).map(|(body, seq)| Event { seq, epoch: 1, at: Timestamp(0), body }).collect()
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[a-z]{1,4}", tree, 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// Texts that YAML or the template language could mistake for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[ a#:'\"\\n\\t{}%|>\\-]{0,10}",
        Just("{{ task }}".to_owned()),
        Just("yes".to_owned()),
        Just("0x1F".to_owned()),
        Just("1_000".to_owned()),
        Just("  leading\n\n\ntrailing  \n".to_owned()),
        Just("é🦀\u{85}\u{2028}\r\n".to_owned()),
    ]
}

fn answer() -> impl Strategy<Value = AssistantMessage> {
    let call = ("[a-zA-Z0-9_]{1,12}", "[a-z.:/]{1,12}", arguments()).prop_map(|(id, tool, arguments)| ToolCall {
        id,
        tool,
        arguments,
        signature: None,
    });
    (text(), proptest::option::of("[ -~]{1,9}"), proptest::collection::vec(call, 0..3))
        .prop_map(|(text, reasoning, calls)| AssistantMessage { text, reasoning, calls, opaque: None })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_recorded_run_answers_the_same(answers in proptest::collection::vec(answer(), 1..4)) {
        let yaml = record(&journal(&answers)).to_yaml().unwrap();
        let script = ScriptedModel::from_yaml(&yaml, "recorded").map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut request = request(&["scripted/recorded"]);
        for (answer, step) in answers.iter().zip(1..) {
            request.step = step;
            let reply = runtime.block_on(script.call(&request, &|_| {})).unwrap();
            prop_assert_eq!(&reply.message, answer, "{}", yaml);
            prop_assert_eq!((reply.receipt.usage.input_tokens, reply.receipt.usage_reported), (9, true));
        }
    }
}

#[tokio::test]
async fn failures_and_lost_steps_are_recorded_too() {
    let failure = Failure { kind: FailureKind::RateLimit, message: "busy".to_owned(), retry_after_ms: Some(5) };
    let body = EventBody::ModelCallFailed { step: 2, failure: failure.clone(), receipt: Receipt::default() };
    let script = record(&[Event { seq: 1, epoch: 1, at: Timestamp(0), body }]);
    let script = Script::from_yaml(&script.to_yaml().unwrap(), "recorded").unwrap();
    let model = ScriptedModel::new(script, "recorded").unwrap();
    let mut request = request(&["scripted/recorded"]);
    assert_eq!(model.call(&request, &|_| {}).await.unwrap_err().failure.kind, FailureKind::Unavailable);
    request.step = 2;
    assert_eq!(model.call(&request, &|_| {}).await.unwrap_err().failure, failure);
    assert_eq!(json!(record(&[]).replies), json!([]));
}
