//! Trust in a project: whether what comes with it may start programs. Bound to the content that was trusted, so that
//! a later change of that content asks again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_store::NewAudit;
use masque_types::{actor::Actor, digest::Digest};
use serde_json::json;

use crate::{App, Error, host::Host};

/// What of a project can start programs or widen what runs may do.
const TRUSTED_CONTENT: [&str; 4] = [".agents", ".claude", ".masque", ".mcp.json"];

/// Whether a project is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It is, with this content.
    Trusted,
    /// It was, and its content changed since.
    Changed,
    /// It never was.
    Unknown,
    /// It brings nothing that would need trust.
    NothingToTrust,
}

impl Trust {
    /// Whether programs that the project brings may start.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Trusted | Self::NothingToTrust)
    }
}

impl App {
    /// Whether a project is trusted.
    ///
    /// # Errors
    /// When the list of trusted projects or the project's content cannot be read.
    pub fn trust_of(&self, project: &Path) -> Result<Trust, Error> {
        trust_of(&self.host, project)
    }

    /// Trusts a project with the content that it has now.
    ///
    /// # Errors
    /// When the list of trusted projects cannot be read or written.
    pub async fn trust(&self, actor: &Actor, project: &Path) -> Result<Digest, Error> {
        let digest = content_digest(project)?;
        self.change_trust(actor, project, Some(digest)).await?;
        Ok(digest)
    }

    /// Takes the trust back.
    ///
    /// # Errors
    /// As for [`Self::trust`].
    pub async fn distrust(&self, actor: &Actor, project: &Path) -> Result<(), Error> {
        self.change_trust(actor, project, None).await
    }

    async fn change_trust(&self, actor: &Actor, project: &Path, digest: Option<Digest>) -> Result<(), Error> {
        let mut trusted = read_list(&self.host)?;
        let key = project.display().to_string();
        match digest {
            Some(digest) => trusted.insert(key.clone(), digest),
            None => trusted.remove(&key),
        };
        let text = serde_json::to_string_pretty(&trusted).map_err(|error| Error::environment(error.to_string()))?;
        fs_err::create_dir_all(&self.host.home)?;
        let path = list_path(&self.host);
        let fresh = path.with_extension("json.new");
        fs_err::write(&fresh, text)?;
        fs_err::rename(&fresh, &path)?;
        let action = if digest.is_some() { "project.trust" } else { "project.distrust" };
        let audit = NewAudit {
            at: self.clock.now(),
            actor: actor.clone(),
            action: action.to_owned(),
            run: None,
            target: key,
            detail: json!({ "digest": digest }),
        };
        Ok(self.store.audit(audit).await?)
    }
}

pub(crate) fn trust_of(host: &Host, project: &Path) -> Result<Trust, Error> {
    if !TRUSTED_CONTENT.iter().any(|name| project.join(name).exists()) {
        return Ok(Trust::NothingToTrust);
    }
    let digest = content_digest(project)?;
    Ok(match read_list(host)?.get(&project.display().to_string()) {
        Some(trusted) if *trusted == digest => Trust::Trusted,
        Some(_) => Trust::Changed,
        None => Trust::Unknown,
    })
}

fn list_path(host: &Host) -> PathBuf {
    host.home.join("trusted.json")
}

fn read_list(host: &Host) -> Result<BTreeMap<String, Digest>, Error> {
    let path = list_path(host);
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::environment(format!("{} is damaged: {error}", path.display()))
            .hint("remove the file and trust your projects again")
    })
}

/// The digest of names and contents of everything that trust is about.
fn content_digest(project: &Path) -> Result<Digest, Error> {
    let mut files = Vec::new();
    for name in TRUSTED_CONTENT {
        collect(project, &project.join(name), &mut files)?;
    }
    files.sort();
    Ok(Digest::of_parts(files.iter().flat_map(|(path, content)| [path.as_slice(), content.as_slice()])))
}

/// Takes a file, or all files below a directory. A link counts by its target's name: it is not followed.
fn collect(project: &Path, path: &Path, files: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), Error> {
    let Ok(metadata) = fs_err::symlink_metadata(path) else { return Ok(()) };
    let name = path.strip_prefix(project).unwrap_or(path).as_os_str().as_encoded_bytes().to_vec();
    if metadata.is_symlink() {
        files.push((name, fs_err::read_link(path)?.into_os_string().into_encoded_bytes()));
    } else if metadata.is_dir() {
        for entry in fs_err::read_dir(path)? {
            collect(project, &entry?.path(), files)?;
        }
    } else if metadata.is_file() {
        files.push((name, fs_err::read(path)?));
    }
    Ok(())
}
