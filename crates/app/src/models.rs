//! Which models can be asked: providers with their keys, routes, and what to do when there is none.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use masque_gateway::{
    Gateway,
    config::{GatewayConfig, ProviderConfig, ProviderKind, ScriptSource},
    prices::PriceTable,
    probe,
    well_known::well_known_providers,
};
use masque_types::{
    cost::Price,
    model::{FailureKind, Model, ModelRef, Route},
    persona::Persona,
    secret::Secret,
};

use crate::{
    App, Error,
    config::{ProviderSettings, Settings},
    host::Host,
    keys,
};

/// The provider of scripted models.
pub const SCRIPTED: &str = "scripted";

/// A gateway and the route of one run.
pub struct Models {
    /// Who answers.
    pub gateway: Arc<Gateway>,
    /// Whom to ask, in order.
    pub route: Route,
    /// The dearest price on the route.
    pub price: Price,
    /// The smallest context on the route, where it is known.
    pub context_tokens: Option<u64>,
}

/// A provider as `masque doctor` shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// What it can be used for now, or what is missing.
    pub state: String,
    /// Whether it can be used now.
    pub usable: bool,
}

impl App {
    /// The gateway and route for a persona. Precedence: models asked for by argument or environment; else what the
    /// persona prefers, then what the user configured; else a local server that was found.
    ///
    /// # Errors
    /// When no candidate can be used: the error has the ways to go on.
    pub async fn models(&self, persona: &Persona) -> Result<Models, Error> {
        let mut candidates = self.settings.default_models();
        if !self.settings.models_were_asked_for() {
            let preferred = persona.model.prefer.iter().cloned();
            candidates = preferred.chain(candidates).collect();
        }
        self.make_absolute(&mut candidates);
        let gateway = self.gateway(&candidates).await?;
        let usable = candidates.iter().any(|model| gateway.usable(model).is_ok());
        if !usable {
            match self.found_locally(&gateway) {
                Some(found) if !self.settings.models_were_asked_for() => candidates.push(found),
                _ => return Err(no_model(&gateway, &candidates)),
            }
        }
        Ok(self.route(persona, candidates, gateway))
    }

    /// The gateway and route for exactly these models.
    ///
    /// # Errors
    /// When none of them can be used.
    pub(crate) async fn models_named(&self, persona: &Persona, mut models: Vec<ModelRef>) -> Result<Models, Error> {
        self.make_absolute(&mut models);
        let gateway = self.gateway(&models).await?;
        if !models.iter().any(|model| gateway.usable(model).is_ok()) {
            return Err(no_model(&gateway, &models));
        }
        Ok(self.route(persona, models, gateway))
    }

    /// Names scripts by their whole paths: a resumed run must find its script from anywhere.
    pub(crate) fn make_absolute(&self, models: &mut [ModelRef]) {
        for model in models.iter_mut().filter(|model| is_script_file(model)) {
            model.model = self.host.directory.join(&model.model).display().to_string();
        }
    }

    fn route(&self, persona: &Persona, models: Vec<ModelRef>, gateway: Gateway) -> Models {
        let limit = self.settings.count("model.max_output_tokens").unwrap_or(u64::from(u32::MAX));
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let facts: Vec<_> = models.iter().map(|model| gateway.facts(model)).collect();
        let price = facts.iter().filter_map(|facts| facts.price).reduce(Price::dearest).unwrap_or_default();
        let preference = &persona.model;
        let route = Route {
            models,
            fallback_on: preference.fallback_on.clone().unwrap_or_else(FailureKind::default_fallback),
            temperature: preference.temperature,
            max_output_tokens: preference.max_output_tokens.map_or(limit, |own| own.min(limit)),
        };
        let context_tokens = facts.iter().filter_map(|facts| facts.context_tokens).min();
        Models { gateway: Arc::new(gateway), route, price, context_tokens }
    }

    /// A gateway that can serve the given models, and whatever local servers are found.
    ///
    /// # Errors
    /// When the configuration of a provider, the price file or a script is wrong.
    pub async fn gateway(&self, models: &[ModelRef]) -> Result<Gateway, Error> {
        let mut providers = configured(&self.host, &self.settings)?;
        providers.insert(SCRIPTED.to_owned(), scripted(&self.host.directory, models));
        let cloud = |model: &ModelRef| providers.get(&model.provider).is_some_and(|provider| !provider.local);
        let local_wanted = models.is_empty() || !models.iter().all(cloud);
        if local_wanted && self.settings.text("model.probe_local") == "on" {
            probe::local(&mut providers).await;
        }
        let config = GatewayConfig { providers, prices: self.prices()?, ..GatewayConfig::default() };
        Gateway::new(config).map_err(|error| Error::usage(error.to_string()))
    }

    /// Whether there is a provider of that name that takes a key.
    ///
    /// # Errors
    /// When there is none, or it needs no key.
    pub fn check_provider(&self, name: &str) -> Result<(), Error> {
        let providers = configured(&self.host, &self.settings)?;
        let known = || providers.keys().cloned().collect::<Vec<_>>().join(", ");
        match providers.get(name) {
            Some(provider) if provider.local => Err(Error::usage(format!("`{name}` needs no key: it runs here"))),
            Some(_) => Ok(()),
            None => Err(Error::usage(format!("there is no provider `{name}`")).hint(format!("known: {}", known()))),
        }
    }

