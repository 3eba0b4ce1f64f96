//! Finds model servers on this machine by asking them for their models.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    config::ProviderConfig,
    http::{Clients, parse_base_url},
};

/// Asks each local provider for its models (`GET {base_url}/models`, which Ollama, LM Studio, vLLM and llama.cpp all
/// answer), all at once. Those that do not answer within `limit` are missing in the result.
///
/// [`local`] does the same and notes what is found in [`ProviderConfig::models`].
pub async fn probe_local(
    providers: &BTreeMap<String, ProviderConfig>,
    limit: Duration,
) -> BTreeMap<String, Vec<String>> {
    let clients = Clients::default();
    let local = providers.iter().filter(|(_, provider)| provider.local);
    let asked = local.map(|(name, provider)| {
        let answer = timeout(limit, models(&clients, name, provider, limit));
        async move { Some((name.clone(), answer.await.ok().flatten()?)) }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// How long a server on this machine may take: it either answers at once or is not there.
const USUAL_LIMIT: Duration = Duration::from_millis(400);

/// Asks each local provider for its models and notes in the providers what was found.
pub async fn local(providers: &mut BTreeMap<String, ProviderConfig>) {
    for (name, models) in probe_local(providers, USUAL_LIMIT).await {
        if let Some(provider) = providers.get_mut(&name) {
            provider.models = Some(models);
        }
    }
}

async fn models(clients: &Clients, name: &str, provider: &ProviderConfig, limit: Duration) -> Option<Vec<String>> {
    let mut url = parse_base_url(name, &provider.base_url).ok()?;
    url.set_path(&format!("{}/models", url.path().trim_end_matches('/')));
    let mut request = clients.client(&url, limit).ok()?.get(url);
    if let Some(key) = &provider.api_key {
        request = request.bearer_auth(key.expose());
    }
    let answer: Value = request.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
    let names = answer.get("data")?.as_array()?.iter().filter_map(|model| model.get("id")?.as_str());
    Some(names.map(str::to_owned).collect())
}
