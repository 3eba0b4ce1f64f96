//! The registry: the current card of every persona, how keys followed one another, and what was revoked. Plain data
//! without I/O; everything in it is signed by the installation.

use std::collections::BTreeMap;

use masque_types::{digest::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    card::SignedCard,
    key::{KeyPair, PublicKey, Signature},
};
use crate::{Error, name};

const SUCCESSION: &str = "masque/succession/v1";
const REVOCATION: &str = "masque/revocation/v1";

/// What is known about one persona.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its current card.
    pub card: SignedCard,
    /// How its key came from earlier ones, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successions: Vec<Succession>,
    /// The shape of its icon, to find icons that look the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_shape: Option<u64>,
}

/// A key that replaced another one: signed by the old key and by the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The key before.
    pub old: PublicKey,
    /// The key after.
    pub new: PublicKey,
    /// The new key's epoch.
    pub epoch: u64,
    /// When.
    pub at: Timestamp,
    /// The old key's signature.
    pub by_old: Signature,
    /// The installation's signature.
    pub by_installation: Signature,
}

impl Succession {
    /// Lets a new key follow an old one.
    #[must_use]
    pub fn new(
        persona: &str,
        old: &KeyPair,
        new: PublicKey,
        epoch: u64,
        at: Timestamp,
        installation: &KeyPair,
    ) -> Self {
        let statement = Self::statement(persona, old.public(), new, epoch, at);
        Self {
            old: old.public(),
            new,
            epoch,
            at,
            by_old: old.sign(SUCCESSION, &statement),
            by_installation: installation.sign(SUCCESSION, &statement),
        }
    }

    fn statement(persona: &str, old: PublicKey, new: PublicKey, epoch: u64, at: Timestamp) -> Vec<u8> {
        let (epoch, at) = (epoch.to_be_bytes(), at.0.to_be_bytes());
        let parts: [&[u8]; 5] = [persona.as_bytes(), old.as_bytes(), new.as_bytes(), &epoch, &at];
        Digest::of_parts(parts).as_bytes().to_vec()
    }

    /// Whether both signatures hold.
    #[must_use]
    pub fn holds(&self, persona: &str, installation: &PublicKey) -> bool {
        let statement = Self::statement(persona, self.old, self.new, self.epoch, self.at);
        self.old.verifies(SUCCESSION, &statement, &self.by_old)
            && installation.verifies(SUCCESSION, &statement, &self.by_installation)
    }
}

/// A key that is no longer valid, whatever was signed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Whose key it was.
    pub persona: String,
    /// The key.
    pub public_key: PublicKey,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// The installation's signature.
    pub signature: Signature,
}

impl Revocation {
    fn statement(persona: &str, key: PublicKey, at: Timestamp, reason: &str) -> Vec<u8> {
        let parts: [&[u8]; 4] = [persona.as_bytes(), key.as_bytes(), &at.0.to_be_bytes(), reason.as_bytes()];
        Digest::of_parts(parts).as_bytes().to_vec()
    }

    fn holds(&self, installation: &PublicKey) -> bool {
        let statement = Self::statement(&self.persona, self.public_key, self.at, &self.reason);
        installation.verifies(REVOCATION, &statement, &self.signature)
    }
}

/// How a card stands to the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the current card.
    Current,
    /// No such persona is registered.
    Unknown,
    /// Its key was revoked.
    Revoked,
    /// It shows another icon than the current card.
    WrongIcon,
    /// It is an earlier card, or of another file.
    WrongVersion,
    /// The installation did not sign it.
    BadSignature,
}

/// All personas that this installation answers for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    #[serde(default)]
    entries: BTreeMap<String, Entry>,
    #[serde(default)]
    revocations: Vec<Revocation>,
}

impl Registry {
    /// What is known about a persona.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All entries, in the order of the names.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// What was revoked, in the order that it was.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// Takes a persona's card, in place of an earlier one.
    ///
    /// # Errors
    /// When the name or the icon could be taken for another persona's.
    pub fn register(&mut self, entry: Entry) -> Result<(), Error> {
        let name = entry.card.card().name.as_str();
        if let Some(other) = name::look_alike(name, self.entries.keys().map(String::as_str)) {
            return Err(Error::LookAlike { name: name.to_owned(), other: other.to_owned() });
        }
        if let Some(other) = self.same_icon(name, entry.card.card().icon, entry.icon_shape) {
            return Err(Error::SameIcon { other: other.to_owned() });
        }
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// The persona whose icon is this one, or looks like it.
    #[must_use]
    pub fn same_icon(&self, name: &str, digest: Option<Digest>, shape: Option<u64>) -> Option<&str> {
        let digest = digest?;
        let resembles = |entry: &Entry| {
            entry.card.card().icon == Some(digest)
                || shape.zip(entry.icon_shape).is_some_and(|(one, other)| crate::icon::look_alike(one, other))
        };
        let mut others = self.entries.iter().filter(|(other, _)| other.as_str() != name);
        others.find(|(_, entry)| resembles(entry)).map(|(other, _)| other.as_str())
    }

    /// Revokes a key.
    pub fn revoke(
        &mut self,
        persona: &str,
        public_key: PublicKey,
        at: Timestamp,
        reason: &str,
        installation: &KeyPair,
    ) {
        let statement = Revocation::statement(persona, public_key, at, reason);
        let signature = installation.sign(REVOCATION, &statement);
        let (persona, reason) = (persona.to_owned(), reason.to_owned());
        self.revocations.push(Revocation { persona, public_key, at, reason, signature });
    }

    /// Whether a key was revoked.
    #[must_use]
    pub fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revocations.iter().any(|revocation| revocation.public_key == *key)
    }

    /// How a card that somebody shows stands to the registered one.
    #[must_use]
    pub fn standing(&self, shown: &SignedCard, installation: &PublicKey) -> Standing {
        let Some(entry) = self.entry(shown.card().name.as_str()) else { return Standing::Unknown };
        let (shown_card, current) = (shown.card(), entry.card.card());
        if self.is_revoked(&shown_card.public_key) {
            Standing::Revoked
        } else if *shown == entry.card {
            Standing::Current
        } else if shown_card.icon != current.icon {
            Standing::WrongIcon
        } else if shown_card.version != current.version || shown_card.file != current.file {
            Standing::WrongVersion
        } else if shown.is_signed_by(installation) {
            // Signed, and yet not the card of this version: only an earlier registry can have held it.
            Standing::WrongVersion
        } else {
            Standing::BadSignature
        }
    }

    /// What is wrong with the signatures of the registry.
    #[must_use]
    pub fn faults(&self, installation: &PublicKey) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, entry) in &self.entries {
            if entry.card.card().name.as_str() != name || !entry.card.is_signed_by(installation) {
                faults.push(format!("the card of `{name}` is not signed by this installation"));
            }
            if !entry.successions.iter().all(|succession| succession.holds(name, installation)) {
                faults
                    .push(format!("a change of the key of `{name}` is not signed by the old key and the installation"));
            }
        }
        for revocation in self.revocations.iter().filter(|revocation| !revocation.holds(installation)) {
            faults
                .push(format!("a revocation of a key of `{}` is not signed by this installation", revocation.persona));
        }
        faults
    }
}
