//! Routes: fallback by class, receipts, what is shown, what is usable.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use masque_gateway::{
    Gateway, Reason,
    config::{GatewayConfig, ProviderConfig, ProviderKind, ScriptSource, Timeouts},
    probe,
};
use masque_testkit::providers::{FakeAnthropic, FakeOpenAi, Fault, Turn};
use masque_types::{
    cost::{MicroUsd, Price},
    model::{FailureKind, Model as _, ModelDelta, Route},
};

use crate::support::{attempts, call, gateway, gateway_with, model, provider, request, script};

#[tokio::test]
async fn a_route_goes_on_by_class_and_the_receipt_tells_all() {
    let first = FakeOpenAi::start(vec![Turn::fault(Fault::RateLimit(Some(3_600)))]).await;
    let second = FakeAnthropic::start(vec![Turn::fault(Fault::ContextLength)]).await;
    let gateway = gateway(vec![
        ("fake", provider(ProviderKind::OpenAi, &first.url())),
        ("other", provider(ProviderKind::Anthropic, &second.url())),
        ("scripted", script("replies: [{ text: here I am, usage: { input_tokens: 5, output_tokens: 3 } }]")),
    ]);
    let request = request(&["fake/a", "nobody/b", "other/c", "scripted/main"]);
    let (result, shown) = call(&gateway, &request).await;
    let reply = result.unwrap();
    let expected = ["fake/a rate_limit", "nobody/b not_found", "other/c context_too_long", "scripted/main ok"];
    assert_eq!(attempts(&reply.receipt), expected);
    assert_eq!(reply.receipt.served, Some(model("scripted/main")));
    assert_eq!(reply.receipt.micro_usd, Some(MicroUsd(0)));
    let asked = shown.deltas().into_iter().filter(|delta| matches!(delta, ModelDelta::Asking(_))).count();
    let failed = shown.deltas().into_iter().filter(|delta| matches!(delta, ModelDelta::Failed(_))).count();
    assert_eq!((asked, failed, shown.text().as_str()), (4, 3, "here I am"));
}

#[tokio::test]
async fn a_class_that_the_route_does_not_name_ends_it() {
    let scripts = |failure: &str| script(&format!("replies: [{{ failure: {{ kind: {failure} }} }}]"));
    let gateway = gateway(vec![("bad", scripts("bad_request")), ("busy", scripts("unavailable"))]);
    let (result, _) = call(&gateway, &request(&["bad/main", "busy/main"])).await;
    let error = result.unwrap_err();
    assert_eq!(attempts(&error.receipt), ["bad/main bad_request"]);

    let mut strict = request(&["busy/main", "bad/main"]);
    strict.route = Arc::new(Route { fallback_on: vec![FailureKind::RateLimit], ..(*strict.route).clone() });
    let error = call(&gateway, &strict).await.0.unwrap_err();
    assert_eq!(attempts(&error.receipt), ["busy/main unavailable"], "a script is not asked again");
    assert_eq!(error.receipt.served, None);

    let error = call(&gateway, &request(&[])).await.0.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::NotFound);
}

#[tokio::test]
async fn an_answer_that_was_shown_is_never_replaced() {
    let broken = "replies: [{ text: I begin to, failure: { kind: unavailable } }]";
    let gateway = gateway(vec![("broken", script(broken)), ("good", script("replies: [{ text: other }]"))]);
    let (result, shown) = call(&gateway, &request(&["broken/main", "good/main"])).await;
    assert_eq!(attempts(&result.unwrap_err().receipt), ["broken/main unavailable"]);
    assert_eq!(shown.text(), "I begin to");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let gone = ProviderConfig::new(ProviderKind::OpenAi, format!("http://user:pass@{address}/v1"));
    assert!(!format!("{gone:?}").contains("pass@"), "{gone:?}");
    let gateway = gateway(vec![("gone", gone)]);
    let error = call(&gateway, &request(&["gone/m"])).await.0.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unavailable);
    assert_eq!(error.receipt.attempts.len(), 3);
    assert!(!format!("{error:?}").contains("pass@"), "{error}");
}

