//! The sessions of a project: which conversations a person had open here, under which names, and what is yet to be told
//! in them.
//!
//! The conversations themselves are durable runs in the store. This list only says which of them belong to a directory,
//! and stands in Masque's home, beside the history of what was typed. Leaves out driving and showing them.

use std::path::{Path, PathBuf};

use masque_types::{
    digest::Digest,
    id::RunId,
    run::{RunStatus, RunSummary},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{App, Error, host::Host, runs::RunFilter};

/// Sessions that are remembered for one directory.
const MOST: usize = 200;

/// A conversation that a person had open in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The durable run.
    pub run: RunId,
    /// Who speaks in it.
    pub persona: String,
    /// The name that the person gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was last in front.
    pub used_at: Timestamp,
    /// The session that was in front before the person switched to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<RunId>,
    /// Runs started from here whose results are yet to be told in the conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<RunId>,
    /// Tools that the person allowed for this session, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// The sessions of one directory.
#[derive(Debug)]
pub struct Sessions {
    directory: PathBuf,
    list: Vec<Session>,
}

impl Sessions {
    /// Reads the sessions of a workspace; none when there were none.
    ///
    /// # Errors
    /// When the list cannot be read, or the directory for it cannot be made.
    pub fn open(host: &Host, workspace: &Path) -> Result<Self, Error> {
        let digest = Digest::of(workspace.as_os_str().as_encoded_bytes());
        let directory = host.home.join("chat").join(digest.short());
        make_private(&directory)?;
        let path = directory.join("sessions.json");
        let list = match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::environment(format!("{} is damaged: {error}", path.display()))
                    .hint("remove the file: the conversations stay, `masque runs list` shows them")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { directory, list })
    }

    /// The file with what was typed here. It is made, so that nobody else can read it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn history(&self) -> Result<PathBuf, Error> {
        let path = self.directory.join("history.txt");
        private(&path, fs_err::OpenOptions::new().append(true).create(true))?;
        Ok(path)
    }

    /// All sessions, the last used one first.
    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.list.iter()
    }

    /// The session of a run.
    #[must_use]
    pub fn of(&self, run: RunId) -> Option<&Session> {
        self.list.iter().find(|session| session.run == run)
    }

    /// The session of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Session> {
        self.list.iter().find(|session| session.name.as_deref() == Some(name))
    }

    /// Puts a session in front and keeps the list.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn put(&mut self, session: Session) -> Result<(), Error> {
        self.list.retain(|other| other.run != session.run);
        // A name stands for one session: the newest that got it.
        for other in &mut self.list {
            if session.name.is_some() && other.name == session.name {
                other.name = None;
            }
        }
        self.list.insert(0, session);
        self.list.truncate(MOST);
        self.write()
    }

    /// Forgets a session; its run stays in the store.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn remove(&mut self, run: RunId) -> Result<(), Error> {
        self.list.retain(|session| session.run != run);
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.list).map_err(|error| Error::environment(error.to_string()))?;
        let path = self.directory.join("sessions.json");
        let fresh = self.directory.join(format!("sessions.json.{}", std::process::id()));
        private(&fresh, fs_err::OpenOptions::new().write(true).create(true).truncate(true))?;
        fs_err::write(&fresh, text)?;
        Ok(fs_err::rename(&fresh, &path)?)
    }
}

impl App {
    /// The session that a person means: `last`, a name given to it, or a run's id or the beginning of it.
    ///
    /// # Errors
    /// When there is none, or it is no conversation that can go on.
    pub async fn find_session(&self, sessions: &Sessions, wanted: &str) -> Result<RunSummary, Error> {
        if wanted == "last" {
            for session in sessions.all() {
                // One of another store does not count.
                if let Ok(summary) = self.run(session.run).await
                    && !summary.status.is_final()
                {
                    return Ok(summary);
                }
            }
            return Err(Error::usage("there is no session to go on with in this directory")
                .hint("start one: masque chat")
                .hint("sessions of other directories: masque runs list"));
        }
        let run = match sessions.named(wanted) {
            Some(session) => session.run,
            None => self.find_run(wanted).await?,
        };
        let summary = self.run(run).await?;
        if !summary.conversation {
            return Err(Error::usage(format!("{run} is no conversation"))
                .hint(format!("go on with it as a run: masque runs resume {run}")));
        }
        if summary.status.is_final() {
            return Err(Error::refused(format!("{run} is {} already", summary.status.name()))
                .hint(format!("go on from it in a new run: masque runs fork {run} -p \"…\"")));
        }
        Ok(summary)
    }

    /// The conversations of a directory that can go on, the last used one first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_sessions(&self, sessions: &Sessions) -> Result<Vec<(Session, RunSummary)>, Error> {
        let filter = RunFilter { conversation: Some(true), limit: 1_000, ..RunFilter::default() };
        let runs = self.runs(&filter).await?;
        let open = |session: &Session| {
            let run = runs.iter().find(|run| run.id == session.run)?;
            matches!(run.status, RunStatus::Waiting | RunStatus::Running).then(|| (session.clone(), run.clone()))
        };
        Ok(sessions.all().filter_map(open).collect())
    }
}

/// A directory that only its owner can read.
fn make_private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::create_dir_all(directory)?;
    Ok(fs_err::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?)
}

/// A file that only its owner can read.
fn private(path: &Path, options: &mut fs_err::OpenOptions) -> Result<(), Error> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600).open(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> RunId {
        RunId::derive(&Digest::of([number]))
    }

    fn session(number: u8, name: Option<&str>) -> Session {
        Session {
            run: run(number),
            persona: "architect".into(),
            name: name.map(Into::into),
            used_at: Timestamp(1),
            back: None,
            untold: Vec::new(),
            allowed: Vec::new(),
        }
    }

    #[test]
    fn the_last_used_session_is_first_and_a_name_means_one() {
        let home = tempfile::tempdir().unwrap();
        let host = Host::for_tests(home.path());
        let workspace = Path::new("/somewhere");
        let mut sessions = Sessions::open(&host, workspace).unwrap();
        sessions.put(session(1, Some("plan"))).unwrap();
        sessions.put(session(2, Some("plan"))).unwrap();
        sessions.put(session(1, None)).unwrap();
        let again = Sessions::open(&host, workspace).unwrap();
        assert_eq!(again.all().map(|session| session.run).collect::<Vec<_>>(), [1, 2].map(run));
        assert_eq!(again.named("plan").unwrap().run, run(2));
        assert!(Sessions::open(&host, Path::new("/elsewhere")).unwrap().all().next().is_none());
        sessions.history().unwrap();
        let mode = |name| {
            std::os::unix::fs::PermissionsExt::mode(
                &fs_err::metadata(sessions.directory.join(name)).unwrap().permissions(),
            )
        };
        assert_eq!(mode("history.txt") & 0o777, 0o600);
        assert_eq!(mode("sessions.json") & 0o777, 0o600);
    }
}
