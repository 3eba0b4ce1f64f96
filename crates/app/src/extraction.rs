//! Use case: the text of a document. Parsers of formats that strangers attack run in a sandboxed process of their own,
//! which sees no file, no network and no secret, and has little memory and time.
//!
//! Leaves out the parsers, and what is done with the text.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_extract::{Extracted, Limits, recognise};
use masque_memory::sync::Extract;
use masque_sandbox::{Command, Exit, Launcher, Profile, masque_path_inside};
use masque_types::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
};

use crate::{App, Error};

/// Memory of the process that parses a document of 64 MiB, in bytes.
const MEMORY: u64 = 1 << 30;
/// How long parsing may take.
const TIME: Duration = Duration::from_secs(60);
/// Processes that parse at the same time.
const AT_ONCE: usize = 2;
/// Bytes of complaints that are kept.
const COMPLAINTS: u64 = 4 << 10;

/// What the parsing process is told.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    limits: Limits,
}

/// What it answers: the text, or why there is none.
type Answer = Result<Extracted, String>;

/// Extracts documents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Extractor {
    launcher: Launcher,
    executable: PathBuf,
    /// An empty directory, which is all that the parsing process sees of this machine's files.
    empty: PathBuf,
    limits: Limits,
    slots: Arc<Semaphore>,
}

impl App {
    /// What extracts documents.
    #[must_use]
    pub fn extractor(&self) -> Extractor {
        Extractor {
            launcher: self.launcher.clone(),
            executable: self.host.executable.clone(),
            empty: self.host.home.join("empty"),
            limits: Limits::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The text of a document in a file.
    ///
    /// # Errors
    /// When the file cannot be read, is no document, or holds more than is accepted; the message names the file.
    pub async fn extract_file(&self, path: &Path) -> Result<Extracted, Error> {
        self.extractor().file(path).await
    }
}

impl Extractor {
    /// The text of a document in a file.
    ///
    /// # Errors
    /// As for [`App::extract_file`].
    pub async fn file(&self, path: &Path) -> Result<Extracted, Error> {
        let (owned, limits) = (path.to_owned(), self.limits.clone());
        let read = tokio::task::spawn_blocking(move || read(&owned, &limits)).await;
        let bytes = read.map_err(|error| Error::environment(error.to_string()))??;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.bytes(&name, bytes).await.map_err(|reason| Error::usage(format!("{}: {reason}", path.display())))
    }

    /// The text of a document.
    async fn bytes(&self, name: &str, bytes: Vec<u8>) -> Answer {
        let is_hostile = recognise(name, &bytes).map_err(|error| error.to_string())?.is_hostile();
        if is_hostile {
            return self.apart(name, bytes).await;
        }
        let (name, limits) = (name.to_owned(), self.limits.clone());
        let extracting = move || masque_extract::extract(&name, &bytes, &limits).map_err(|error| error.to_string());
        tokio::task::spawn_blocking(extracting).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Extracts in a process of its own.
    async fn apart(&self, name: &str, bytes: Vec<u8>) -> Answer {
        let _slot = self.slots.acquire().await.map_err(|error| error.to_string())?;
        let job = Job { name: name.to_owned(), limits: self.limits.clone() };
        let job = serde_json::to_string(&job).map_err(|error| error.to_string())?;
        let command = Command::new(masque_path_inside()).args(["extract", "--inside", &job]);
        let confined = |error: &dyn std::fmt::Display| {
            format!("a document of this kind is read in a sandbox only, and that cannot be started: {error}")
        };
        fs_err::create_dir_all(&self.empty).map_err(|error| confined(&error))?;
        let mut child = self.launcher.spawn(&self.profile(), &command).map_err(|error| confined(&error))?;
        let talking = talk(&mut child, &bytes);
        // What is left of the process ends when it is dropped.
        tokio::time::timeout(TIME, talking)
            .await
            .unwrap_or_else(|_| Err(format!("its parser did not come to an end within {} seconds", TIME.as_secs())))
    }

    fn profile(&self) -> Profile {
        let mut profile = Profile::new(self.empty.clone());
        profile.writable.clear();
        profile.read_only.clear();
        profile.masque = Some(self.executable.clone());
        profile.limits.memory_bytes = MEMORY;
        profile.limits.pids = 16;
        profile.limits.tmp_bytes = 1 << 20;
        profile.limits.cpu_seconds = Some(TIME.as_secs());
        profile
    }
}

impl Extract for Extractor {
    fn extract<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Answer> {
        Box::pin(self.bytes(name, bytes))
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Gives the process the document and takes its answer.
async fn talk(child: &mut masque_sandbox::Child, bytes: &[u8]) -> Answer {
    let streams = child.take_stdin().zip(child.take_stdout()).zip(child.take_stderr());
    let ((mut stdin, stdout), stderr) = streams.ok_or("the parser has no streams")?;
    let (mut answer, mut complaints) = (Vec::new(), Vec::new());
    let giving = async move {
        // It may end before it has read everything; then its answer says why.
        let _ = stdin.write_all(bytes).await;
        drop(stdin);
    };
    // Escapes make an answer at most six times as long as its text.
    let longest = 6 * Limits::default().text_bytes as u64 + (1 << 20);
    let mut stdout = stdout.take(longest);
    let mut stderr = stderr.take(COMPLAINTS);
    let (_, read, _) = tokio::join!(giving, stdout.read_to_end(&mut answer), stderr.read_to_end(&mut complaints));
    read.map_err(|error| error.to_string())?;
    drop((stdout, stderr));
    let exit = child.wait().await.map_err(|error| error.to_string())?;
    if exit.success() {
        return serde_json::from_slice(&answer).map_err(|error| format!("its parser answered nonsense: {error}"))?;
    }
    let complaints = String::from_utf8_lossy(&complaints);
    tracing::debug!(%complaints, ?exit, "a parser failed");
    Err(match exit {
        Exit::Signal(9) => "its parser needed more memory than it is given".to_owned(),
        _ => "its parser failed, as happens with broken documents and with attacks on it; open it in the program that \
              made it and save it again"
            .to_owned(),
    })
}

/// Reads a file whose size is accepted.
fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_file() {
        return Err(Error::usage(format!("{} is no file", path.display())));
    }
    let too_large = |error: masque_extract::Error| Error::usage(format!("{}: {error}", path.display()));
    limits.check_input(metadata.len()).map_err(too_large)?;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(limits.input_bytes + 1).read_to_end(&mut bytes)?;
    limits.check_input(bytes.len() as u64).map_err(too_large)?;
    Ok(bytes)
}

/// The parsing process: a job as JSON, the document on `input`; gives the answer as JSON. Blocks.
///
/// # Errors
/// When the job cannot be understood, or the document cannot be read from the input.
pub fn inside(job: &str, mut input: impl std::io::Read) -> Result<String, Error> {
    let job: Job =
        serde_json::from_str(job).map_err(|error| Error::usage(format!("the job is not understood: {error}")))?;
    let mut bytes = Vec::new();
    input.by_ref().take(job.limits.input_bytes + 1).read_to_end(&mut bytes)?;
    let answer: Answer = masque_extract::extract(&job.name, &bytes, &job.limits).map_err(|error| error.to_string());
    serde_json::to_string(&answer).map_err(|error| Error::environment(error.to_string()))
}
