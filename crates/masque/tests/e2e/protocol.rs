//! Real wire formats: runs over each dialect, what providers do wrong, and where the key goes.

use std::time::Duration;

use masque_testkit::providers::{FakeAnthropic, FakeGemini, FakeOpenAi, FakeProvider, Fault, Turn, Wire};
use serde_json::{Value, json};

use crate::support::{Done, KEY, Stage, can_confine, of_kind, result_texts};

/// A project with something to find, and keys that must not be found.
fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.file("project/notes.md", "the answer is forty-two\n");
    for variable in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"] {
        stage.variable(variable, KEY);
    }
    stage.variable("RUST_LOG", "trace");
    stage
}

fn read_notes(turn: Turn) -> Turn {
    turn.and_call("call_1", "fs_read", &json!({ "path": "notes.md" }))
}

/// The key went nowhere but to the provider.
#[track_caller]
fn assert_no_key(stage: &Stage, done: &Done) {
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(KEY), "the key is shown: {done:#?}");
    }
    assert_eq!(stage.files_with(KEY), Vec::<std::path::PathBuf>::new());
}

async fn whole_run<W: Wire>(provider: &str, fake: impl Future<Output = FakeProvider<W>>) {
    if !can_confine() {
        return;
    }
    let (stage, fake) = (stage(), fake.await);
    stage.configure(&format!("[providers.{provider}]\nbase_url = \"{}\"\n", fake.url()));
    let image = stage.file("project/picture.png", "no real picture");
    let model = format!("{provider}/fake-model");
    let image = image.display().to_string();
    let run = ["run", "-p", "What is the answer?", "--image", &image, "--model", &model, "--output", "json"];
    let done = stage.masque(&run).expect(0);
    assert_eq!(fake.violations(), Vec::<String>::new());
    let result = done.json();
    assert_eq!((&result["status"], &result["text"]), (&json!("completed"), &json!("It is forty-two.")));
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].body.to_string().contains("bm8gcmVhbCBwaWN0dXJl"), "the image goes with the task");
    assert!(requests[1].body.to_string().contains("the answer is forty-two"), "the result goes back");
    let events = stage.events("last");
    let receipts: Vec<&Value> = of_kind(&events, "model_call_finished").iter().map(|event| &event["receipt"]).collect();
    assert!(receipts.iter().all(|receipt| receipt["served"] == model.as_str()), "{receipts:#?}");
    assert_eq!(receipts[0]["usage"]["input_tokens"], 1000);
    assert_no_key(&stage, &done);
}

