//! Whether a persona is well: its data, its icon, its identity, its programs.

use std::path::Path;

use masque_home::{
    handshake::{Initiator, Limits, Platform, Random, Request, Responder, Terms},
    home::{Home, Homes},
    identity::Identity,
    name::Name,
};
use masque_types::{actor::Actor, digest::Digest, persona::Persona, time::Timestamp};
use rand::Rng as _;
use serde::Serialize;
use serde_json::json;

use super::identity::{icon_of, subject};
use crate::{App, Error, authority, clock, environments::Wanted};

/// What a platform of one machine calls itself.
const SERVER: &str = "masque";
const AUDIENCE: &str = "health";

/// Something that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The persona.
    pub persona: String,
    /// What was checked: `data`, `icon`, `identity`, `handshake`, `programs`.
    pub what: &'static str,
    /// What came of it.
    pub state: State,
    /// In words.
    pub detail: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as it should be.
    Good,
    /// There is nothing to check.
    Absent,
    /// Something is wrong.
    Wrong,
}

impl App {
    /// Checks a persona: every byte of its versions, its saved contexts, its icon, its identity by a whole handshake
    /// with the registry of this installation, and its programs by starting its environment as a run does.
    ///
    /// # Errors
    /// When the homes cannot be opened. Whatever is wrong with the persona is in the checks.
    pub async fn health(&self, actor: &Actor, persona: &Persona, workspace: &Path) -> Result<Vec<Check>, Error> {
        let homes = self.homes()?;
        let home = homes.find(&Name::of_persona(&persona.name)?)?;
        let (handshake, refusal) = handshake(&homes, home.as_ref(), self.now())?;
        if let Some(refusal) = refusal {
            self.audit_kept(actor, "persona.handshake_refused", &persona.name, json!({ "why": refusal })).await?;
        }
        let checked = [
            ("data", home.as_ref().map_or_else(|| Ok(absent("no home yet")), data)),
            (
                "icon",
                icon_of(home.as_ref(), persona).map(|icon| {
                    icon.map_or_else(
                        || absent("none"),
                        |icon| (State::Good, format!("clean, {}", icon.digest().short())),
                    )
                }),
            ),
            ("identity", identity(&homes, home.as_ref(), persona)),
            ("handshake", Ok(handshake)),
            ("programs", self.programs(persona, workspace).await),
        ];
        let check = |(what, found): (&'static str, Result<(State, String), Error>)| {
            let (state, detail) = found.unwrap_or_else(|error| (State::Wrong, error.to_string()));
            Check { persona: persona.name.clone(), what, state, detail }
        };
        Ok(checked.map(check).into())
    }

    /// Starts the environment of a persona as a run would, and stops it.
    async fn programs(&self, persona: &Persona, workspace: &Path) -> Result<(State, String), Error> {
        let policy = authority::policy(&self.host, &self.settings, persona, &[])?;
        let mode = authority::sandbox_of(&self.host, &self.settings, persona, self.settings.sandbox())?;
        let workspace = workspace.to_owned();
        let run = clock::new_run_id();
        let wanted = Wanted { run, persona, policy: &policy, workspace, mode, pinned: None };
        let noticed = self.environments().try_out(wanted).await.map_err(Error::environment)?;
        if noticed.is_empty() {
            let servers = persona.mcp_servers.len();
            let words = if servers == 1 { "1 MCP server".to_owned() } else { format!("{servers} MCP servers") };
            return Ok((State::Good, format!("started and stopped, {words}")));
        }
        Ok((State::Wrong, noticed.iter().map(|noticed| noticed.message.as_str()).collect::<Vec<_>>().join("; ")))
    }
}

fn absent(detail: &str) -> (State, String) {
    (State::Absent, detail.to_owned())
}

fn data(home: &Home) -> Result<(State, String), Error> {
    let report = home.versions().verify()?;
    if let Some(first) = report.faults.first() {
        let more = report.faults.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        return Ok((State::Wrong, format!("{first}{more}")));
    }
    let contexts = home.contexts()?;
    for name in &contexts {
        home.context(name)?;
    }
    Ok((State::Good, format!("{} versions and {} saved contexts are whole", report.versions, contexts.len())))
}

fn identity(homes: &Homes, home: Option<&Home>, persona: &Persona) -> Result<(State, String), Error> {
    let Some((home, identity)) = home.zip(home.map(|home| homes.identities().find(home.name())).transpose()?.flatten())
    else {
        return Ok(absent("none yet"));
    };
    let renew = format!("`masque persona identity {}` renews it", home.name());
    let faults = homes.identities().registry()?.faults(&homes.identities().installation().public());
    if let Some(fault) = faults.first() {
        return Ok((State::Wrong, fault.clone()));
    }
    let (card, now) = (identity.card.card(), subject(home, persona)?);
    if card.file != now.file {
        return Ok((State::Wrong, format!("the persona changed since its card was signed: {renew}")));
    }
    if card.icon != now.icon.map(|(digest, _)| digest) {
        return Ok((State::Wrong, format!("the icon is not the one of the card: {renew}")));
    }
    Ok((State::Good, format!("card {}, key of epoch {}", card.version, card.key_epoch)))
}

/// A whole handshake of the persona with this installation; beside the outcome, the reason of a refusal.
fn handshake(homes: &Homes, home: Option<&Home>, now: Timestamp) -> Result<((State, String), Option<String>), Error> {
    let identity = home.map(|home| homes.identities().find(home.name())).transpose().map(Option::flatten);
    let identity = match identity {
        Ok(Some(identity)) => identity,
        Ok(None) => return Ok((absent("no identity yet"), None)),
        Err(error) => return Ok(((State::Wrong, error.to_string()), None)),
    };
    let registry = homes.identities().registry()?;
    Ok(match shake_hands(homes, &registry, &identity, now) {
        Ok(()) => ((State::Good, "proven to the registry of this installation".to_owned()), None),
        Err(refusal) => ((State::Wrong, format!("refused: {refusal}")), Some(refusal.to_string())),
    })
}

fn shake_hands(
    homes: &Homes,
    registry: &masque_home::identity::Registry,
    identity: &Identity,
    now: Timestamp,
) -> Result<(), masque_home::handshake::Refusal> {
    let installation = homes.identities().installation();
    let terms = Terms {
        server: SERVER.to_owned(),
        epoch: 1,
        audiences: vec![AUDIENCE.to_owned()],
        life: std::time::Duration::from_secs(60),
        limits: Limits::default(),
    };
    let mut rng = rand::rng();
    let mut random = || Random { nonce: rng.random(), ephemeral: rng.random() };
    // Both ends are this process: what binds them is that nobody else knows this number.
    let channel = Digest::of(random().nonce);
    let mut responder = Responder::new(installation.clone(), terms, &random().ephemeral);
    let request = Request { audience: AUDIENCE.to_owned(), scopes: Vec::new() };
    let (initiator, hello) = Initiator::start(identity, request, channel, &random());
    let challenge = responder.challenge(&hello, channel, now, &random())?;
    let platform = Platform { server: SERVER.to_owned(), key: installation.public(), epoch: 1 };
    let (waiting, proof) = initiator.answer(&challenge, &platform)?;
    let granted = responder.grant(registry, &proof, channel, &[], now, rng.random())?;
    waiting.finish(&granted.grant, now).map(drop)
}
