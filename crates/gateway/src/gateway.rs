//! The gateway: providers by name, and the `Model` that the engine calls.

use std::{collections::BTreeMap, sync::Arc};

use masque_types::{
    BoxFuture,
    cost::Price,
    model::{Failure, FailureKind, Model, ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply, ModelRequest},
};

use crate::{
    anthropic::Anthropic,
    config::{GatewayConfig, ProviderConfig, ProviderKind, Retry, ScriptSource},
    error::Error,
    failure::failure,
    gemini::Gemini,
    http::{Clients, HttpUpstream},
    openai::OpenAi,
    prices::PriceTable,
    route::{Candidate, RouteCall},
    scripted::ScriptedModel,
    upstream::Upstream,
};

/// All configured providers behind one door.
pub struct Gateway {
    providers: BTreeMap<String, Provider>,
    prices: PriceTable,
    retry: Retry,
}

struct Provider {
    config: ProviderConfig,
    served: Served,
}

enum Served {
    /// Any model name is passed on.
    Remote(Box<dyn Upstream>),
    /// Models are scripts, by name.
    Scripts(BTreeMap<String, ScriptedModel>),
}

/// Why a model cannot be asked. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No provider has the name.
    #[error("there is no provider `{provider}`; known are {}", known.join(", "))]
    UnknownProvider {
        /// The name that was asked for.
        provider: String,
        /// The configured ones.
        known: Vec<String>,
    },
    /// The provider needs a key.
    #[error("`{provider}` needs a key: set {variable}")]
    KeyMissing {
        /// The provider.
        provider: String,
        /// The environment variable that the key is read from.
        variable: String,
    },
    /// A local server that no probe found.
    #[error("`{provider}` does not answer at {base_url}: start it")]
    NotRunning {
        /// The provider.
        provider: String,
        /// Where it was looked for; holds no credentials.
        base_url: String,
    },
    /// A local server that does not have the model.
    #[error("`{provider}` does not have the model `{model}`; it has {}", known.join(", "))]
    UnknownModel {
        /// The provider.
        provider: String,
        /// The model that was asked for.
        model: String,
        /// What it has.
        known: Vec<String>,
    },
    /// No script has the name.
    #[error("there is no script `{script}`; known are {}", known.join(", "))]
    UnknownScript {
        /// The name that was asked for.
        script: String,
        /// The configured ones.
        known: Vec<String>,
    },
}

impl Gateway {
    /// Builds the gateway: reads scripts and checks addresses; opens no connection.
    ///
    /// # Errors
    /// When a base URL or header cannot be used, or a script cannot be read.
    pub fn new(config: GatewayConfig) -> Result<Self, Error> {
        let clients = Arc::new(Clients::default());
        let mut providers = BTreeMap::new();
        for (name, provider) in config.providers {
            let timeouts = config.timeouts;
            let served = match provider.kind {
                ProviderKind::Scripted => Served::Scripts(scripts(&provider)?),
                ProviderKind::OpenAi => {
                    let dialect = OpenAi { habits: provider.habits };
                    Served::Remote(Box::new(HttpUpstream::new(dialect, &name, &provider, timeouts, clients.clone())?))
                }
                ProviderKind::Anthropic => {
                    Served::Remote(Box::new(HttpUpstream::new(Anthropic, &name, &provider, timeouts, clients.clone())?))
                }
                ProviderKind::Gemini => {
                    Served::Remote(Box::new(HttpUpstream::new(Gemini, &name, &provider, timeouts, clients.clone())?))
                }
            };
            providers.insert(name, Provider { config: provider, served });
        }
        Ok(Self { providers, prices: config.prices, retry: config.retry })
    }

