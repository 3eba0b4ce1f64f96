//! Finding and reading the manifest of a fleet.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use masque_container::Engine;
use masque_fleet::{
    check::{self, Report, World},
    manifest::{self, Variables},
    model::{Fleet, ServiceId},
};
use masque_types::diagnostic::{Diagnostic, Severity};

use super::{Place, card::canonical, place};
use crate::{Error, config::Settings, containers, host::Host};

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

    /// The names of the images that the container engine of this machine has; unknown where the fleet needs none, and
    /// where no engine answers.
    pub async fn images(&self, host: &Host, settings: &Settings) -> Option<BTreeSet<String>> {
        let fleet = self.fleet.as_ref()?;
        let of_groups = fleet.groups.values().any(|group| group.container.is_some());
        if !of_groups && fleet.services.iter().all(|service| service.program.image.is_none()) {
            return None;
        }
        let socket = containers::socket(host, settings);
        Engine::connect(socket.as_deref()).await.ok()?.images().await.ok()
    }

    /// Checks it against this machine, as the host that is asked for or that this machine is; without one, as any. Images
    /// are looked for among `images`, where these are known.
    ///
    /// # Errors
    /// As for [`Self::fleet`], and when there is no such host or group.
    pub fn check(&self, host: &Host, images: Option<BTreeSet<String>>) -> Result<Report, Error> {
        let fleet = self.fleet()?;
        let groups = self.groups();
        let here = match (&self.asked.host, groups.is_empty()) {
            (None, true) => place::host_of(fleet, None).ok(),
            (asked, _) => Some(place::host_of(fleet, asked.as_deref())?),
        };
        if let Some(here) = &here {
            place::refuse_unknown_groups(fleet, here, &groups)?;
        }
        let path = host.variable("PATH").unwrap_or_default();
        let mut world = World::of_this_machine(fleet, here.as_deref(), path);
        // In a group's container, the programs of other groups are missing rightly.
        world.groups_here = groups;
        world.images = images;
        Ok(check::check(fleet, &world))
    }

    /// The services that are asked for, with what they need of each other.
    ///
    /// # Errors
    /// As for [`Self::fleet`], and when there is no such host or group.
    pub fn part(&self) -> Result<Fleet, Error> {
        let mut fleet = self.fleet()?.clone();
        let groups = self.groups();
        if let Some(asked) = &self.asked.host {
            let host = place::host_of(&fleet, Some(asked))?;
            fleet.services.retain(|service| service.id.host == host);
        }
        let known: BTreeSet<&String> = fleet.services.iter().filter_map(|service| service.group.as_ref()).collect();
        if let Some(unknown) = groups.iter().find(|group| !known.contains(group)) {
            let known = known.into_iter().cloned().collect::<Vec<_>>().join(", ");
            return Err(Error::usage(format!("there is no service of a group `{unknown}`"))
                .hint(format!("the groups: {known}")));
        }
        if !groups.is_empty() {
            fleet.services.retain(|service| service.group.as_ref().is_some_and(|group| groups.contains(group)));
        }
        let kept: BTreeSet<ServiceId> = fleet.services.iter().map(|service| service.id.clone()).collect();
        for service in &mut fleet.services {
            service.dependencies.retain(|dependency| kept.contains(&dependency.on));
        }
        Ok(fleet)
    }

    /// The part of the fleet that a supervisor on this machine has.
    ///
    /// # Errors
    /// As for [`Self::fleet`]; when this machine is none of the hosts, or there is no such host or group.
    pub fn place(&self, host: &Host) -> Result<Place, Error> {
        Place::of(host, self)
    }

    /// The same for those who only have to reach a supervisor: when the files have errors meanwhile, the place that a
    /// supervisor wrote down when it was started from them.
    ///
    /// # Errors
    /// As for [`Self::place`].
    pub fn known_place(&self, host: &Host) -> Result<Place, Error> {
        let remembered = || self.fleet.is_none().then(|| Place::remembered(host, self)).flatten();
        self.place(host).or_else(|error| remembered().ok_or(error))
    }

    /// Values that came from outside of its files, by what names them there: variables of the environment and those set
    /// by hand. Whoever writes them into files has to think of secrets.
    pub(super) fn values_from_outside(&self) -> Vec<(String, &str)> {
        let sources = self.fleet.iter().flat_map(|fleet| &fleet.sources);
        let texts: Vec<(&PathBuf, String)> =
            sources.filter_map(|source| Some((source, fs_err::read_to_string(source).ok()?))).collect();
        let is_named = |name: &str| texts.iter().any(|(source, text)| names(source, text, name));
        let environment = self.variables.environment.iter().filter(|(name, _)| is_named(name));
        let environment = environment.map(|(name, value)| (format!("${{env:{name}}}"), value.as_str()));
        let set = self.variables.set.iter().map(|(name, value)| (format!("--var {name}"), value.as_str()));
        environment.chain(set).collect()
    }

    fn groups(&self) -> BTreeSet<String> {
        self.asked.groups.iter().cloned().collect()
    }

    /// Its files by the names that nothing else has.
    pub(super) fn canonical_files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| canonical(file)).collect()
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

/// Whether a file of a manifest names a variable of the environment. In Compose files every name is one.
fn names(source: &Path, text: &str, variable: &str) -> bool {
    let is_compose = source.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let forms = [format!("${{env:{variable}"), format!("${{{variable}"), format!("${variable}")];
    let is_whole = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let is_there = |form: &String| text.split(form.as_str()).skip(1).any(is_whole);
    forms.iter().take(if is_compose { 3 } else { 1 }).any(is_there)
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
        .hint("or name the files: masque fleet COMMAND --file FILE")
}