fn turns() -> Vec<Turn> {
    let first = read_notes(Turn::text("I look.")).with_reasoning("Where is it?").with_usage(1000, 20, 100);
    vec![first.in_chunks_of(3), Turn::text("It is forty-two.").with_usage(1100, 10, 1000)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_chat_completions() {
    whole_run("openai", FakeOpenAi::start(turns())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_messages() {
    whole_run("anthropic", FakeAnthropic::start(turns())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_generate_content() {
    whole_run("gemini", FakeGemini::start(turns())).await;
}

/// Runs against these turns; gives what the command said, and the events.
async fn against(turns: Vec<Turn>) -> (Stage, Done, Vec<Value>) {
    let (stage, fake) = (stage(), FakeOpenAi::start(turns).await);
    stage.configure(&format!("[providers.openai]\nbase_url = \"{}\"\n", fake.url()));
    let done = stage.masque(&["run", "-p", "What is the answer?", "-m", "openai/fake", "--output", "json"]);
    assert_eq!(fake.violations(), Vec::<String>::new(), "{done:#?}");
    assert_no_key(&stage, &done);
    let events = stage.events("last");
    (stage, done, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_stands_in_the_receipt() {
    if !can_confine() {
        return;
    }
    let table = [
        (Fault::RateLimit(Some(1)), "rate_limit"),
        (Fault::Status(500), "unavailable"),
        (Fault::Status(503), "unavailable"),
    ];
    for (fault, kind) in table {
        let (_stage, done, events) = against(vec![Turn::fault(fault), Turn::text("done")]).await;
        assert_eq!(done.expect(0).json()["text"], "done");
        let finished = of_kind(&events, "model_call_finished");
        let attempts = finished[0]["receipt"]["attempts"].as_array().unwrap();
        let kinds: Vec<&Value> = attempts.iter().map(|attempt| &attempt["failure"]["kind"]).collect();
        assert_eq!(kinds, [&json!(kind), &Value::Null]);
    }
    let slow = read_notes(Turn::default()).slowly(Duration::from_millis(100));
    let (_stage, done, events) = against(vec![slow, Turn::text("done").slowly(Duration::from_millis(100))]).await;
    done.expect(0);
    assert_eq!(result_texts(&events).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_wrong_fails_the_run_with_its_reason_and_calls_no_tool() {
    if !can_confine() {
        return;
    }
    let table = [
        (Fault::Cut, "protocol"),
        (Fault::EndEarly, "protocol"),
        (Fault::MalformedJson, "protocol"),
        (Fault::WrongContentType, "protocol"),
        (Fault::Status(401), "auth"),
        (Fault::Status(400), "bad_request"),
        (Fault::ContextLength, "context_too_long"),
    ];
    for (fault, kind) in table {
        let (_stage, done, events) = against(vec![read_notes(Turn::default()).with_fault(fault)]).await;
        let done = done.expect(1);
        let error = &done.json()["error"];
        assert_eq!(error["reason"], "model", "{fault:?}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        let failed = of_kind(&events, "model_call_failed");
        assert_eq!(failed[0]["failure"]["kind"], kind, "{fault:?}: {}", failed[0]);
        assert!(!failed[0]["receipt"]["attempts"].as_array().unwrap().is_empty());
        assert!(of_kind(&events, "tool_call_started").is_empty(), "{fault:?}: half a call is no call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_leads_to_the_next_provider_and_both_stand_in_the_receipt() {
    if !can_confine() {
        return;
    }
    let stage = stage();
    let first = FakeOpenAi::start(vec![Turn::fault(Fault::Status(401)), Turn::fault(Fault::Status(401))]).await;
    let second = FakeAnthropic::start(vec![read_notes(Turn::default()), Turn::text("done")]).await;
    stage.configure(&format!("[providers.openai]\nbase_url = \"{}\"\n", first.url()));
    stage.configure(&format!("[providers.anthropic]\nbase_url = \"{}\"\n", second.url()));
    let models = "openai/first,anthropic/second";
    let done = stage.masque(&["run", "-p", "go", "-m", models, "--output", "json"]).expect(0);
    assert_eq!(done.json()["text"], "done");
    assert_eq!((first.violations(), second.violations()), (Vec::new(), Vec::new()));
    for event in of_kind(&stage.events("last"), "model_call_finished") {
        let receipt = &event["receipt"];
        assert_eq!(receipt["served"], "anthropic/second");
        assert_eq!(receipt["attempts"][0]["failure"]["kind"], "auth");
    }
    assert_no_key(&stage, &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_repeats_the_key_in_its_error_does_not_get_it_shown() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = stage();
    let address = listener.local_addr().unwrap();
    stage.configure(&format!("[providers.openai]\nbase_url = \"http://{address}/v1\"\n"));
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = format!("{{\"error\": {{\"message\": \"Incorrect API key provided: {KEY}.\"}}}}");
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let done = stage.masque(&["run", "-p", "go", "-m", "openai/fake", "--output", "stream-json"]).expect(1);
    assert!(done.stdout.contains("Incorrect API key provided"), "{done:#?}");
    assert_no_key(&stage, &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_background_run_holds_no_key() {
    if !can_confine() {
        return;
    }
    let turns = vec![Turn::fault(Fault::Status(500)), read_notes(Turn::default()), Turn::text("done")];
    let (stage, fake) = (stage(), FakeOpenAi::start(turns).await);
    stage.configure(&format!("[providers.openai]\nbase_url = \"{}\"\n", fake.url()));
    let detached = stage.masque(&["run", "-p", "go", "-m", "openai/fake", "--detach"]).expect(0);
    let run = detached.stdout.trim().to_owned();
    let watched = stage.masque(&["runs", "watch", &run]).expect(0);
    assert!(stage.home().join(format!("logs/{run}.log")).exists());
    assert_eq!(of_kind(&stage.events(&run), "run_completed").len(), 1);
    assert_no_key(&stage, &detached);
    assert_no_key(&stage, &watched);
}
