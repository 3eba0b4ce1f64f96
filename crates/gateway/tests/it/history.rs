//! Long conversations: what earlier turns hold must reach each provider in its own form, also after a fallback from
//! another one.

use std::sync::Arc;

use masque_gateway::config::ProviderKind;
use masque_testkit::providers::{FakeAnthropic, FakeGemini, FakeOpenAi, Turn};
use masque_types::{
    message::{Message, Part, ToolMessage},
    model::{ModelReply, ModelRequest},
};
use serde_json::json;

use crate::support::{call, gateway, provider, request};

fn follow(request: &ModelRequest, reply: &ModelReply) -> ModelRequest {
    let mut next = request.clone();
    next.step += 1;
    next.messages.push(Arc::new(Message::Assistant(reply.message.clone())));
    for (place, call) in reply.message.calls.iter().enumerate() {
        let image = Part::Image { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
        next.messages.push(Arc::new(Message::Tool(ToolMessage {
            call_id: call.id.clone(),
            tool: call.tool.clone(),
            content: vec![Part::text(format!("result {place}")), image],
            is_error: place == 1,
        })));
    }
    next
}

/// Turns of one provider: thinking with parallel calls, broken arguments, an answer.
fn turns() -> Vec<Turn> {
    vec![
        Turn::text("I look.")
            .with_reasoning("Where is it?")
            .and_call("functions.read:0", "fs_read", &json!({ "path": "a" }))
            .and_call("call_0", "mcp_hdf5_list", &json!({})),
        Turn::default().and_raw_call("call_0", "fs_read", "{oops"),
        Turn::text("Done."),
    ]
}

#[tokio::test]
async fn a_conversation_goes_on_with_its_own_provider() {
    let (openai, anthropic, gemini) =
        (FakeOpenAi::start(turns()).await, FakeAnthropic::start(turns()).await, FakeGemini::start(turns()).await);
    let gateway = gateway(vec![
        ("openai", provider(ProviderKind::OpenAi, &openai.url())),
        ("anthropic", provider(ProviderKind::Anthropic, &anthropic.url())),
        ("gemini", provider(ProviderKind::Gemini, &gemini.url())),
    ]);
    for name in ["openai/m", "anthropic/m", "gemini/gemini-3-pro"] {
        let mut request = request(&[name]);
        for _ in 0..2 {
            let reply = call(&gateway, &request).await.0.unwrap_or_else(|error| panic!("{name}: {error}"));
            request = follow(&request, &reply);
        }
        // A user who says something between results and answer.
        request.messages.push(Arc::new(Message::user("Go on.")));
        let reply = call(&gateway, &request).await.0.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(reply.message.text, "Done.", "{name}");
    }
    assert_eq!([openai.violations(), anthropic.violations(), gemini.violations()].concat(), Vec::<String>::new());
    let last = |requests: Vec<masque_testkit::providers::Recorded>| requests[2].body.clone();
    let body = last(anthropic.requests());
    assert_eq!(body.pointer("/messages/1/content/0/type"), Some(&json!("thinking")), "{body:#}");
    assert_eq!(body.pointer("/messages/2/content/1/is_error"), Some(&json!(true)));
    let body = last(openai.requests());
    assert_eq!(body.pointer("/messages/2/reasoning_content"), Some(&json!("Where is it?")), "{body:#}");
    assert_eq!(body.pointer("/messages/4/content"), Some(&json!("Error: result 1")));
    let body = last(gemini.requests());
    assert_eq!(body.pointer("/contents/1/parts/1/thoughtSignature"), Some(&json!("signed-by-fake")), "{body:#}");
}

#[tokio::test]
async fn a_conversation_can_move_to_any_other_provider() {
    let answers = || vec![Turn::text("Taken over."), Turn::text("Taken over.")];
    for first in ["openai/m", "anthropic/m", "gemini/gemini-3-pro"] {
        let (name, _) = first.split_once('/').unwrap();
        let own = |provider: &str| if provider == name { turns() } else { answers() };
        let (openai, anthropic, gemini) = (
            FakeOpenAi::start(own("openai")).await,
            FakeAnthropic::start(own("anthropic")).await,
            FakeGemini::start(own("gemini")).await,
        );
        let gateway = gateway(vec![
            ("openai", provider(ProviderKind::OpenAi, &openai.url())),
            ("anthropic", provider(ProviderKind::Anthropic, &anthropic.url())),
            ("gemini", provider(ProviderKind::Gemini, &gemini.url())),
        ]);
        let start = request(&[first]);
        let reply = call(&gateway, &start).await.0.unwrap();
        for other in ["openai/m", "anthropic/m", "gemini/gemini-3-pro"].into_iter().filter(|other| *other != first) {
            let mut moved = follow(&start, &reply);
            moved.route = request(&[other]).route;
            let taken_over = call(&gateway, &moved).await.0.unwrap_or_else(|error| panic!("{first} {other}: {error}"));
            assert_eq!(taken_over.message.text, "Taken over.");
        }
        let broken = [openai.violations(), anthropic.violations(), gemini.violations()].concat();
        assert_eq!(broken, Vec::<String>::new(), "from {first}");
    }
}

#[tokio::test]
async fn images_of_the_user_reach_each_provider() {
    let turns = || vec![Turn::text("A cat.")];
    let (openai, anthropic, gemini) =
        (FakeOpenAi::start(turns()).await, FakeAnthropic::start(turns()).await, FakeGemini::start(turns()).await);
    let gateway = gateway(vec![
        ("o", provider(ProviderKind::OpenAi, &openai.url())),
        ("a", provider(ProviderKind::Anthropic, &anthropic.url())),
        ("g", provider(ProviderKind::Gemini, &gemini.url())),
    ]);
    let image = Part::Image { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
    for name in ["o/m", "a/m", "g/m"] {
        let mut request = request(&[name]);
        request.messages = vec![Arc::new(Message::User { content: vec![Part::text("What is it?"), image.clone()] })];
        request.tools = Arc::new([]);
        request.output_schema = Some(Arc::new(json!({ "type": "object", "properties": {} })));
        call(&gateway, &request).await.0.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!([openai.violations(), anthropic.violations(), gemini.violations()].concat(), Vec::<String>::new());
    let at = |body: &serde_json::Value, pointer: &str| body.pointer(pointer).cloned().unwrap_or_default();
    let body = openai.requests()[0].body.clone();
    assert_eq!(at(&body, "/messages/1/content/1/image_url/url"), json!("data:image/png;base64,aGk="));
    assert_eq!(at(&body, "/response_format/json_schema/strict"), json!(false));
    assert_eq!(at(&anthropic.requests()[0].body, "/messages/0/content/1/source/media_type"), json!("image/png"));
    let body = gemini.requests()[0].body.clone();
    assert_eq!(at(&body, "/contents/0/parts/1/inlineData/mimeType"), json!("image/png"));
    assert_eq!(at(&body, "/generationConfig/responseMimeType"), json!("application/json"));
}
