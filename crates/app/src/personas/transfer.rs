//! Personas from files of other programs, and to them.
//!
//! Owns walking directories, where results go, and the audit. Leaves out the dialects.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::{Path, PathBuf},
};

use masque_persona::{
    Origin,
    dialect::{self, Dialect, Found, Import, Imported, Loss, OriginRecord, Risk},
};
use masque_types::{actor::Actor, diagnostic::Diagnostic, digest::Digest, persona::Persona};
use serde::Serialize;
use serde_json::json;

use super::files::{self, Replace};
use crate::{App, Error, host::Host};

/// What is imported, and where to.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// The directory of personas that results go to.
    pub to: PathBuf,
    /// The dialect of all files; told from each file when absent.
    pub dialect: Option<&'static Dialect>,
    /// Whether personas that are there may be replaced.
    pub replace: Replace,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Its agents are personas now.
    Imported,
    /// It is a list of MCP servers, which was written in the usual form.
    Servers,
    /// It was imported before, and nothing changed since.
    Unchanged,
    /// It is no agent.
    Skipped,
    /// A persona of that name is there already.
    Exists,
    /// It cannot be read; the diagnostics say why.
    Failed,
}

/// One file of an import.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedFile {
    /// The file.
    pub file: String,
    /// The dialect that it was read as.
    pub dialect: Option<&'static str>,
    /// The first persona of it.
    pub name: Option<String>,
    /// All personas of it, or the servers of a list.
    pub names: Vec<String>,
    /// What became of it.
    pub status: ImportStatus,
    /// The files that were written.
    pub written: Vec<String>,
    /// What was noticed.
    pub diagnostics: Vec<Diagnostic>,
}

/// Directories that hold no agents of their own.
const LEFT_OUT: [&str; 5] = [".git", "node_modules", "target", ".venv", "__pycache__"];

/// Bounds of a walk; more is a mistake.
const MOST_FILES: usize = 100_000;
const DEEPEST: usize = 32;

/// No agent file is larger; what is beyond is not read.
const MOST_BYTES: u64 = (1 << 20) + 1;

impl App {
    /// Imports agent files as personas, and tells of each file as it is done.
    ///
    /// # Errors
    /// When a path does not exist, or a result cannot be written. Files that are wrong are no error.
    pub async fn import_personas(
        &self,
        actor: &Actor,
        order: &ImportOrder,
        mut each: impl FnMut(&ImportedFile),
    ) -> Result<BTreeMap<&'static str, usize>, Error> {
        let mut taken = BTreeSet::new();
        let mut counts = BTreeMap::new();
        for path in all_files(&order.paths)? {
            let done = import_file(&path, order, &mut taken)?;
            *counts.entry(status_name(done.status)).or_default() += 1;
            each(&done);
        }
        let detail = json!({ "from": order.paths, "files": counts });
        let target = order.to.display().to_string();
        self.audit_persona(actor, "persona.import", &target, detail).await?;
        Ok(counts)
    }
}

/// The name of a status in tables and counts.
#[must_use]
pub const fn status_name(status: ImportStatus) -> &'static str {
    match status {
        ImportStatus::Imported => "imported",
        ImportStatus::Servers => "servers",
        ImportStatus::Unchanged => "unchanged",
        ImportStatus::Skipped => "skipped",
        ImportStatus::Exists => "exists",
        ImportStatus::Failed => "failed",
    }
}

/// The regular files below some paths, in order. Links to directories are not followed, so there is no loop.
fn all_files(paths: &[PathBuf]) -> Result<BTreeSet<PathBuf>, Error> {
    let mut found = BTreeSet::new();
    for path in paths {
        let metadata = fs_err::metadata(path)
            .map_err(|error| Error::usage(error.to_string()).hint("name files and directories that exist"))?;
        if metadata.is_dir() {
            collect(path, 0, &mut found)?;
        } else {
            found.insert(path.clone());
        }
    }
    Ok(found)
}

fn collect(directory: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let is_left_out = entry.file_name().to_str().is_some_and(|name| LEFT_OUT.contains(&name));
        if kind.is_dir() && !is_left_out && depth < DEEPEST {
            collect(&path, depth + 1, found)?;
        } else if !kind.is_dir() && fs_err::metadata(&path).map_or(kind.is_symlink(), |target| target.is_file()) {
            found.insert(path);
        }
        if found.len() > MOST_FILES {
            let message = format!("{} holds more than {MOST_FILES} files", directory.display());
            return Err(Error::refused(message).hint("name the directories that hold agents"));
        }
    }
    Ok(())
}

