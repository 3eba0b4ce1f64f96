//! Secrets of the user: sealed in `secrets.json` in Masque's home, and which persona may use which of them.
//!
//! A persona gets a secret only when its file names it, the user granted it to this very persona, and the file says of it
//! what it said when it was granted: the same hosts for a secret that is put in at the border, the very same persona for
//! one that a program sees. Leaves out the project's trust, which comes first, and what happens at the border.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use masque_home::seal::Vault;
use masque_tools::environment::HeldSecret;
use masque_types::{
    actor::Actor,
    diagnostic::Diagnostic,
    digest::{Digest, canonical_json},
    persona::{Injection, Persona, SecretGrant},
    secret::Secret,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    App, Error, audit, home,
    host::Host,
    keys::{self, Sealed},
};

/// What the entries of the sealed file are bound to, beside their names.
const KIND: &str = "secret";
/// Longest name.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    version: u32,
    secrets: BTreeMap<String, Sealed>,
    grants: Vec<Granted>,
}

/// That a persona may use a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The secret.
    pub secret: String,
    /// The persona.
    pub persona: String,
    /// The file that the persona comes from.
    pub source: String,
    /// What the persona's file said of the secret.
    pub digest: Digest,
}

/// A secret without its value.
#[derive(Debug, Clone, Serialize)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// Whether a value is sealed.
    pub is_set: bool,
    /// The personas that it is granted to, each with its file.
    pub granted: Vec<(String, String)>,
}

/// Where a persona stands with one of its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may use it.
    Granted,
    /// It was granted, and the file says something else of it since.
    Changed,
    /// It never was granted.
    NotGranted,
    /// There is no value.
    NotSet,
    /// It was granted, and the persona's key was revoked.
    Revoked,
}

impl App {
    /// Seals the value of a secret.
    ///
    /// # Errors
    /// When the name or the value cannot be one, or the files cannot be written.
    pub async fn set_secret(&self, actor: &Actor, name: &str, value: &Secret) -> Result<(), Error> {
        check_name(name)?;
        let value = Secret::new(value.expose().trim_end_matches(['\n', '\r']));
        if value.expose().is_empty() || value.expose().chars().any(char::is_control) {
            return Err(Error::usage("the value is empty or holds control characters").hint("give it on one line"));
        }
        let mut file = read(&self.host)?;
        file.secrets.insert(name.to_owned(), keys::seal(&self.host, &sealed_name(name), &value)?);
        write(&self.host, &file)?;
        self.audit_secret(actor, "secret.set", name, json!({})).await
    }

    /// Removes a secret and all its grants. Environments that use it lose it.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub async fn remove_secret(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let mut file = read(&self.host)?;
        if file.secrets.remove(name).is_none() {
            return Err(unknown(name));
        }
        file.grants.retain(|granted| granted.secret != name);
        write(&self.host, &file)?;
        self.audit_secret(actor, "secret.remove", name, json!({})).await
    }

    /// All secrets, without values.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn secrets(&self) -> Result<Vec<SecretView>, Error> {
        let file = read(&self.host)?;
        let mut names: Vec<&String> = file.secrets.keys().collect();
        names.extend(file.grants.iter().map(|granted| &granted.secret));
        names.sort();
        names.dedup();
        let granted = |name: &str| {
            let grants = file.grants.iter().filter(|granted| granted.secret == name);
            grants.map(|granted| (granted.persona.clone(), granted.source.clone())).collect()
        };
        let view = |name: &String| SecretView {
            name: name.clone(),
            is_set: file.secrets.contains_key(name),
            granted: granted(name),
        };
        Ok(names.into_iter().map(view).collect())
    }

    /// Lets a persona use a secret in the way that its file says now; gives that way.
    ///
    /// # Errors
    /// When the persona's file does not name the secret, or the file cannot be written.
    pub async fn grant_secret(&self, actor: &Actor, name: &str, persona: &Persona) -> Result<SecretGrant, Error> {
        let grant = persona.secrets.iter().find(|grant| grant.name == name).ok_or_else(|| {
            Error::usage(format!("persona `{}` does not ask for a secret `{name}`", persona.name))
                .hint("name it in its file: masque: { secrets: [{ name: …, hosts: [ … ] }] }")
        })?;
        let mut file = read(&self.host)?;
        if !file.secrets.contains_key(name) {
            return Err(unknown(name));
        }
        let granted = Granted {
            secret: name.to_owned(),
            persona: persona.name.clone(),
            source: persona.source.clone(),
            digest: terms(persona, grant),
        };
        file.grants.retain(|other| !is_same(other, &granted));
        file.grants.push(granted);
        write(&self.host, &file)?;
        let detail =
            json!({ "persona": persona.name, "source": persona.source, "inject": grant.inject, "hosts": grant.hosts });
        self.audit_secret(actor, "secret.grant", name, detail).await?;
        Ok(grant.clone())
    }

    /// Takes a secret back from a persona, or from all of them; gives how many lost it. Environments that use it lose it
    /// within seconds.
    ///
    /// # Errors
    /// When nobody has it, or the file cannot be written.
    pub async fn revoke_secret(&self, actor: &Actor, name: &str, persona: Option<&str>) -> Result<usize, Error> {
        let mut file = read(&self.host)?;
        let before = file.grants.len();
        file.grants
            .retain(|granted| granted.secret != name || persona.is_some_and(|persona| granted.persona != persona));
        let revoked = before - file.grants.len();
        if revoked == 0 {
            let whom = persona.map_or_else(|| "nobody".to_owned(), |persona| format!("no persona `{persona}`"));
            return Err(Error::usage(format!("secret `{name}` is granted to {whom}"))
                .hint("`masque secret list` shows who has what"));
        }
        write(&self.host, &file)?;
        self.audit_secret(actor, "secret.revoke", name, json!({ "persona": persona })).await?;
        Ok(revoked)
    }

    async fn audit_secret(
        &self,
        actor: &Actor,
        action: &str,
        name: &str,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        Ok(self.store.audit(audit::entry(self.now(), actor, action, None, name, detail)).await?)
    }
}

