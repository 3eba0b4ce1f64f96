//! Files from the model hub by HTTPS: resumed where an earlier fetch was cut off, and tried again as long as bytes come.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_RANGE, LOCATION, RANGE},
};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use url::Url;

use crate::{
    error::Error,
    fetch::{Progress, Watch, staging::Staging},
    files::{ModelFile, ModelFiles},
};

/// The model hub.
pub const HUB: &str = "https://huggingface.co";
/// Hops to where a file really lies.
const REDIRECTS: usize = 5;
/// How long a server may send nothing.
const IDLE: Duration = Duration::from_secs(60);
/// Tries without a new byte before it is given up.
const TRIES: u32 = 4;

/// Fetches a model from the hub into the directory of all models. Gives the model's directory.
///
/// # Errors
/// When the hub cannot be reached, a file is not as published, or another fetch is under way. What came so far is kept
/// for the next fetch.
pub async fn from_hub(
    client: &Client,
    hub: &Url,
    model: &'static ModelFiles,
    models: &Path,
    watch: Watch<'_>,
) -> Result<PathBuf, Error> {
    let place = hub.host_str().unwrap_or_default().to_owned();
    let staging = Staging::open(model, models)?;
    for file in model.files {
        if staging.has(file) {
            continue;
        }
        let address = address(hub, model, file)?;
        let mut tries = 0;
        while let Err(problem) = download(client, &address, &staging, file, &mut *watch).await {
            tries = if problem.came_further { 1 } else { tries + 1 };
            if tries >= TRIES || !problem.may_pass {
                return Err(Error::Server { server: place, problem: problem.message });
            }
            tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(tries)).await;
        }
        staging.accept(file, &place)?;
    }
    staging.publish()
}

fn address(hub: &Url, model: &ModelFiles, file: &ModelFile) -> Result<Url, Error> {
    let path = format!("{}/{}/resolve/main/{}", hub.path().trim_end_matches('/'), model.repository, file.name);
    let wrong = |error: url::ParseError| Error::Server { server: hub.to_string(), problem: error.to_string() };
    hub.join(&path).map_err(wrong)
}

/// Why a try ended before the file did.
struct Problem {
    message: String,
    /// Whether another try may help.
    may_pass: bool,
    /// Whether bytes came.
    came_further: bool,
}

fn problem(message: impl Into<String>, may_pass: bool) -> Problem {
    Problem { message: message.into(), may_pass, came_further: false }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        problem(error.to_string(), false)
    }
}

impl From<reqwest::Error> for Problem {
    fn from(error: reqwest::Error) -> Self {
        // Addresses of downloads carry signatures: they stay out of messages.
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        problem(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")), true)
    }
}

async fn download(
    client: &Client,
    address: &Url,
    staging: &Staging,
    file: &ModelFile,
    watch: Watch<'_>,
) -> Result<(), Problem> {
    let path = staging.part(file);
    let present = fs_err::metadata(&path).map_or(0, |metadata| metadata.len());
    if present == file.size {
        return Ok(());
    }
    let present = if present > file.size { 0 } else { present };
    let mut response = ask(client, address.clone(), present).await?;
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT && starts_at(&response, present);
    let mut bytes = if goes_on { present } else { 0 };
    let mut options = fs_err::tokio::OpenOptions::new();
    let mut part = options.create(true).write(true).append(goes_on).truncate(!goes_on).open(path).await?;
    let before = bytes;
    let ended = loop {
        match timeout(IDLE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                bytes += chunk.len() as u64;
                if bytes > file.size {
                    break Err(problem(
                        format!("`{}` is longer than the published {} bytes", file.name, file.size),
                        false,
                    ));
                }
                part.write_all(&chunk).await?;
                watch(Progress { file: file.name, bytes, of: file.size });
            }
            Ok(Ok(None)) if bytes == file.size => break Ok(()),
            Ok(Ok(None)) => break Err(problem(format!("`{}` ended after {bytes} bytes", file.name), true)),
            Ok(Err(error)) => break Err(Problem::from(error)),
            Err(_) => {
                break Err(problem(format!("nothing more of `{}` came within {} s", file.name, IDLE.as_secs()), true));
            }
        }
    };
    part.flush().await?;
    ended.map_err(|problem| Problem { came_further: bytes > before, ..problem })
}

/// Asks for a file from a byte on, and follows where the hub points to: never to a connection that is not encrypted.
async fn ask(client: &Client, address: Url, from: u64) -> Result<Response, Problem> {
    let mut next = address.clone();
    for _ in 0..=REDIRECTS {
        let mut request = client.get(next.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = timeout(IDLE, request.send())
            .await
            .map_err(|_| problem(format!("no answer within {} s", IDLE.as_secs()), true))??;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if !status.is_redirection() {
            let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(problem(format!("answered {status} for {}", address.path()), may_pass));
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = next.join(location).map_err(|error| problem(format!("a wrong redirect: {error}"), false))?;
        if target.scheme() != "https" && target.scheme() != address.scheme() {
            return Err(problem("points to an address without encryption", false));
        }
        next = target;
    }
    Err(problem(format!("points elsewhere more than {REDIRECTS} times"), false))
}

fn starts_at(response: &Response, byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}
