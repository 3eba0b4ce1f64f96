//! The activity of a persona: one line of JSON for each thing that it did, in files of limited size.
//!
//! It is not sealed, so it is for what happened and when, not for what was said; and writing it needs no key.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use masque_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Home;
use crate::{Error, files, name::Name};

/// A file is closed when it has this size; so many closed ones are kept.
const MOST_BYTES: u64 = 1 << 20;
const CLOSED_FILES: u32 = 4;

/// Something that a persona did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// When.
    pub at: Timestamp,
    /// What, as a short word such as `run.start`.
    pub action: String,
    /// Whatever belongs to it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// The activity of one home.
#[derive(Debug, Clone)]
pub struct ActivityLog {
    home: PathBuf,
    lock: PathBuf,
}

impl Home {
    /// What the persona did.
    #[must_use]
    pub fn activity(&self) -> ActivityLog {
        ActivityLog::of(&self.directory, &self.versions)
    }
}

impl ActivityLog {
    /// The activity of a persona that has a home below Masque's home; none when it has none. Opens no file.
    #[must_use]
    pub fn find(directory: &Path, name: &Name) -> Option<Self> {
        let log = Self::of(&super::home_path(directory, name), &super::versions_path(directory, name));
        log.home.is_dir().then_some(log)
    }

    fn of(home: &Path, versions: &Path) -> Self {
        Self { home: home.to_owned(), lock: versions.join("activity.lock") }
    }

    /// Appends an activity. When the file is full it is closed, and the oldest closed one removed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, activity: &Activity) -> Result<(), Error> {
        let _lock = files::Lock::take(&self.lock)?;
        let path = self.path(0);
        let line = serde_json::to_string(activity)? + "\n";
        let size = fs_err::metadata(&path).map_or(0, |metadata| metadata.len());
        if size > 0 && size + line.len() as u64 > MOST_BYTES {
            self.close()?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        // One write, so that a crash leaves no part of a line before others.
        Ok(fs_err::OpenOptions::from_options(options).open(path)?.write_all(line.as_bytes())?)
    }

    fn close(&self) -> Result<(), Error> {
        files::remove_if_there(&self.path(CLOSED_FILES))?;
        for number in (0..CLOSED_FILES).rev() {
            let path = self.path(number);
            if path.exists() {
                fs_err::rename(path, self.path(number + 1))?;
            }
        }
        Ok(())
    }

    /// The newest activities, oldest first. A line that a crash cut short is left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn newest(&self, limit: usize) -> Result<Vec<Activity>, Error> {
        let mut newest = Vec::new();
        for number in 0..=CLOSED_FILES {
            let path = self.path(number);
            if newest.len() >= limit || !path.exists() {
                break;
            }
            let lines: Vec<String> = BufReader::new(fs_err::File::open(path)?).lines().collect::<Result<_, _>>()?;
            newest.extend(lines.iter().rev().filter_map(|line| serde_json::from_str(line).ok()));
        }
        newest.truncate(limit);
        newest.reverse();
        Ok(newest)
    }

    fn path(&self, number: u32) -> PathBuf {
        let name = if number == 0 { "activity.jsonl".to_owned() } else { format!("activity.jsonl.{number}") };
        self.home.join(name)
    }
}