    fn prices(&self) -> Result<PriceTable, Error> {
        let usage = |error: masque_gateway::Error| Error::usage(error.to_string());
        let built_in = PriceTable::built_in().map_err(usage)?;
        let file = self.settings.text("model.prices");
        if file.is_empty() {
            return Ok(built_in);
        }
        let own = PriceTable::from_file(&self.host.directory.join(file)).map_err(usage)?;
        Ok(built_in.overridden_by(own))
    }

    fn found_locally(&self, gateway: &Gateway) -> Option<ModelRef> {
        gateway.local_models().into_iter().next()
    }

    /// All providers, with what is missing to use them.
    ///
    /// # Errors
    /// As for [`Self::gateway`].
    pub async fn providers(&self) -> Result<Vec<ProviderView>, Error> {
        let gateway = self.gateway(&[]).await?;
        let names = configured(&self.host, &self.settings)?;
        let view = |(name, config): (&String, &ProviderConfig)| {
            let found = gateway.local_models().into_iter().filter(|model| model.provider == *name).count();
            let (usable, state) = match (config.local, &config.key_variable, &config.api_key) {
                (true, ..) if found > 0 => (true, format!("running, {found} models")),
                (true, ..) => (false, format!("not running at {}", config.base_url)),
                (false, Some(variable), Some(_)) if self.host.variable(variable).is_some() => {
                    (true, format!("key from {variable}"))
                }
                (false, _, Some(_)) => (true, "key from the sealed store".to_owned()),
                (false, Some(variable), None) => (false, format!("no key: set {variable}, or masque key set {name}")),
                (false, None, None) => (true, "configured without key".to_owned()),
            };
            ProviderView { name: name.clone(), state, usable }
        };
        Ok(names.iter().map(view).collect())
    }
}

/// The well-known providers with the user's changes and keys.
pub(crate) fn configured(host: &Host, settings: &Settings) -> Result<BTreeMap<String, ProviderConfig>, Error> {
    let mut providers: BTreeMap<String, ProviderConfig> =
        well_known_providers().iter().map(|known| (known.name.to_owned(), known.config())).collect();
    for (name, own) in &settings.providers {
        let known = providers.remove(name);
        providers.insert(name.clone(), merged(name, known, own, host)?);
    }
    let mut sealed = keys::unsealed(host)?;
    for (name, provider) in &mut providers {
        let key = provider.key_variable.as_deref().and_then(|variable| host.variable(variable));
        provider.api_key = key.map(Secret::new).or_else(|| sealed.remove(name));
    }
    Ok(providers)
}

fn merged(
    name: &str,
    known: Option<ProviderConfig>,
    own: &ProviderSettings,
    host: &Host,
) -> Result<ProviderConfig, Error> {
    let wrong = |what: String| Error::usage(format!("[providers.{name}]: {what}"));
    let kind = own.kind.as_deref().map(|kind| {
        ProviderKind::from_name(kind)
            .ok_or_else(|| wrong(format!("there is no kind `{kind}`: openai, anthropic, gemini, scripted")))
    });
    let kind = kind.transpose()?.or(known.as_ref().map(|known| known.kind)).unwrap_or(ProviderKind::OpenAi);
    let mut config = known.unwrap_or_else(|| ProviderConfig::new(kind, ""));
    config.kind = kind;
    if let Some(url) = &own.base_url {
        url.trim_end_matches('/').clone_into(&mut config.base_url);
    }
    if config.base_url.is_empty() && kind != ProviderKind::Scripted {
        return Err(wrong("`base_url` is missing".to_owned()));
    }
    if let Some(variable) = &own.api_key_env {
        config.key_variable = Some(variable.clone());
    }
    if let Some(script) = &own.script {
        config.scripts.insert("script".to_owned(), ScriptSource::File(host.config.join(script)));
    }
    config.headers.extend(own.headers.iter().map(|(header, value)| (header.clone(), Secret::new(value))));
    Ok(config)
}

fn is_script_file(model: &ModelRef) -> bool {
    model.provider == SCRIPTED && model.model != crate::demo::SCRIPT_NAME
}

/// `scripted/demo` is built in; any other name is a file.
fn scripted(directory: &Path, models: &[ModelRef]) -> ProviderConfig {
    let scripts = models.iter().filter(|model| model.provider == SCRIPTED).map(|model| {
        let source = match model.model.as_str() {
            crate::demo::SCRIPT_NAME => ScriptSource::Text(crate::demo::SCRIPT.to_owned()),
            file => ScriptSource::File(directory.join(file)),
        };
        (model.model.clone(), source)
    });
    ProviderConfig::scripted(scripts.collect())
}

fn no_model(gateway: &Gateway, candidates: &[ModelRef]) -> Error {
    let message = if candidates.is_empty() {
        "no model is configured, and no local model server is running".to_owned()
    } else {
        let reasons = candidates
            .iter()
            .filter_map(|model| gateway.usable(model).err().map(|reason| format!("\n  {model}: {reason}")));
        format!("none of the models can be used:{}", reasons.collect::<String>())
    };
    Error::refused(message)
        .hint("use a hosted model: export ANTHROPIC_API_KEY=… or masque key set anthropic, then --model anthropic/claude-sonnet-4-5")
        .hint("use a local model: start Ollama or LM Studio; it is found by itself")
        .hint("see Masque work without a model: masque demo")
}
