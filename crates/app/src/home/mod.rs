//! Use cases over the homes of personas: backups, going back, icons, identities, health.

mod health;
mod identity;

use std::time::Duration;

use masque_home::home::{Home, Homes};
pub use masque_home::{
    icon::{Icon, Raster},
    identity::SignedCard,
    name::Name,
    versions::{Change, Difference, Kind, Manifest, Reason, Report, Target},
};
use masque_home::{
    seal::Passphrase,
    versions::{Note, Retention, Schedule, backup_due},
};
use masque_types::{actor::Actor, persona::Persona, time::Timestamp};
use serde_json::{Value, json};

pub use health::{Check, State};
pub use identity::icon;
pub(crate) use identity::is_revoked;

use crate::{App, Error, audit, host::Host};

/// Weeks of which the newest version stays.
const WEEKS_KEPT: usize = 52;

/// The passphrase of the vault, if the environment gives one.
pub(crate) fn passphrase(host: &Host) -> Option<Passphrase> {
    host.variable("MASQUE_SEAL_PASSPHRASE").map(Passphrase::new)
}

/// The homes below Masque's home.
pub(crate) fn open(host: &Host) -> Result<Homes, masque_home::Error> {
    Homes::open(&host.home, passphrase(host).as_ref())
}

impl App {
    fn homes(&self) -> Result<Homes, Error> {
        Ok(open(&self.host)?)
    }

    /// The home of a persona that has one.
    fn home(&self, name: &str) -> Result<Home, Error> {
        let found = self.homes()?.find(&Name::of_persona(name)?)?;
        found.ok_or_else(|| {
            Error::usage(format!("persona `{name}` has no home yet"))
                .hint(format!("`masque persona backup {name}` makes it, with a first version"))
        })
    }

    /// The names of all personas that have a home.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn home_names(&self) -> Result<Vec<Name>, Error> {
        Ok(self.homes()?.names()?)
    }

    /// Makes a version of a persona's home; the first time, the home itself. With an origin, whatever changed since the
    /// version before is labelled as learned from that source.
    ///
    /// # Errors
    /// When the home cannot be read or the version not be written.
    pub async fn back_up(
        &self,
        actor: &Actor,
        persona: &Persona,
        description: &str,
        origin: Option<&str>,
    ) -> Result<Manifest, Error> {
        let home = self.homes()?.create(&Name::of_persona(&persona.name)?)?;
        let note = Note { at: self.now(), description, reason: Reason::Asked, origin };
        let manifest = home.versions().backup(&note)?;
        self.audit_home(actor, "persona.backup", &home, &manifest).await?;
        Ok(manifest)
    }

    /// All versions of a persona's home, oldest first.
    ///
    /// # Errors
    /// When there is no home, or a version is damaged.
    pub fn versions(&self, persona: &str) -> Result<Vec<Manifest>, Error> {
        Ok(self.home(persona)?.versions().history()?)
    }

    /// What differs between two versions, or between one and what is there now. Without any, the newest version and what
    /// is there now.
    ///
    /// # Errors
    /// When there is no home or no such version.
    pub fn version_diff(&self, persona: &str, from: Option<u64>, to: Option<u64>) -> Result<Vec<Difference>, Error> {
        let versions = self.home(persona)?.versions();
        let newest = || match versions.newest()? {
            Some(newest) => Ok(newest.number),
            None => Err(masque_home::Error::NoVersion { persona: persona.to_owned(), wanted: "yet".to_owned() }),
        };
        let from = from.map_or_else(newest, Ok)?;
        Ok(versions.diff(from, to)?)
    }

    /// Reads every byte of all versions of a persona's home.
    ///
    /// # Errors
    /// When there is no home, or it cannot be read. Damage is in the report.
    pub fn verify_versions(&self, persona: &str) -> Result<Report, Error> {
        Ok(self.home(persona)?.versions().verify()?)
    }

    /// The version that was the newest at a time.
    ///
    /// # Errors
    /// When there was none yet.
    pub fn version_at(&self, persona: &str, at: Timestamp) -> Result<u64, Error> {
        Ok(self.home(persona)?.versions().version_at(at)?.number)
    }

    /// Takes a persona's home back. What is there now becomes a version first.
    ///
    /// # Errors
    /// When there is no such version or anything in it is damaged; then nothing changed.
    pub async fn roll_back(&self, actor: &Actor, persona: &str, target: &Target) -> Result<Manifest, Error> {
        let home = self.home(persona)?;
        let description = match target {
            Target::Version(to) => format!("back to version {to}"),
            Target::Origin { version, origin } => format!("without what came from {origin}, as in version {version}"),
        };
        let manifest = home.versions().rollback(target, &description, self.now())?;
        self.audit_home(actor, "persona.rollback", &home, &manifest).await?;
        Ok(manifest)
    }

    async fn audit_home(&self, actor: &Actor, action: &str, home: &Home, manifest: &Manifest) -> Result<(), Error> {
        let (files, bytes) = manifest.size();
        let detail = json!({
            "version": manifest.number,
            "reason": manifest.reason,
            "parent": manifest.parent.map(|(_, digest)| digest),
            "files": files,
            "bytes": bytes,
        });
        self.audit_kept(actor, action, home.name().as_str(), detail).await
    }

    async fn audit_kept(&self, actor: &Actor, action: &str, persona: &str, detail: Value) -> Result<(), Error> {
        Ok(self.store.audit(audit::entry(self.now(), actor, action, None, persona, detail)).await?)
    }

    /// Makes the backups that are due, and removes versions that are too old; gives the homes with what came of them.
    ///
    /// # Errors
    /// When the homes cannot be listed. A home that cannot be backed up does not stop the others.
    pub async fn due_backups(&self) -> Result<Vec<(Name, Result<u64, Error>)>, Error> {
        // Asked each time that a worker is idle: a machine without homes pays a look into one directory.
        let schedule = Schedule { every: self.settings.duration("home.backup_every").unwrap_or(Duration::ZERO) };
        if schedule.every.is_zero() || !self.host.home.join("personas").is_dir() {
            return Ok(Vec::new());
        }
        let homes = self.homes()?;
        let mut done = Vec::new();
        for name in homes.names()? {
            match self.back_up_if_due(&homes, &name, &schedule).await {
                Ok(None) => {}
                Ok(Some(number)) => done.push((name, Ok(number))),
                Err(error) => done.push((name, Err(error))),
            }
        }
        Ok(done)
    }

    async fn back_up_if_due(&self, homes: &Homes, name: &Name, schedule: &Schedule) -> Result<Option<u64>, Error> {
        let Some(home) = homes.find(name)? else { return Ok(None) };
        let (versions, now) = (home.versions(), self.now());
        let newest = versions.newest()?;
        if !backup_due(schedule, newest.map(|newest| newest.at), now) {
            return Ok(None);
        }
        let note = Note { at: now, description: "by the schedule", reason: Reason::Scheduled, origin: None };
        let manifest = versions.backup(&note)?;
        self.audit_home(&Actor::System, "persona.backup", &home, &manifest).await?;
        if let Some(last) = self.settings.count("home.keep") {
            let last = usize::try_from(last).unwrap_or(usize::MAX);
            let pruned = versions.prune(&Retention { last, daily: 0, weekly: WEEKS_KEPT })?;
            if !pruned.is_empty() {
                let detail = json!({ "versions": pruned });
                self.audit_kept(&Actor::System, "persona.prune", name.as_str(), detail).await?;
            }
        }
        Ok(Some(manifest.number))
    }
}
