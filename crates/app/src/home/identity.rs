//! Who personas are: their icons and their identities.

use masque_home::{
    home::Home,
    icon::Icon,
    identity::{SignedCard, Subject},
    name::Name,
};
use masque_types::{actor::Actor, persona::Persona};
use serde_json::json;

use crate::{App, Error, host::Host};

impl App {
    /// Cleans an icon and keeps it in the persona's home, in place of the one of its file. Gives it, with what was
    /// removed from it.
    ///
    /// # Errors
    /// When it cannot be an icon, or looks like another persona's.
    pub async fn set_icon(&self, actor: &Actor, persona: &Persona, svg: &[u8]) -> Result<Icon, Error> {
        let icon = Icon::clean(svg)?;
        let homes = self.homes()?;
        let registry = homes.identities().registry()?;
        if let Some(other) = registry.same_icon(&persona.name, Some(icon.digest()), Some(icon.shape())) {
            return Err(masque_home::Error::SameIcon { other: other.to_owned() }.into());
        }
        let home = homes.create(&Name::of_persona(&persona.name)?)?;
        home.set_icon(&icon)?;
        let detail = json!({ "icon": icon.digest(), "removed": icon.removed() });
        self.audit_kept(actor, "persona.icon", &persona.name, detail).await?;
        Ok(icon)
    }

    /// The card of a persona, made or renewed so that it says what the persona is now. Whether it is a new one.
    ///
    /// # Errors
    /// When the name or the icon could be taken for another persona's, or a file is damaged.
    pub async fn identity(&self, actor: &Actor, persona: &Persona) -> Result<(SignedCard, bool), Error> {
        let homes = self.homes()?;
        let home = homes.create(&Name::of_persona(&persona.name)?)?;
        let (identity, is_new) = homes.identities().ensure(&subject(&home, persona)?, self.now())?;
        if is_new {
            self.audit_card(actor, "persona.identity", &identity.card).await?;
        }
        Ok((identity.card, is_new))
    }

    /// Gives a persona a new key; the old one is revoked.
    ///
    /// # Errors
    /// When it has no identity, or a file cannot be written.
    pub async fn rotate_identity(&self, actor: &Actor, persona: &Persona) -> Result<SignedCard, Error> {
        let homes = self.homes()?;
        let home = homes.create(&Name::of_persona(&persona.name)?)?;
        let identity = homes.identities().rotate(&subject(&home, persona)?, self.now())?;
        self.audit_card(actor, "persona.rotate", &identity.card).await?;
        Ok(identity.card)
    }

    /// Revokes the key of a persona, which then cannot prove who it is until it gets another one.
    ///
    /// # Errors
    /// When it has no identity, or the registry cannot be written.
    pub async fn revoke_identity(&self, actor: &Actor, name: &str, reason: &str) -> Result<String, Error> {
        let key = self.homes()?.identities().revoke(&Name::of_persona(name)?, reason, self.now())?;
        self.audit_kept(actor, "persona.revoke", name, json!({ "public_key": key, "reason": reason })).await?;
        Ok(key.to_string())
    }

    /// Whether the key of a card was revoked.
    ///
    /// # Errors
    /// When the registry is damaged.
    pub fn is_revoked(&self, card: &SignedCard) -> Result<bool, Error> {
        Ok(self.homes()?.identities().registry()?.is_revoked(&card.card().public_key))
    }

    async fn audit_card(&self, actor: &Actor, action: &str, card: &SignedCard) -> Result<(), Error> {
        let said = card.card();
        let detail = json!({
            "card": card.digest(),
            "version": said.version,
            "public_key": said.public_key,
            "key_epoch": said.key_epoch,
        });
        self.audit_kept(actor, action, said.name.as_str(), detail).await
    }
}

/// The icon of a persona: of its home, else of its file.
///
/// # Errors
/// When the icon cannot be shown: it is damaged, or no clean picture.
pub fn icon(host: &Host, persona: &Persona) -> Result<Option<Icon>, Error> {
    let name = Name::of_persona(&persona.name)?;
    // Looking at a persona makes no keys.
    if !host.home.join("personas").join(name.as_str()).is_dir() {
        return icon_of(None, persona);
    }
    let homes = super::open(host)?;
    icon_of(homes.find(&name)?.as_ref(), persona)
}

/// Whether the key that a persona has now was revoked.
///
/// # Errors
/// When a key or the registry cannot be read.
pub(crate) fn is_revoked(host: &Host, persona: &str) -> Result<bool, Error> {
    let homes = super::open(host)?;
    let registry = homes.identities().registry()?;
    Ok(registry.entry(persona).is_some_and(|entry| registry.is_revoked(&entry.card.card().public_key)))
}

pub(super) fn icon_of(home: Option<&Home>, persona: &Persona) -> Result<Option<Icon>, Error> {
    if let Some(icon) = home.map(Home::icon).transpose()?.flatten() {
        return Ok(Some(icon));
    }
    Ok(persona.display.icon.as_ref().map(|icon| Icon::clean(icon.as_bytes())).transpose()?)
}

/// What the card of a persona is to say.
pub(super) fn subject(home: &Home, persona: &Persona) -> Result<Subject, Error> {
    let icon = icon_of(Some(home), persona)?;
    Ok(Subject {
        name: home.name().clone(),
        file: persona.digest,
        icon: icon.map(|icon| (icon.digest(), icon.shape())),
    })
}
