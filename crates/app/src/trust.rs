//! Trust in a project: whether what comes with it may start programs. Bound to the content that was trusted, so that
//! a later change of that content asks again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use masque_types::{actor::Actor, digest::Digest, persona::Persona};
use serde_json::json;

use crate::{App, Error, audit, host::Host};

/// What of a project can start programs or widen what runs may do.
const TRUSTED_CONTENT: [&str; 4] = [".agents", ".claude", ".masque", ".mcp.json"];

/// Bounds of that content. A persona's files are small; more is a mistake or an attack.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 64 << 20;

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
        let entry = audit::entry(self.now(), actor, action, None, key, json!({ "digest": digest }));
        Ok(self.store.audit(entry).await?)
    }
}

pub(crate) fn trust_of(host: &Host, project: &Path) -> Result<Trust, Error> {
    let brings = |name: &&str| {
        let path = project.join(name);
        path.exists() && !masque_sandbox::is_placeholder_at(&path)
    };
    match read_list(host)?.get(&project.display().to_string()) {
        Some(trusted) if *trusted == content_digest(project)? => Ok(Trust::Trusted),
        Some(_) => Ok(Trust::Changed),
        None if TRUSTED_CONTENT.iter().any(brings) => Ok(Trust::Unknown),
        None => Ok(Trust::NothingToTrust),
    }
}

/// Whether a persona may have what widens its rights: MCP servers, paths outside the workspace, the network. Those of
/// the user and the bundled ones may; one that came with a project only as long as the user trusts that project with
/// the very content that the persona was loaded from.
///
/// # Errors
/// When the list of trusted projects or the project's content cannot be read.
pub(crate) fn is_persona_trusted(host: &Host, persona: &Persona) -> Result<bool, Error> {
    let source = Path::new(&persona.source);
    if persona.source == "bundled" || source.starts_with(host.config.join("agents")) {
        return Ok(true);
    }
    let Some(project) = project_of(source) else { return Ok(false) };
    if trust_of(host, project)? != Trust::Trusted {
        return Ok(false);
    }
    let (now, _) = masque_persona::read_file(source, &crate::personas::sources(host, project));
    Ok(now.is_some_and(|now| now.digest == persona.digest))
}

/// The project that a persona's file belongs to, by the file's own path: what marks a project may change meanwhile.
fn project_of(source: &Path) -> Option<&Path> {
    let holds = |directory: &&Path| directory.file_name().is_some_and(|name| name == ".agents" || name == ".claude");
    source.ancestors().find(holds).and_then(Path::parent)
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
    let mut content = Content { project, files: Vec::new(), bytes: 0 };
    for name in TRUSTED_CONTENT {
        content.collect(&project.join(name), 0)?;
    }
    content.files.sort();
    Ok(Digest::of_parts(content.files.iter().flat_map(|(path, content)| [path.as_slice(), content.as_slice()])))
}

/// The files that trust is about, while they are collected.
struct Content<'a> {
    project: &'a Path,
    files: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: u64,
}

impl Content<'_> {
    /// Takes a file, or all files below a directory. A link counts by its target's name and by what stands there: the
    /// target may be a place that personas can write.
    fn collect(&mut self, path: &Path, depth: usize) -> Result<(), Error> {
        // Standards are text: they start nothing, and an approved one must not end the trust.
        if path == self.project.join(".masque/standards") {
            return Ok(());
        }
        let Ok(metadata) = fs_err::symlink_metadata(path) else { return Ok(()) };
        let name = path.strip_prefix(self.project).unwrap_or(path).as_os_str().as_encoded_bytes().to_vec();
        if metadata.is_symlink() {
            self.files.push((name.clone(), fs_err::read_link(path)?.into_os_string().into_encoded_bytes()));
        }
        let Ok(metadata) = fs_err::metadata(path) else { return Ok(()) };
        self.bytes = self.bytes.saturating_add(metadata.len());
        if depth > DEEPEST || self.files.len() > MOST_FILES || self.bytes > MOST_BYTES {
            let what = format!("{}: too much to look through for trust", self.project.display());
            return Err(Error::refused(what).hint("look for a link that leads to a large directory or to itself"));
        }
        if metadata.is_dir() {
            for entry in fs_err::read_dir(path)? {
                self.collect(&entry?.path(), depth + 1)?;
            }
        } else if metadata.is_file() {
            self.files.push((name, fs_err::read(path)?));
        }
        Ok(())
    }
}