    /// Whether a model can be asked, as far as is known without asking it.
    ///
    /// # Errors
    /// The reason why not, which says what to do.
    pub fn usable(&self, model: &ModelRef) -> Result<(), Reason> {
        let provider = self.provider(model)?;
        let config = &provider.config;
        if let Served::Scripts(scripts) = &provider.served {
            return script(scripts, model).map(|_| ());
        }
        if let (None, Some(variable)) = (&config.api_key, &config.key_variable) {
            return Err(Reason::KeyMissing { provider: model.provider.clone(), variable: variable.clone() });
        }
        match &config.models {
            None if config.local => Err(Reason::NotRunning {
                provider: model.provider.clone(),
                base_url: without_credentials(&config.base_url),
            }),
            Some(known) if !known.iter().any(|name| is_same_model(name, &model.model)) => Err(Reason::UnknownModel {
                provider: model.provider.clone(),
                model: model.model.clone(),
                known: known.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The models of the local servers that a probe found, without those that only make embeddings.
    #[must_use]
    pub fn local_models(&self) -> Vec<ModelRef> {
        let of = |(name, provider): (&String, &Provider)| {
            let models = provider.config.models.clone().filter(|_| provider.config.local).unwrap_or_default();
            let chats = models.into_iter().filter(|model| !model.contains("embed"));
            chats.map(|model| ModelRef { provider: name.clone(), model }).collect::<Vec<_>>()
        };
        self.providers.iter().flat_map(of).collect()
    }

    fn provider(&self, model: &ModelRef) -> Result<&Provider, Reason> {
        self.providers.get(&model.provider).ok_or_else(|| Reason::UnknownProvider {
            provider: model.provider.clone(),
            known: self.providers.keys().cloned().collect(),
        })
    }

    /// Who serves a model. A local server is asked even when no probe found it: it may have been started since.
    fn find(&self, model: &ModelRef) -> Result<Candidate<'_>, Failure> {
        let provider = self.provider(model).map_err(|reason| reason_failure(&reason))?;
        let upstream = match &provider.served {
            Served::Remote(upstream) => {
                if let Err(reason @ Reason::KeyMissing { .. }) = self.usable(model) {
                    return Err(reason_failure(&reason));
                }
                &**upstream
            }
            Served::Scripts(scripts) => script(scripts, model).map_err(|reason| reason_failure(&reason))?,
        };
        Ok(Candidate { upstream, is_free: provider.is_free() })
    }
}

impl Provider {
    fn is_free(&self) -> bool {
        self.config.local || self.config.kind == ProviderKind::Scripted
    }
}

impl Model for Gateway {
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        Box::pin(async move {
            let find = |model: &ModelRef| self.find(model);
            RouteCall::new(request, &self.prices, self.retry, show).run(&find).await
        })
    }

    fn facts(&self, model: &ModelRef) -> ModelFacts {
        let mut facts = self.prices.facts(model);
        if self.providers.get(&model.provider).is_some_and(Provider::is_free) {
            facts.price = Some(Price::default());
        }
        facts
    }
}

fn scripts(provider: &ProviderConfig) -> Result<BTreeMap<String, ScriptedModel>, Error> {
    let read = |(name, source): (&String, &ScriptSource)| {
        let model = match source {
            ScriptSource::Text(text) => ScriptedModel::from_yaml(text, name)?,
            ScriptSource::File(path) => ScriptedModel::from_file(path)?,
        };
        Ok((name.clone(), model))
    };
    provider.scripts.iter().map(read).collect()
}

fn script<'a>(scripts: &'a BTreeMap<String, ScriptedModel>, model: &ModelRef) -> Result<&'a ScriptedModel, Reason> {
    scripts
        .get(&model.model)
        .ok_or_else(|| Reason::UnknownScript { script: model.model.clone(), known: scripts.keys().cloned().collect() })
}

/// Ollama lists `qwen3:latest` and serves it as `qwen3` too.
fn is_same_model(listed: &str, asked: &str) -> bool {
    listed == asked || listed.strip_suffix(":latest") == Some(asked)
}

fn without_credentials(base_url: &str) -> String {
    let Ok(mut url) = url::Url::parse(base_url) else { return String::new() };
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return String::new();
    }
    url.to_string()
}

fn reason_failure(reason: &Reason) -> Failure {
    let kind = match reason {
        Reason::KeyMissing { .. } => FailureKind::Auth,
        Reason::NotRunning { .. } => FailureKind::Unavailable,
        Reason::UnknownProvider { .. } | Reason::UnknownModel { .. } | Reason::UnknownScript { .. } => {
            FailureKind::NotFound
        }
    };
    failure(kind, reason.to_string())
}
