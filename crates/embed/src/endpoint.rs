//! Embeddings of a server that speaks OpenAI's protocol, `POST {base}/embeddings`: OpenAI, Ollama, LM Studio, vLLM.
//!
//! Owns batches, retries and the check of what comes back. Leaves out where keys come from.

mod answer;
mod prefix;

use std::{collections::BTreeMap, time::Duration};

use masque_types::{
    BoxFuture,
    memory::{EmbedPurpose, Embedder, EmbeddingModel},
    secret::Secret,
};
use rand::Rng as _;
use reqwest::{
    Client, Response, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::{
    endpoint::{answer::vectors, prefix::Prefixes},
    error::Error,
};

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;
/// A text is cut here at once, in letters: no embedding model takes more.
const LONGEST_TEXT: usize = 32_000;
/// A text that a server refuses is cut in half as long as it is longer than this, in letters.
const SHORTEST_CUT: usize = 1000;

/// A server and one of its models.
#[derive(Clone)]
pub struct EndpointSpec {
    /// The connections to use. It must not follow redirects, which would carry the key elsewhere.
    pub client: Client,
    /// How the server is called in vectors and messages: `ollama`.
    pub name: String,
    /// Where the protocol begins: `http://localhost:11434/v1`.
    pub base_url: Url,
    /// The model: `nomic-embed-text`.
    pub model: String,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// Further headers.
    pub headers: BTreeMap<String, Secret>,
    /// Texts per request.
    pub batch: usize,
    /// How long one request may take.
    pub limit: Duration,
    /// Tries of one request, the first one included.
    pub tries: u32,
    /// The longest wait before the second try, doubled for each further one; the wait is random up to this.
    pub pause: Duration,
}

impl EndpointSpec {
    /// A server without key and with the usual limits.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>, base_url: Url, model: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
            base_url,
            model: model.into(),
            api_key: None,
            headers: BTreeMap::new(),
            batch: 64,
            limit: Duration::from_secs(120),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }

    fn server(&self) -> String {
        format!("the embeddings of {}/{} at {}", self.name, self.model, self.base_url.host_str().unwrap_or("?"))
    }
}

/// A server that was asked once, so that the dimension of its vectors is known.
pub struct Endpoint {
    spec: EndpointSpec,
    address: Url,
    headers: HeaderMap,
    prefixes: Prefixes,
    model: EmbeddingModel,
}

impl Endpoint {
    /// Asks the server for a first vector.
    ///
    /// # Errors
    /// When the server cannot be reached or does not answer with vectors; the message says why.
    pub async fn connect(spec: EndpointSpec) -> Result<Self, Error> {
        let mut endpoint = Self::of_known_dimension(spec, 0)?;
        let first = endpoint.request(&["dimension".to_owned()]).await.map_err(|problem| endpoint.error(problem))?;
        endpoint.model.dimension = first.first().map_or(0, Vec::len);
        Ok(endpoint)
    }

    /// Takes the dimension as given by an earlier connection; a server that answers otherwise is an error later.
    ///
    /// # Errors
    /// When a header cannot be sent.
    pub fn of_known_dimension(spec: EndpointSpec, dimension: usize) -> Result<Self, Error> {
        let mut address = spec.base_url.clone();
        address.set_path(&format!("{}/embeddings", spec.base_url.path().trim_end_matches('/')));
        let model = EmbeddingModel { name: format!("{}/{}", spec.name, spec.model), dimension };
        let (headers, prefixes) = (headers(&spec)?, Prefixes::of(&spec.model));
        Ok(Self { spec, address, headers, prefixes, model })
    }

    fn error(&self, problem: Refusal) -> Error {
        // A server may repeat the key that it was sent.
        let secrets = self.spec.api_key.iter().chain(self.spec.headers.values());
        let problem = secrets.fold(problem.message, |text, secret| text.replace(secret.expose(), "…"));
        Error::Server { server: self.spec.server(), problem }
    }

