//! [`Program`]: what a service executes, as whom, where, with which environment.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A program and its arguments; the first word is looked up in `PATH` unless it has a slash. Empty: what the
    /// image says, for a program in an image of its own.
    Exec(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

impl Command {
    /// The words that are executed.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        }
    }
}

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Name or number of the user.
    pub user: String,
    /// Name or number of the group; the user's own one when absent.
    pub group: Option<String>,
}

/// What a service executes, and in which surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What is executed.
    pub command: Command,
    /// The image of the container that the program alone runs in, as a file of Compose says it; what else belongs to
    /// that container is in the service's group. Absent: it runs on its host, or in its group's container, under a
    /// supervisor of Masque.
    pub image: Option<String>,
    /// The script that the command executes, as the file names it, where it names one: `FORMAINPC/x.py`.
    pub script: Option<String>,
    /// Where that script was found in the fleet's roots; absent when it is missing.
    pub script_file: Option<PathBuf>,
    /// Working directory; absolute.
    pub directory: PathBuf,
    /// Variables of its environment. It gets nothing else but what `pass` names, `PATH`, and what the supervisor adds.
    pub environment: BTreeMap<String, String>,
    /// Variables of the supervisor that it gets too.
    pub pass: Vec<String>,
    /// As whom; the supervisor's own user when absent.
    pub account: Option<Account>,
    /// Mask of new files' permissions; 0o022 when absent.
    pub umask: Option<u32>,
}
