//! `masque persona backup` and the other commands about what a persona keeps: versions, icon, identity, health.

use std::path::{Path, PathBuf};

use masque_app::{
    App, Error,
    home::{self, Check, State, Target},
    host::Host,
    personas,
};
use masque_types::{persona::Persona, time::Timestamp};
use serde_json::json;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a version of what a persona keeps
    Backup {
        /// Persona
        name: String,
        /// Why, for people
        #[arg(short, long, value_name = "TEXT", default_value = "")]
        message: String,
        /// The source that everything which changed since the last version was learned from
        #[arg(long, value_name = "SOURCE")]
        origin: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the versions of what a persona keeps
    History {
        /// Persona
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between two versions, or between one and what is there now
    Diff {
        /// Persona
        name: String,
        /// Version; the newest one when absent
        from: Option<u64>,
        /// Version; what is there now when absent
        to: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read and check every byte of all versions
    Verify {
        /// Persona
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Go back to a version; what is there now becomes a version first
    Rollback {
        /// Persona
        name: String,
        /// Version
        version: u64,
        /// Take back only what was learned from this source
        #[arg(long, value_name = "SOURCE")]
        origin: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Go back to the version that was the newest at a time
    Restore {
        /// Persona
        name: String,
        /// Time in UTC, such as 2026-05-01 or "2026-05-01 14:30:00", or with a zone: 2026-05-01T14:30:00+02:00
        #[arg(long, value_name = "TIME")]
        at: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a persona's icon, or set it
    Icon {
        /// Persona
        name: String,
        /// SVG file to clean and keep as the icon
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Draw it into a PNG file
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// Pixels of the PNG file
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512), requires = "png")]
        size: u32,
    },
    /// Show a persona's signed card; make or renew it first if the persona changed
    Identity {
        /// Persona
        name: String,
        /// Give it a new key; the old one is revoked
        #[arg(long, conflicts_with = "revoke")]
        rotate: bool,
        /// Revoke its key
        #[arg(long, value_name = "REASON")]
        revoke: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check data, icon, identity, handshake and programs of a persona, or of all that have a home
    Health {
        /// Persona
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let here = Here {
        actor: context.actor(),
        host: context.host.clone(),
        catalog: personas::catalog(&context.host, &context.project),
        directory: context.directory.clone(),
    };
    let app = context.open().await?;
    let done = here.run(&app, command).await;
    app.close().await?;
    done
}

/// Who asks, and where.
struct Here {
    actor: masque_types::actor::Actor,
    host: Host,
    catalog: personas::Catalog,
    directory: PathBuf,
}

impl Here {
    fn persona(&self, name: &str) -> Result<&Persona, Error> {
        Ok(&personas::find(&self.catalog, name)?.persona)
    }

    async fn run(&self, app: &App, command: Command) -> Result<Exit, Error> {
        match command {
            Command::Backup { name, message, origin, json } => {
                let persona = self.persona(&name)?;
                let version = app.back_up(&self.actor, persona, &message, origin.as_deref()).await?;
                render::homes::made(&version, json);
            }
            Command::History { name, json } => render::homes::history(&app.versions(&name)?, json),
            Command::Diff { name, from, to, json } => {
                render::homes::differences(&app.version_diff(&name, from, to)?, json);
            }
            Command::Verify { name, json } => {
                let report = app.verify_versions(&name)?;
                render::homes::report(&report, json);
                return Ok(if report.faults.is_empty() { Exit::Success } else { Exit::Failed });
            }
            Command::Rollback { name, version, origin, json } => {
                let target = match origin {
                    Some(origin) => Target::Origin { version, origin },
                    None => Target::Version(version),
                };
                render::homes::made(&app.roll_back(&self.actor, &name, &target).await?, json);
            }
            Command::Restore { name, at, json } => {
                let version = app.version_at(&name, parse_time(&at)?)?;
                render::homes::made(&app.roll_back(&self.actor, &name, &Target::Version(version)).await?, json);
            }
            Command::Icon { name, from, png, size } => {
                self.icon(app, &name, from.as_deref(), png.map(|png| (png, size))).await?
            }
            Command::Identity { name, rotate, revoke, json } => self.identity(app, &name, rotate, revoke, json).await?,
            Command::Health { name, json } => return self.health(app, name.as_deref(), json).await,
        }
        Ok(Exit::Success)
    }

    async fn icon(&self, app: &App, name: &str, from: Option<&Path>, png: Option<(PathBuf, u32)>) -> Result<(), Error> {
        let persona = self.persona(name)?;
        if let Some(file) = from {
            let source = fs_err::read(self.directory.join(file)).map_err(|error| Error::usage(error.to_string()))?;
            let icon = app.set_icon(&self.actor, persona, &source).await?;
            for removed in icon.removed() {
                render::note(&format!("removed from the icon: {removed}"));
            }
        }
        let Some(icon) = home::icon(&self.host, persona)? else {
            return Err(Error::usage(format!("persona `{name}` has no icon"))
                .hint(format!("masque persona icon {name} --from FILE.svg")));
        };
        if let Some((file, size)) = png {
            let drawn = icon.draw(size)?;
            fs_err::write(self.directory.join(&file), drawn.png()?)?;
            render::note(&format!("{}: {size} × {size} pixels", file.display()));
        } else if from.is_none() {
            render::homes::icon(&icon);
        }
        Ok(())
    }

    async fn identity(
        &self,
        app: &App,
        name: &str,
        rotate: bool,
        revoke: Option<String>,
        json: bool,
    ) -> Result<(), Error> {
        if let Some(reason) = revoke {
            let key = app.revoke_identity(&self.actor, name, &reason).await?;
            if json {
                render::json(&json!({ "revoked": key, "reason": reason }));
            } else {
                render::line(&format!("revoked the key {key}"));
            }
            return Ok(());
        }
        let persona = self.persona(name)?;
        let card = if rotate {
            app.rotate_identity(&self.actor, persona).await?
        } else {
            let (card, is_new) = app.identity(&self.actor, persona).await?;
            if is_new {
                render::note("a new card was signed");
            }
            card
        };
        render::homes::card(&card, app.is_revoked(&card)?, json);
        Ok(())
    }

    async fn health(&self, app: &App, name: Option<&str>, json: bool) -> Result<Exit, Error> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => app.home_names()?.iter().map(ToString::to_string).collect(),
        };
        let mut checks: Vec<Check> = Vec::new();
        for name in &names {
            match personas::find(&self.catalog, name) {
                Ok(loaded) => checks.extend(app.health(&self.actor, &loaded.persona, &self.directory).await?),
                // A home whose persona belongs to another project.
                Err(error) if names.len() == 1 => return Err(error),
                Err(_) => render::note(&format!("{name}: no such persona here, its home was left out")),
            }
        }
        if json {
            render::json(&checks);
        } else if checks.is_empty() {
            render::note("no persona has a home yet");
        } else {
            render::homes::checks(&checks);
        }
        let is_wrong = checks.iter().any(|check| check.state == State::Wrong);
        Ok(if is_wrong { Exit::Failed } else { Exit::Success })
    }
}

fn parse_time(text: &str) -> Result<Timestamp, Error> {
    let plain = text.trim().trim_end_matches("UTC").trim_end();
    let with_time = if plain.len() == 10 { format!("{plain} 00:00:00") } else { plain.replacen('T', " ", 1) };
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let parsed = OffsetDateTime::parse(plain, &Rfc3339)
        .or_else(|_| PrimitiveDateTime::parse(&with_time, &format).map(PrimitiveDateTime::assume_utc));
    let at = parsed.map_err(|_| {
        Error::usage(format!("`{text}` is no time")).hint("write for example 2026-05-01 or \"2026-05-01 14:30:00\"")
    })?;
    // The whole second that was named.
    Ok(Timestamp(at.unix_timestamp().saturating_mul(1000).saturating_add(999)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_printed_and_with_zones() {
        let at = |text: &str| parse_time(text).map(|at| at.0).ok();
        let expected = Some(1_777_645_800_999);
        assert_eq!(at("2026-05-01 14:30:00"), expected);
        assert_eq!(at("2026-05-01 14:30:00 UTC"), expected);
        assert_eq!(at("2026-05-01T16:30:00+02:00"), expected);
        assert_eq!(at("2026-05-01"), Some(1_777_593_600_999));
        assert_eq!(at("yesterday"), None);
    }
}
