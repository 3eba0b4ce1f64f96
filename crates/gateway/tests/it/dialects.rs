//! Each scenario in each dialect: the same turn must give the same reply, or the same class of failure.

use std::time::Duration;

use masque_gateway::config::{ProviderKind, Timeouts};
use masque_testkit::providers::{FakeAnthropic, FakeGemini, FakeOpenAi, FakeProvider, Fault, Turn, Wire};
use masque_types::{
    cost::{MicroUsd, Usage},
    model::{FailureKind, FinishReason, ModelError, ModelReply},
};
use serde_json::{Value, json};

use crate::support::{KEY, Shown, attempts, call, gateway_with, provider, request};

/// Short limits for the scenario that stalls; the others do not come near them.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    total: Duration::from_secs(60),
};

struct Outcome {
    result: Result<ModelReply, Box<ModelError>>,
    shown: Shown,
    requests: Vec<Value>,
}

async fn ask<W: Wire>(kind: ProviderKind, turns: Vec<Turn>, timeouts: Timeouts) -> Outcome {
    let fake = FakeProvider::<W>::start(turns).await;
    let gateway = gateway_with(vec![("fake", provider(kind, &fake.url()))], timeouts);
    let (result, shown) = call(&gateway, &request(&["fake/model-1"])).await;
    assert_eq!(fake.violations(), Vec::<String>::new(), "{kind:?}");
    Outcome { result, shown, requests: fake.requests().into_iter().map(|request| request.body).collect() }
}

/// Runs the same turns in all three dialects.
async fn in_each_dialect(turns: &[Turn], timeouts: Timeouts, check: impl Fn(ProviderKind, Outcome)) {
    let (openai, anthropic, gemini) = tokio::join!(
        ask::<masque_testkit::providers::OpenAi>(ProviderKind::OpenAi, turns.to_vec(), timeouts),
        ask::<masque_testkit::providers::Anthropic>(ProviderKind::Anthropic, turns.to_vec(), timeouts),
        ask::<masque_testkit::providers::Gemini>(ProviderKind::Gemini, turns.to_vec(), timeouts),
    );
    check(ProviderKind::OpenAi, openai);
    check(ProviderKind::Anthropic, anthropic);
    check(ProviderKind::Gemini, gemini);
}

const TEXT: &str = "Größe: 3 µm, 🦀🦀 and 日本語 in several pieces.";