/// The secrets that a persona may use now, and why it does not get the others.
///
/// # Errors
/// When the file is damaged.
pub(crate) fn held(host: &Host, persona: &Persona) -> Result<(Vec<HeldSecret>, Vec<Diagnostic>), Error> {
    let (mut held, mut diagnostics) = (Vec::new(), Vec::new());
    if persona.secrets.is_empty() {
        return Ok((held, diagnostics));
    }
    let file = read(host)?;
    for (grant, standing) in standings_in(host, &file, persona)? {
        let name = &grant.name;
        let (why, hint) = match (standing, file.secrets.get(name)) {
            (Standing::Granted, Some(sealed)) => {
                let value = keys::unseal(host, &sealed_name(name), sealed)?;
                held.push(HeldSecret { grant, value });
                continue;
            }
            (Standing::Granted | Standing::NotSet, _) => ("has no value", format!("masque secret set {name}")),
            (Standing::Revoked, _) => (
                "is kept from it, for its key was revoked",
                format!("masque persona identity {} --rotate", persona.name),
            ),
            (Standing::NotGranted, _) => {
                ("is not granted to this persona", format!("masque secret grant {name} {}", persona.name))
            }
            (Standing::Changed, _) => (
                "was granted on other terms than the file has now",
                format!("look at what changed, then: masque secret grant {name} {}", persona.name),
            ),
        };
        let message = format!("secret `{name}` {why}; programs do without it");
        diagnostics.push(Diagnostic::warning(&persona.source, message).hint(hint));
    }
    Ok((held, diagnostics))
}

/// Where a persona stands with each of its secrets.
///
/// # Errors
/// When the file is damaged.
pub(crate) fn standings(host: &Host, persona: &Persona) -> Result<Vec<(SecretGrant, Standing)>, Error> {
    standings_in(host, &read(host)?, persona)
}

fn standings_in(host: &Host, file: &SecretFile, persona: &Persona) -> Result<Vec<(SecretGrant, Standing)>, Error> {
    let standing = |grant: &SecretGrant| (grant.clone(), standing_in(file, persona, grant));
    let mut standings: Vec<_> = persona.secrets.iter().map(standing).collect();
    let granted = |standing: &Standing| *standing == Standing::Granted;
    if standings.iter().any(|(_, standing)| granted(standing)) && home::is_revoked(host, &persona.name)? {
        for (_, standing) in standings.iter_mut().filter(|(_, standing)| granted(standing)) {
            *standing = Standing::Revoked;
        }
    }
    Ok(standings)
}

fn standing_in(file: &SecretFile, persona: &Persona, grant: &SecretGrant) -> Standing {
    if !file.secrets.contains_key(&grant.name) {
        return Standing::NotSet;
    }
    let of_persona = |granted: &&Granted| {
        granted.secret == grant.name && granted.persona == persona.name && granted.source == persona.source
    };
    match file.grants.iter().find(of_persona) {
        None => Standing::NotGranted,
        Some(granted) if granted.digest == terms(persona, grant) => Standing::Granted,
        Some(_) => Standing::Changed,
    }
}

/// What a grant is bound to: where the value may go, or everything that the persona is made of when a program sees it.
fn terms(persona: &Persona, grant: &SecretGrant) -> Digest {
    match grant.inject {
        Injection::Environment => persona.digest,
        Injection::Header => {
            let mut hosts = grant.hosts.clone();
            hosts.sort();
            Digest::of(canonical_json(&json!({ "name": grant.name, "inject": "header", "hosts": hosts })))
        }
    }
}