fn import_file(path: &Path, order: &ImportOrder, taken: &mut BTreeSet<String>) -> Result<ImportedFile, Error> {
    let mut done = ImportedFile {
        file: path.display().to_string(),
        dialect: None,
        name: None,
        names: Vec::new(),
        status: ImportStatus::Failed,
        written: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut bytes = Vec::new();
    if let Err(error) = fs_err::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        let what = format!("the file cannot be read: {}", error.kind());
        done.diagnostics.push(Diagnostic::error(&done.file, what).at(1, 1).hint("check the link and the permissions"));
        return Ok(done);
    }
    let import = dialect::import(path, bytes.clone(), order.dialect);
    let failed = import.has_errors();
    let Import { dialect, found, diagnostics } = import;
    done.dialect = dialect;
    done.diagnostics = diagnostics;
    done.status = match found {
        Found::Nothing(reason) => {
            done.diagnostics.push(Diagnostic::warning(&done.file, format!("this is no agent: {reason}")));
            ImportStatus::Skipped
        }
        Found::Servers(list) => {
            done.names.clone_from(&list.names);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let target = order.to.join(format!("{}.mcp.json", stem.trim_start_matches('.')));
            let status = put(&target, list.text.as_bytes(), order.replace, &mut done)?;
            if status == ImportStatus::Imported { ImportStatus::Servers } else { status }
        }
        Found::Personas(personas) => {
            let mut status = ImportStatus::Imported;
            for persona in personas {
                match import_one(persona, path, &bytes, order, taken, &mut done)? {
                    ImportStatus::Imported => {}
                    other => status = other,
                }
            }
            status
        }
    };
    if failed {
        done.status = ImportStatus::Failed;
    }
    done.name = done.names.first().cloned();
    Ok(done)
}

fn import_one(
    mut imported: Imported,
    path: &Path,
    bytes: &[u8],
    order: &ImportOrder,
    taken: &mut BTreeSet<String>,
    done: &mut ImportedFile,
) -> Result<ImportStatus, Error> {
    let name = imported.persona.name.clone();
    if taken.contains(&name) {
        let free =
            (2..).map(|number| format!("{name}-{number}")).find(|other| !taken.contains(other)).unwrap_or_default();
        let what = format!("the name `{name}` is taken by another file of this import; this one becomes `{free}`");
        done.diagnostics.push(Diagnostic::warning(&done.file, what).hint("rename it if you like"));
        imported.rename(&free);
    }
    let name = imported.persona.name.clone();
    taken.insert(name.clone());
    done.names.push(name.clone());
    let status = put(&order.to.join(format!("{name}.md")), imported.text.as_bytes(), order.replace, done)?;
    if !matches!(status, ImportStatus::Imported | ImportStatus::Unchanged) {
        return Ok(status);
    }
    let beside = order.to.join(&name);
    match &imported.origin {
        Some(origin) => {
            let record = serde_json::to_string_pretty(origin).map_err(|error| Error::environment(error.to_string()))?;
            files::write(&beside.join(&origin.file), bytes, Replace::Allowed)?;
            files::write(&beside.join(OriginRecord::FILE), (record + "\n").as_bytes(), Replace::Allowed)?;
            done.written.push(beside.join(OriginRecord::FILE).display().to_string());
        }
        None => {
            let source = path.with_extension("");
            if source.is_dir() && source != beside {
                let copied = files::copy_beside(&source, &beside, order.replace)?;
                done.written.extend(copied.iter().map(|path| path.display().to_string()));
            }
        }
    }
    Ok(status)
}

/// Writes a result, unless something else stands there.
fn put(target: &Path, content: &[u8], replace: Replace, done: &mut ImportedFile) -> Result<ImportStatus, Error> {
    if fs_err::read(target).is_ok_and(|there| there == content) {
        return Ok(ImportStatus::Unchanged);
    }
    if target.exists() && replace == Replace::Never {
        let what = format!("{} is there already and differs", target.display());
        done.diagnostics.push(Diagnostic::warning(&done.file, what).hint("compare the two; `--force` replaces it"));
        return Ok(ImportStatus::Exists);
    }
    files::write(target, content, replace)?;
    done.written.push(target.display().to_string());
    Ok(ImportStatus::Imported)
}

/// A persona in another dialect.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// The persona.
    pub name: String,
    /// The dialect.
    pub dialect: &'static str,
    /// Where a file of the dialect stands usually.
    pub place: String,
    /// The file.
    pub text: String,
    /// Whether it is the very file that the persona came from.
    pub original: bool,
    /// What it does not say, the most dangerous first.
    pub losses: Vec<Loss>,
    /// Files that belong beside it.
    #[serde(skip)]
    pub beside: Vec<(String, String)>,
}

/// All dialects that something can be exported to: those of agents, then those of lists of servers.
pub fn export_dialects() -> Vec<&'static str> {
    dialect::DIALECTS.iter().map(|dialect| dialect.id).chain(dialect::server_lists()).collect()
}

/// The dialect of a name.
///
/// # Errors
/// When there is none.
pub fn dialect_named(id: &str) -> Result<&'static Dialect, Error> {
    Dialect::find(id).ok_or_else(|| {
        let all: Vec<&str> = dialect::DIALECTS.iter().map(|dialect| dialect.id).collect();
        Error::usage(format!("there is no dialect `{id}` of agent files")).hint(format!("known: {}", all.join(", ")))
    })
}

