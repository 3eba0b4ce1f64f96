//! What the gateway adds to a model call, beside a direct HTTP client that asks the same server.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use masque_gateway::{
    Gateway,
    config::{GatewayConfig, ProviderConfig, ProviderKind},
};
use masque_testkit::providers::{FakeOpenAi, Turn};
use masque_types::{
    id::RunId,
    message::Message,
    model::{Model as _, ModelRef, ModelRequest, Route},
    secret::Secret,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    figures::{Row, Section, Unit},
    job,
    statistics::{median_ms, quantile_ms},
};

const CALLS: usize = 2_000;
const WARM_UP: usize = 100;
const ANSWER: &str = "The bridge has three arches, and each of them carries a road.";
const QUESTION: &str = "How many arches does the bridge have?";

/// Measures calls through the gateway and direct ones, in turn.
pub(crate) fn measure() -> anyhow::Result<Section> {
    let (through, direct) = job::runtime()?.block_on(calls())?;
    let (ours, theirs) = (median_ms(&through), median_ms(&direct));
    let tail = quantile_ms(&through, 0.99) - quantile_ms(&direct, 0.99);
    Ok(Section {
        title: "Model calls",
        command: "make bench ARGS=gateway",
        about: format!(
            "{CALLS} streamed calls of OpenAI's chat completions to a server in the same process, in turn through the \
             gateway (request, route, stream, receipt) and by a bare HTTP client with the same library that reads the \
             answer's bytes and nothing more."
        ),
        rows: vec![
            Row::new("a call, median", Unit::Milliseconds, ours).beside("direct", Ok(theirs)),
            Row::new("added by the gateway, median", Unit::Milliseconds, ours - theirs).at_most(0.3),
            Row::new("added by the gateway, 99th percentile", Unit::Milliseconds, tail),
        ],
    })
}

async fn calls() -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let server = FakeOpenAi::start_repeating(Turn::text(ANSWER)).await;
    let (gateway, request) = (gateway(&server.url())?, request());
    let direct = Direct::new(&server.url())?;
    let (mut through, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..CALLS + WARM_UP {
        let begun = Instant::now();
        let reply = gateway.call(&request, &|_| {}).await?;
        through.push(begun.elapsed());
        anyhow::ensure!(reply.message.text == ANSWER, "the gateway read another answer: {}", reply.message.text);
        let begun = Instant::now();
        direct.call().await?;
        plain.push(begun.elapsed());
    }
    anyhow::ensure!(server.violations().is_empty(), "the server found faults: {:?}", server.violations());
    through.drain(..WARM_UP);
    plain.drain(..WARM_UP);
    Ok((through, plain))
}

fn gateway(url: &str) -> anyhow::Result<Gateway> {
    let provider =
        ProviderConfig { api_key: Some(Secret::new("key")), ..ProviderConfig::new(ProviderKind::OpenAi, url) };
    let providers = BTreeMap::from([("fake".to_owned(), provider)]);
    Ok(Gateway::new(GatewayConfig { providers, ..GatewayConfig::default() })?)
}

fn request() -> ModelRequest {
    let model = ModelRef { provider: "fake".to_owned(), model: "fake-model".to_owned() };
    let route = Route { models: vec![model], fallback_on: Vec::new(), temperature: None, max_output_tokens: 100 };
    ModelRequest {
        run: RunId::from_uuid(Uuid::now_v7()),
        step: 1,
        route: Arc::new(route),
        system: Arc::from("You answer."),
        messages: vec![Arc::new(Message::user(QUESTION))],
        tools: Arc::from([]),
        output_schema: None,
    }
}

/// The bare client.
struct Direct {
    client: reqwest::Client,
    url: String,
    body: Value,
}

impl Direct {
    fn new(url: &str) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).tcp_nodelay(true).no_proxy().build()?;
        let body = json!({
            "model": "fake-model", "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 100,
            "messages": [
                { "role": "system", "content": "You answer." },
                { "role": "user", "content": QUESTION },
            ],
        });
        Ok(Self { client, url: format!("{url}/chat/completions"), body })
    }

    async fn call(&self) -> anyhow::Result<()> {
        let response = self.client.post(&self.url).bearer_auth("key").json(&self.body).send().await?;
        let bytes = response.error_for_status()?.bytes().await?;
        anyhow::ensure!(!bytes.is_empty(), "the server answered nothing");
        Ok(())
    }
}
