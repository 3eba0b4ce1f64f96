//! Requests, gateways and watchers that the tests share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use masque_gateway::{
    Gateway,
    config::{GatewayConfig, ProviderConfig, ProviderKind, Retry, ScriptSource, Timeouts},
    prices::PriceTable,
};
use masque_types::{
    id::RunId,
    message::Message,
    model::{FailureKind, Model as _, ModelDelta, ModelError, ModelRef, ModelReply, ModelRequest, Route},
    secret::Secret,
    tool::{EffectClass, Place, ToolSpec},
};
use serde_json::json;

/// The key that no message may repeat.
pub(crate) const KEY: &str = "sk-test-key-that-stays-secret";

pub(crate) fn model(text: &str) -> ModelRef {
    text.parse().unwrap()
}

pub(crate) fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("Does {name}."),
        input_schema: json!({ "type": "object", "properties": { "path": { "type": "string" } } }),
        output_schema: None,
        effect: EffectClass::Pure,
        place: Place::Sandbox,
        depends_on: Vec::new(),
    }
}

pub(crate) fn request(models: &[&str]) -> ModelRequest {
    ModelRequest {
        run: RunId::from_uuid(uuid::Uuid::from_u128(7)),
        step: 1,
        route: Arc::new(Route {
            models: models.iter().map(|text| model(text)).collect(),
            fallback_on: FailureKind::default_fallback(),
            temperature: Some(0.5),
            max_output_tokens: 1_000,
        }),
        system: "You read files.".into(),
        messages: vec![Arc::new(Message::user("Read them."))],
        tools: Arc::new([tool("fs.read"), tool("mcp:hdf5/list"), tool("fs_read")]),
        output_schema: None,
    }
}

pub(crate) fn provider(kind: ProviderKind, url: &str) -> ProviderConfig {
    ProviderConfig {
        api_key: Some(Secret::new(KEY)),
        key_variable: Some("FAKE_API_KEY".to_owned()),
        ..ProviderConfig::new(kind, url)
    }
}

pub(crate) fn script(yaml: &str) -> ProviderConfig {
    ProviderConfig::scripted(BTreeMap::from([("main".to_owned(), ScriptSource::Text(yaml.to_owned()))]))
}

/// Retries without noticeable waits.
pub(crate) const QUICK: Retry = Retry {
    tries: 3,
    base: Duration::from_millis(2),
    cap: Duration::from_millis(4),
    retry_after_cap: Duration::from_millis(50),
};

pub(crate) fn gateway(providers: Vec<(&str, ProviderConfig)>) -> Gateway {
    gateway_with(providers, Timeouts::default())
}

pub(crate) fn gateway_with(providers: Vec<(&str, ProviderConfig)>, timeouts: Timeouts) -> Gateway {
    let prices = "models:\n  - { model: 'fake/*', input: 1000000, output: 10000000, cache_read: 100000 }\n";
    Gateway::new(GatewayConfig {
        providers: providers.into_iter().map(|(name, provider)| (name.to_owned(), provider)).collect(),
        prices: PriceTable::from_yaml(prices, "test prices").unwrap(),
        timeouts,
        retry: QUICK,
    })
    .unwrap()
}

/// What was shown during a call.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Vec<ModelDelta>>);

impl Shown {
    pub(crate) fn deltas(&self) -> Vec<ModelDelta> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        let text = |delta| if let ModelDelta::Text(text) = delta { text } else { String::new() };
        self.deltas().into_iter().map(text).collect()
    }

    pub(crate) fn reasoning(&self) -> String {
        let text = |delta| if let ModelDelta::Reasoning(text) = delta { text } else { String::new() };
        self.deltas().into_iter().map(text).collect()
    }
}

pub(crate) async fn call(gateway: &Gateway, request: &ModelRequest) -> (Result<ModelReply, Box<ModelError>>, Shown) {
    let shown = Shown::default();
    let show = |delta| shown.0.lock().unwrap().push(delta);
    let result = gateway.call(request, &show).await;
    (result, shown)
}

/// The tries of a receipt, one word each: what failed, or `ok`.
pub(crate) fn attempts(receipt: &masque_types::model::Receipt) -> Vec<String> {
    let word = |attempt: &masque_types::model::Attempt| {
        let outcome = attempt.failure.as_ref().map_or("ok", |failure| failure.kind.name());
        format!("{} {outcome}", attempt.model)
    };
    receipt.attempts.iter().map(word).collect()
}