#[tokio::test]
async fn tls_is_demanded_where_the_url_says_so() {
    let plain = FakeOpenAi::start(Vec::new()).await;
    let url = plain.url().replace("http://", "https://");
    let gateway = gateway(vec![("fake", provider(ProviderKind::OpenAi, &url))]);
    let error = call(&gateway, &request(&["fake/m"])).await.0.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no connection to the provider"), "{error}");
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_is_a_timeout() {
    let slow = Turn::text("a text in pieces ".repeat(40)).slowly(Duration::from_millis(20));
    let fake = FakeOpenAi::start_repeating(slow).await;
    let limits = Timeouts { total: Duration::from_millis(150), ..Timeouts::default() };
    let gateway = gateway_with(vec![("fake", provider(ProviderKind::OpenAi, &fake.url()))], limits);
    let error = call(&gateway, &request(&["fake/m"])).await.0.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Timeout, "{error}");
    fake.left().await;
}

#[tokio::test]
async fn usable_says_what_is_missing() {
    let keyless = ProviderConfig {
        key_variable: Some("SOME_API_KEY".to_owned()),
        ..ProviderConfig::new(ProviderKind::OpenAi, "https://example.com/v1")
    };
    let local = ProviderConfig { local: true, ..ProviderConfig::new(ProviderKind::OpenAi, "http://127.0.0.1:9/v1") };
    let found = ProviderConfig {
        models: Some(vec!["qwen3:latest".to_owned(), "nomic-embed-text".to_owned()]),
        ..local.clone()
    };
    let gateway = gateway(vec![
        ("keyless", keyless),
        ("local", local),
        ("found", found),
        ("scripted", script("replies: [{ text: x }]")),
    ]);
    let reason = |name: &str| gateway.usable(&model(name)).unwrap_err();
    assert_eq!(gateway.usable(&model("found/qwen3")), Ok(()));
    assert_eq!(gateway.usable(&model("scripted/main")), Ok(()));
    assert_eq!(gateway.local_models(), [model("found/qwen3:latest")]);
    assert!(matches!(reason("found/llama"), Reason::UnknownModel { .. }));
    assert!(matches!(reason("local/qwen3"), Reason::NotRunning { .. }));
    assert!(matches!(reason("scripted/other"), Reason::UnknownScript { .. }));
    assert!(matches!(reason("nobody/x"), Reason::UnknownProvider { .. }));
    assert_eq!(reason("keyless/m").to_string(), "`keyless` needs a key: set SOME_API_KEY");
    let error = call(&gateway, &request(&["keyless/m"])).await.0.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Auth, "a provider without its key is not asked");
    assert_eq!(gateway.facts(&model("found/qwen3")).price, Some(Price::default()));
    assert_eq!(gateway.facts(&model("keyless/m")).price, None);
}

#[tokio::test]
async fn probing_finds_the_servers_that_answer() {
    let fake = FakeOpenAi::start(Vec::new()).await;
    let local = |url: &str| ProviderConfig { local: true, ..ProviderConfig::new(ProviderKind::OpenAi, url) };
    let mut providers = BTreeMap::from([
        ("running".to_owned(), local(&fake.url())),
        ("stopped".to_owned(), local("http://127.0.0.1:9/v1")),
        ("hosted".to_owned(), ProviderConfig::new(ProviderKind::OpenAi, fake.url())),
    ]);
    let found = probe::probe_local(&providers, Duration::from_secs(10)).await;
    assert_eq!(found, BTreeMap::from([("running".to_owned(), vec!["fake-model".to_owned()])]));
    probe::local(&mut providers).await;
    assert!(providers["stopped"].models.is_none() && providers["hosted"].models.is_none());
}

#[test]
fn a_wrong_configuration_is_told_without_its_secrets() {
    let error = |provider: ProviderConfig| {
        let providers = BTreeMap::from([("mine".to_owned(), provider)]);
        Gateway::new(GatewayConfig { providers, ..GatewayConfig::default() }).err().unwrap().to_string()
    };
    let url = error(ProviderConfig::new(ProviderKind::OpenAi, "ftp://user:pass@host/"));
    assert!(url.contains("`mine`") && !url.contains("pass@"), "{url}");
    let key = error(provider(ProviderKind::Gemini, "no url"));
    assert!(key.contains("base URL"), "{key}");
    let mut bad_key = provider(ProviderKind::OpenAi, "http://localhost/v1");
    bad_key.api_key = Some(masque_types::secret::Secret::new("line\nbreak"));
    assert!(!error(bad_key).contains("break"));
    let missing = ScriptSource::File("/nonexistent/script.yaml".into());
    let scripted = ProviderConfig::scripted(BTreeMap::from([("x".to_owned(), missing)]));
    assert!(error(scripted).contains("/nonexistent/script.yaml"));
}