    /// Embeds texts, whose number need not fit into one request. What the server refuses as a whole is asked in halves, and
    /// a single text that it refuses is cut: servers differ in what they take and do not say it.
    async fn embed_all(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Refusal> {
        let mut open: Vec<Vec<String>> = texts.chunks(self.spec.batch.max(1)).rev().map(<[String]>::to_vec).collect();
        let mut found = Vec::with_capacity(texts.len());
        while let Some(mut part) = open.pop() {
            match self.request(&part).await {
                Ok(vectors) => found.extend(vectors),
                Err(refusal) if refusal.of_content && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    open.push(rest);
                    open.push(part);
                }
                Err(refusal) if refusal.of_content => match part.pop().and_then(half) {
                    Some(shorter) => open.push(vec![shorter]),
                    None => return Err(refusal),
                },
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(found)
    }

    async fn request(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Refusal> {
        let mut tries = 1;
        loop {
            let tried = timeout(self.spec.limit, self.try_once(texts)).await;
            let refusal = match tried {
                Ok(Ok(vectors)) => return Ok(vectors),
                Ok(Err(refusal)) => refusal,
                Err(_) => Refusal::passing(format!("no answer within {} s", self.spec.limit.as_secs_f64())),
            };
            if !refusal.may_pass || tries >= self.spec.tries {
                return Err(refusal);
            }
            let random = self.spec.pause.saturating_mul(2_u32.saturating_pow(tries - 1)).mul_f64(rand::rng().random());
            tokio::time::sleep(refusal.wait.unwrap_or(random).min(LONGEST_WAIT)).await;
            tries += 1;
        }
    }

    async fn try_once(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Refusal> {
        let body = json!({ "model": self.spec.model, "input": texts, "encoding_format": "float" });
        let request = self.spec.client.post(self.address.clone()).headers(self.headers.clone()).json(&body);
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        let wait = retry_after(&response);
        let bytes = read(response).await?;
        if !status.is_success() {
            return Err(Refusal { wait, ..of_status(status, &bytes) });
        }
        vectors(&bytes, texts.len(), self.model.dimension).map_err(Refusal::lasting)
    }
}

impl Embedder for Endpoint {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(async move {
            let prefix = self.prefixes.for_purpose(purpose);
            let whole = |text: &String| prefix.chars().chain(text.chars()).take(LONGEST_TEXT).collect();
            let embedded = self.embed_all(texts.iter().map(whole).collect()).await;
            embedded.map_err(|refusal| self.error(refusal).to_string())
        })
    }
}

/// Why a request gave no vectors.
struct Refusal {
    message: String,
    /// Whether the same request may succeed later.
    may_pass: bool,
    /// Whether it may lie in the texts.
    of_content: bool,
    /// When the server wants to be asked again.
    wait: Option<Duration>,
}

impl Refusal {
    fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_pass: true, of_content: false, wait: None }
    }

    fn lasting(message: impl Into<String>) -> Self {
        Self { may_pass: false, ..Self::passing(message) }
    }
}

fn headers(spec: &EndpointSpec) -> Result<HeaderMap, Error> {
    let bearer = spec.api_key.as_ref().map(|key| ("authorization", format!("Bearer {}", key.expose())));
    let further = spec.headers.iter().map(|(name, value)| (name.as_str(), value.expose().to_owned()));
    let mut headers = HeaderMap::new();
    for (name, value) in further.chain(bearer) {
        let pair = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        let Some((header, mut value)) = pair else {
            let problem = format!("the header `{name}` cannot be sent: it has letters that headers must not have");
            return Err(Error::Server { server: spec.server(), problem });
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

fn half(text: String) -> Option<String> {
    let letters = text.chars().count();
    (letters > SHORTEST_CUT).then(|| text.chars().take(letters / 2).collect())
}

fn transport(error: reqwest::Error) -> Refusal {
    let hint = if error.is_connect() { "cannot connect: is the server running?" } else { "the connection failed" };
    Refusal::passing(format!("{hint} ({})", error.without_url()))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_ANSWER {
            return Err(Refusal::lasting(format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20)));
        }
    }
    Ok(bytes)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn of_status(status: StatusCode, body: &[u8]) -> Refusal {
    let said: String = String::from_utf8_lossy(body).chars().filter(|letter| !letter.is_control()).take(300).collect();
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; check the key",
        StatusCode::NOT_FOUND => "; check the address and the name of the model",
        _ => "",
    };
    let message = format!("answered {status}{hint}: {said}");
    let may_pass = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT);
    let of_content =
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY);
    Refusal { may_pass, of_content, ..Refusal::lasting(message) }
}
