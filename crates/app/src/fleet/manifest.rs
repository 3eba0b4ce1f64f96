//! Finding and reading the manifest of a fleet.

use std::path::{Path, PathBuf};

use masque_fleet::{
    check::{self, Report, World},
    manifest::{self, Variables},
    model::Fleet,
};
use masque_types::diagnostic::{Diagnostic, Severity};

use super::Place;
use crate::{Error, host::Host};

/// Which fleet, and which part of it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Files that describe it; found from the working directory upward when empty.
    pub files: Vec<PathBuf>,
    /// Values for the manifest's variables: `NAME=VALUE`.
    pub variables: Vec<String>,
    /// The host; found out when absent.
    pub host: Option<String>,
    /// The groups; all of the host when empty.
    pub groups: Vec<String>,
}

/// A manifest that was read.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its files, as they were named or found.
    pub files: Vec<PathBuf>,
    /// The fleet; absent when the files have errors.
    pub fleet: Option<Fleet>,
    /// What was noticed, errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What it was asked with.
    pub asked: Asked,
    variables: Variables,
}

impl Manifest {
    /// Reads the manifest that is asked for.
    ///
    /// # Errors
    /// When none is found, or a variable is not written as `NAME=VALUE`. What is wrong inside is in `diagnostics`.
    pub fn read(host: &Host, directory: &Path, asked: Asked) -> Result<Self, Error> {
        let files = match asked.files.as_slice() {
            [] => vec![manifest::find(directory).ok_or_else(|| nothing_found(directory))?],
            files => files.iter().map(|file| directory.join(file)).collect(),
        };
        let variables = variables(host, &asked.variables)?;
        let loaded = manifest::load(&files, &variables);
        Ok(Self { files, fleet: loaded.fleet, diagnostics: loaded.diagnostics, asked, variables })
    }

    /// The fleet.
    ///
    /// # Errors
    /// When the files have errors; the message says how many, the diagnostics say which.
    pub fn fleet(&self) -> Result<&Fleet, Error> {
        self.fleet.as_ref().ok_or_else(|| {
            let errors = self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
            let noun = if errors == 1 { "error" } else { "errors" };
            Error::usage(format!("the manifest has {errors} {noun}"))
        })
    }

    /// Checks it against this machine, as the host that is asked for or that this machine is; without one, as any.
    ///
    /// # Errors
    /// As for [`Self::fleet`], and when there is no such host.
    pub fn check(&self, host: &Host) -> Result<Report, Error> {
        let fleet = self.fleet()?;
        let here = match &self.asked.host {
            Some(_) => Some(super::place::host_of(fleet, self.asked.host.as_deref())?),
            None => super::place::host_of(fleet, None).ok(),
        };
        let path = host.variable("PATH").unwrap_or_default();
        let mut world = World::of_this_machine(fleet, here.as_deref(), path);
        // In a group's container, the programs of other groups are missing rightly.
        world.groups_here = self.asked.groups.iter().cloned().collect();
        Ok(check::check(fleet, &world))
    }

    /// The part of the fleet that a supervisor on this machine has.
    ///
    /// # Errors
    /// As for [`Self::fleet`]; when this machine is none of the hosts, or there is no such host or group.
    pub fn place(&self, host: &Host) -> Result<Place, Error> {
        Place::of(host, self)
    }

    /// Reads the same files again.
    pub(super) fn again(&self) -> Result<Fleet, String> {
        let loaded = manifest::load(&self.files, &self.variables);
        loaded.fleet.ok_or_else(|| {
            let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error);
            errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
    }
}

fn variables(host: &Host, set: &[String]) -> Result<Variables, Error> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::usage(format!("`{text}` sets no variable")).hint("write NAME=VALUE")),
    };
    Ok(Variables { environment: host.environment.clone(), set: set.iter().map(pair).collect::<Result<_, _>>()? })
}

fn nothing_found(directory: &Path) -> Error {
    Error::usage(format!("no manifest of a fleet in {} or above", directory.display()))
        .hint("write a fleet.toml: `masque fleet schema` describes it")
        .hint("or name the files: masque fleet -f FILE …")
}