fn is_same(one: &Granted, other: &Granted) -> bool {
    one.secret == other.secret && one.persona == other.persona && one.source == other.source
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
    if begins && name.len() <= LONGEST_NAME && name.bytes().all(good) {
        return Ok(());
    }
    Err(Error::usage(format!("`{}` is no name for a secret", name.escape_debug()))
        .hint("use capital letters, digits and `_`, such as ZENODO_TOKEN: programs find it under this name"))
}

fn unknown(name: &str) -> Error {
    Error::usage(format!("there is no secret `{}`", name.escape_debug())).hint(format!("masque secret set {name}"))
}

/// Seals all secrets again with the newest key of the vault; how many there are.
///
/// # Errors
/// When one cannot be unsealed, or the file cannot be written.
pub(crate) fn reseal(host: &Host, vault: &Vault) -> Result<usize, Error> {
    let mut file = read(host)?;
    if file.secrets.is_empty() {
        return Ok(0);
    }
    keys::reseal_all(host, vault, &mut file.secrets, sealed_name)?;
    write(host, &file)?;
    Ok(file.secrets.len())
}

fn sealed_name(name: &str) -> String {
    format!("{KIND}/{name}")
}

/// Which state of the file it is: another one after every change, which replaces the file.
pub(crate) type Stamp = Option<(u64, i64, i64)>;

/// The state of the file now; none when there is no file.
pub(crate) fn stamp(host: &Host) -> Stamp {
    let metadata = fs_err::metadata(path(host)).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The file that says which secrets there are and who has them.
fn path(host: &Host) -> PathBuf {
    host.home.join("secrets.json")
}

fn read(host: &Host) -> Result<SecretFile, Error> {
    let path = path(host);
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(SecretFile { version: 1, ..SecretFile::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let file: SecretFile = serde_json::from_str(&text).map_err(|error| damaged(&path, &error.to_string()))?;
    if file.version == 1 { Ok(file) } else { Err(damaged(&path, "it is of another version")) }
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::environment(format!("{} cannot be used: {what}", path.display()))
        .hint("remove the file, then set and grant your secrets again: masque secret set NAME")
}

fn write(host: &Host, file: &SecretFile) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(file).map_err(|error| Error::environment(error.to_string()))?;
    keys::write_private(&path(host), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persona(inject: Injection, hosts: &[&str]) -> Persona {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let grant = SecretGrant { name: "TOKEN".to_owned(), inject, hosts };
        Persona { secrets: vec![grant], ..Persona::new("p") }
    }

    fn granted_to(persona: &Persona) -> SecretFile {
        let granted = Granted {
            secret: "TOKEN".to_owned(),
            persona: persona.name.clone(),
            source: persona.source.clone(),
            digest: terms(persona, &persona.secrets[0]),
        };
        let sealed = serde_json::from_value(json!({ "nonce": "", "sealed": "" })).unwrap();
        SecretFile { version: 1, secrets: [("TOKEN".to_owned(), sealed)].into(), grants: vec![granted] }
    }

    #[test]
    fn a_grant_holds_for_this_persona_on_these_terms_only() {
        let one = persona(Injection::Header, &["a.org", "b.org"]);
        let file = granted_to(&one);
        let standing = |persona: &Persona| standing_in(&file, persona, &persona.secrets[0]);
        assert_eq!(standing(&one), Standing::Granted);
        assert_eq!(standing(&persona(Injection::Header, &["b.org", "a.org"])), Standing::Granted);
        assert_eq!(standing(&persona(Injection::Header, &["a.org", "evil.org"])), Standing::Changed);
        assert_eq!(standing(&persona(Injection::Environment, &[])), Standing::Changed);
        assert_eq!(standing(&Persona { name: "q".into(), ..one.clone() }), Standing::NotGranted);
        assert_eq!(standing(&Persona { source: "/elsewhere/p.md".into(), ..one.clone() }), Standing::NotGranted);

        let seen = persona(Injection::Environment, &[]);
        let file = granted_to(&seen);
        assert_eq!(standing_in(&file, &seen, &seen.secrets[0]), Standing::Granted);
        let changed = Persona { digest: Digest::of("another server"), ..seen };
        assert_eq!(standing_in(&file, &changed, &changed.secrets[0]), Standing::Changed, "a program would see it");
    }

    #[test]
    fn names_are_variables() {
        for good in ["A", "ZENODO_TOKEN", "KEY2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for wrong in ["", "a", "2A", "_A", "A-B", "A B", "Ä", &"A".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