/// Writes a persona in a dialect.
///
/// # Errors
/// When there is no such persona or dialect, or when a restriction would be lost and `weaker` does not allow that.
pub fn export(host: &Host, project: &Path, name: &str, id: &str, weaker: Weaker) -> Result<Exported, Error> {
    let catalog = super::catalog(host, project);
    let loaded = super::find(&catalog, name)?;
    let persona = &loaded.persona;
    let exported = match Dialect::find(id) {
        Some(dialect) => in_dialect(persona, loaded.origin, dialect),
        None => as_list(persona, id)?,
    };
    let gone: Vec<&Loss> = exported.losses.iter().filter(|loss| loss.risk == Risk::Security).collect();
    if weaker == Weaker::Refused && !gone.is_empty() {
        let lines = gone.iter().map(|loss| format!("\n  {}: {}", loss.field, loss.reason));
        let message = format!("{id} cannot say all restrictions of `{name}`:{}", lines.collect::<String>());
        return Err(Error::refused(message).hint("restrict the other program by its own means, then: --allow-weaker"));
    }
    Ok(exported)
}

/// Whether an export may drop restrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weaker {
    /// It may not.
    Refused,
    /// Somebody said that it may.
    Allowed,
}

fn in_dialect(persona: &Persona, from: Origin, dialect: &'static Dialect) -> Exported {
    let mut exported = Exported {
        name: persona.name.clone(),
        dialect: dialect.id,
        place: dialect.place_of(&persona.name),
        text: String::new(),
        original: false,
        losses: Vec::new(),
        beside: Vec::new(),
    };
    let origin = origin_of(persona);
    if let Some(text) = original(persona, from, dialect, origin.as_ref()) {
        return Exported { text, original: true, ..exported };
    }
    let export = dialect::export(persona, dialect, origin.as_ref().map(|(record, _)| record));
    (exported.text, exported.losses, exported.beside) = (export.text, export.losses, export.beside);
    exported
}

fn as_list(persona: &Persona, id: &str) -> Result<Exported, Error> {
    let Some((text, losses)) = dialect::export_servers(persona, id) else {
        let error = Error::usage(format!("there is no dialect `{id}`"));
        return Err(error.hint(format!("known: {}", export_dialects().join(", "))));
    };
    let dialect = export_dialects().into_iter().find(|known| *known == id).unwrap_or_default();
    let (name, place) = (persona.name.clone(), String::new());
    Ok(Exported { name, dialect, place, text, original: false, losses, beside: Vec::new() })
}

/// The record of where a persona was imported from, with the directory that it stands in.
fn origin_of(persona: &Persona) -> Option<(OriginRecord, PathBuf)> {
    let directory = Path::new(&persona.source).with_extension("");
    let text = fs_err::read_to_string(directory.join(OriginRecord::FILE)).ok()?;
    Some((serde_json::from_str(&text).ok()?, directory))
}

/// The very file of that dialect that the persona came from, if it was not edited since.
fn original(
    persona: &Persona,
    from: Origin,
    dialect: &Dialect,
    origin: Option<&(OriginRecord, PathBuf)>,
) -> Option<String> {
    let own = if from == Origin::ProjectClaude { "claude" } else { "agents" };
    if dialect.id == own {
        return match from {
            Origin::Bundled => {
                masque_persona::bundled_files(&persona.name)?.first().map(|(_, text)| (*text).to_owned())
            }
            _ => fs_err::read_to_string(&persona.source).ok(),
        };
    }
    let (record, directory) = origin.filter(|(record, _)| record.dialect == dialect.id && record.whole)?;
    let unedited = Digest::of(fs_err::read(&persona.source).ok()?) == record.persona;
    let is_plain = Path::new(&record.file).file_name().is_some_and(|name| name == record.file.as_str());
    if !unedited || !is_plain || directory.join("mcp.json").exists() {
        return None;
    }
    let text = fs_err::read_to_string(directory.join(&record.file)).ok()?;
    (Digest::of(&text) == record.digest).then_some(text)
}

impl App {
    /// Writes an export to a file, and what belongs beside it into the directory of the same name.
    ///
    /// # Errors
    /// When a file is there already and may not be replaced, or cannot be written.
    pub async fn write_export(
        &self,
        actor: &Actor,
        exported: &Exported,
        to: &Path,
        replace: Replace,
    ) -> Result<(), Error> {
        files::write(to, exported.text.as_bytes(), replace)?;
        let directory = to.with_extension("");
        for (path, text) in &exported.beside {
            files::write(&directory.join(path), text.as_bytes(), replace)?;
        }
        let lost: Vec<&str> = exported.losses.iter().map(|loss| loss.field).collect();
        let detail = json!({ "dialect": exported.dialect, "to": to, "lost": lost });
        self.audit_persona(actor, "persona.export", &exported.name, detail).await
    }
}