#[tokio::test]
async fn a_text_with_usage_arrives_whole_however_it_is_split() {
    for chunk_bytes in [1, 3, 1_000_000] {
        let turn =
            Turn::text(TEXT).with_reasoning("First I think.").with_usage(1_000, 50, 800).in_chunks_of(chunk_bytes);
        in_each_dialect(&[turn], TIMEOUTS, |kind, outcome| {
            let reply = outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!(reply.message.text, TEXT, "{kind:?}");
            assert_eq!(reply.message.reasoning.as_deref(), Some("First I think."), "{kind:?}");
            assert_eq!(outcome.shown.text(), TEXT, "{kind:?}");
            assert_eq!(outcome.shown.reasoning(), "First I think.", "{kind:?}");
            assert_eq!(reply.finish, FinishReason::Stop, "{kind:?}");
            let receipt = reply.receipt;
            let usage = Usage { input_tokens: 1_000, output_tokens: 50, cache_read_tokens: 800, cache_write_tokens: 0 };
            assert_eq!((receipt.usage, receipt.usage_reported), (usage, true), "{kind:?}");
            assert_eq!(receipt.micro_usd, Some(MicroUsd(200 + 80 + 500)), "{kind:?}");
            assert_eq!(receipt.reported_model.as_deref(), Some("fake-model-1"), "{kind:?}");
            assert!(receipt.response_id.is_some(), "{kind:?}");
            assert_eq!(attempts(&receipt), ["fake/model-1 ok"], "{kind:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn tool_calls_arrive_with_canonical_names_and_unique_ids() {
    let one = Turn::call("call_aaaaaaaaa", "mcp_hdf5_list", &json!({ "path": "a/ä" }));
    in_each_dialect(&[one], TIMEOUTS, |kind, outcome| {
        let reply = outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(reply.finish, FinishReason::ToolCalls, "{kind:?}");
        let call = &reply.message.calls[0];
        assert_eq!((call.id.as_str(), call.tool.as_str()), ("call_aaaaaaaaa", "mcp:hdf5/list"), "{kind:?}");
        assert_eq!(call.arguments, json!({ "path": "a/ä" }), "{kind:?}");
        assert!(!reply.receipt.usage_reported && reply.receipt.usage.input_tokens > 0, "{kind:?}: estimated");
        assert!(!outcome.requests.is_empty());
    })
    .await;

    let three = Turn::text("I read three.")
        .and_call("", "fs_read", &json!({ "path": "1" }))
        .and_call("0", "fs_read", &json!({}))
        .and_call("0", "no_such_tool", &json!({ "path": "3" }))
        .in_chunks_of(11);
    in_each_dialect(&[three], TIMEOUTS, |kind, outcome| {
        let reply = outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let calls: Vec<_> = reply.message.calls.iter().map(|call| (call.id.as_str(), call.tool.as_str())).collect();
        let expected = [("call_1_1", "fs_read"), ("call_1_2", "fs_read"), ("call_1_3", "no_such_tool")];
        assert_eq!(calls, expected, "{kind:?}");
        assert_eq!(reply.message.calls[2].arguments, json!({ "path": "3" }), "{kind:?}");
        assert_eq!(reply.message.text, "I read three.", "{kind:?}");
    })
    .await;
}

#[tokio::test]
async fn arguments_that_are_no_json_arrive_as_a_text() {
    let turn = Turn::default().and_raw_call("call_aaaaaaaaa", "fs_read", "{\"path\": ").cut_by_length();
    in_each_dialect(&[turn], TIMEOUTS, |kind, outcome| {
        let reply = outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(reply.message.calls[0].arguments, Value::String("{\"path\": ".to_owned()), "{kind:?}");
        assert_eq!(reply.finish, FinishReason::Length, "{kind:?}");
    })
    .await;
}

#[tokio::test]
async fn faults_before_the_answer_are_classified_and_retried_when_they_pass() {
    let table = [
        (Fault::RateLimit(Some(0)), FailureKind::RateLimit, 3),
        (Fault::RateLimit(Some(3_600)), FailureKind::RateLimit, 1),
        (Fault::Status(500), FailureKind::Unavailable, 3),
        (Fault::Status(503), FailureKind::Unavailable, 3),
        (Fault::Status(401), FailureKind::Auth, 1),
        (Fault::Status(404), FailureKind::NotFound, 1),
        (Fault::Status(302), FailureKind::Protocol, 1),
        (Fault::ContextLength, FailureKind::ContextTooLong, 1),
        (Fault::WrongContentType, FailureKind::Protocol, 1),
        (Fault::EmptyBody, FailureKind::Protocol, 1),
    ];
    for (fault, expected, tries) in table {
        in_each_dialect(&[Turn::fault(fault), Turn::fault(fault), Turn::fault(fault)], TIMEOUTS, |kind, outcome| {
            let error = outcome.result.expect_err("a fault");
            assert_eq!(error.failure.kind, expected, "{kind:?} {fault:?}: {error}");
            assert_eq!(error.receipt.attempts.len(), tries, "{kind:?} {fault:?}");
            assert_eq!((error.receipt.usage, error.receipt.micro_usd), (Usage::default(), None), "{kind:?} {fault:?}");
            assert_eq!(outcome.shown.text(), "", "{kind:?} {fault:?}");
            let text = format!("{error:?} {error}");
            assert!(!text.contains(KEY) && !text.contains("127.0.0.1"), "{text}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_passing_fault_is_retried_into_an_answer() {
    let turns = [Turn::fault(Fault::RateLimit(Some(0))), Turn::fault(Fault::Status(500)), Turn::text("at last")];
    in_each_dialect(&turns, TIMEOUTS, |kind, outcome| {
        let reply = outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let expected = ["fake/model-1 rate_limit", "fake/model-1 unavailable", "fake/model-1 ok"];
        assert_eq!(attempts(&reply.receipt), expected, "{kind:?}");
    })
    .await;
}

#[tokio::test]
async fn a_fault_in_the_middle_is_an_error_and_never_a_clean_end() {
    let long_call = Turn::call("call_aaaaaaaaa", "fs_read", &json!({ "path": "a/very/long/path/that/takes/pieces" }));
    let calls = || long_call.clone().and_call("call_bbbbbbbbb", "fs_read", &json!({ "path": "x".repeat(70) }));
    for fault in [Fault::Cut, Fault::EndEarly, Fault::MalformedJson] {
        for turn in [Turn::fault(fault), calls().with_fault(fault)] {
            in_each_dialect(&[turn], TIMEOUTS, |kind, outcome| {
                let error = outcome.result.expect_err("a cut answer");
                assert_eq!(error.failure.kind, FailureKind::Protocol, "{kind:?} {fault:?}: {error}");
                let counted = error.receipt.usage.input_tokens > 0 && error.receipt.micro_usd > Some(MicroUsd(0));
                assert!(counted, "{kind:?} {fault:?}: what was begun may be billed");
                assert_eq!(error.receipt.attempts.len(), 1, "{kind:?} {fault:?}");
            })
            .await;
        }
    }
    in_each_dialect(&[Turn::fault(Fault::ErrorEvent)], TIMEOUTS, |kind, outcome| {
        let error = outcome.result.expect_err("an error event");
        assert_eq!(error.failure.kind, FailureKind::Unavailable, "{kind:?}: {error}");
        assert_eq!(error.receipt.attempts.len(), 1, "{kind:?}: text was shown, so it is not tried again");
        assert!(!outcome.shown.text().is_empty(), "{kind:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_stalls_is_a_timeout() {
    let impatient = Timeouts { idle: Duration::from_millis(60), ..TIMEOUTS };
    // Where the machine is so slow that not even the first piece was shown in time, the call is tried again.
    let stall = || Turn::fault(Fault::Stall);
    in_each_dialect(&[stall(), stall(), stall()], impatient, |kind, outcome| {
        let error = outcome.result.expect_err("a stalled stream");
        assert_eq!(error.failure.kind, FailureKind::Timeout, "{kind:?}: {error}");
    })
    .await;
}

#[tokio::test]
async fn a_slow_stream_is_no_failure() {
    let turn = Turn::text(TEXT).slowly(Duration::from_millis(2));
    in_each_dialect(&[turn], TIMEOUTS, |kind, outcome| {
        assert_eq!(outcome.result.unwrap_or_else(|error| panic!("{kind:?}: {error}")).message.text, TEXT);
    })
    .await;
}

async fn drop_in_the_middle<W: Wire>(kind: ProviderKind) {
    let fake = FakeProvider::<W>::start(vec![Turn::fault(Fault::Stall)]).await;
    let gateway = gateway_with(vec![("fake", provider(kind, &fake.url()))], TIMEOUTS);
    let request = request(&["fake/model-1"]);
    let begun = tokio::sync::Notify::new();
    let show = |delta| {
        if matches!(delta, masque_types::model::ModelDelta::Text(_)) {
            begun.notify_one();
        }
    };
    {
        use masque_types::model::Model as _;
        tokio::select! {
            _ = gateway.call(&request, &show) => panic!("the stream has no end"),
            () = begun.notified() => {}
        }
    }
    // The server sees the client leave, so nothing goes on in the background.
    fake.left().await;
}

#[tokio::test]
async fn dropping_the_call_ends_the_request() {
    drop_in_the_middle::<masque_testkit::providers::OpenAi>(ProviderKind::OpenAi).await;
    drop_in_the_middle::<masque_testkit::providers::Anthropic>(ProviderKind::Anthropic).await;
    drop_in_the_middle::<masque_testkit::providers::Gemini>(ProviderKind::Gemini).await;
}

#[tokio::test]
async fn what_a_request_asks_for_stands_in_each_dialect() {
    let check = |body: &Value, pairs: &[(&str, Value)]| {
        for (pointer, expected) in pairs {
            assert_eq!(body.pointer(pointer), Some(expected), "{pointer} of {body:#}");
        }
    };
    let (openai, anthropic, gemini) = (
        FakeOpenAi::start(vec![Turn::text("x")]).await,
        FakeAnthropic::start(vec![Turn::text("x")]).await,
        FakeGemini::start(vec![Turn::text("x")]).await,
    );
    let gateway = gateway_with(
        vec![
            ("o", provider(ProviderKind::OpenAi, &openai.url())),
            ("a", provider(ProviderKind::Anthropic, &anthropic.url())),
            ("g", provider(ProviderKind::Gemini, &gemini.url())),
        ],
        TIMEOUTS,
    );
    for name in ["o/m", "a/m", "g/m"] {
        call(&gateway, &request(&[name])).await.0.unwrap();
    }
    check(
        &openai.requests()[0].body,
        &[
            ("/stream_options/include_usage", json!(true)),
            ("/max_tokens", json!(1000)),
            ("/temperature", json!(0.5)),
            ("/messages/0/content", json!("You read files.")),
            ("/tools/2/function/name", json!("fs_read")),
        ],
    );
    check(
        &anthropic.requests()[0].body,
        &[
            ("/system/0/cache_control/type", json!("ephemeral")),
            ("/tools/2/cache_control/type", json!("ephemeral")),
            ("/messages/0/content/0/cache_control/type", json!("ephemeral")),
            ("/max_tokens", json!(1000)),
        ],
    );
    check(
        &gemini.requests()[0].body,
        &[
            ("/systemInstruction/parts/0/text", json!("You read files.")),
            ("/generationConfig/maxOutputTokens", json!(1000)),
            ("/tools/0/functionDeclarations/1/name", json!("mcp_hdf5_list")),
        ],
    );
}
