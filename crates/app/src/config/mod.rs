//! Configuration: options declared once, resolved from layers, each value with the layer that it came from.
//!
//! Layers, later wins: built-in, system, user, project, environment, arguments. The project's file comes with a
//! repository that may not be trusted: it can tighten limits and choose among harmless things, no more.

mod options;
mod providers;
mod value;

use std::{collections::BTreeMap, io::Read as _, path::Path, time::Duration};

use masque_sandbox::LandlockUse;
use masque_types::{
    cost::{Limits, MicroUsd},
    diagnostic::Diagnostic,
    model::ModelRef,
    policy::Mode,
    run::SandboxMode,
};

pub use self::{
    options::{OPTIONS, OptionSpec, ProjectRule},
    providers::ProviderSettings,
    value::{Kind, Value},
};
use crate::{Error, host::Host};

/// A number with a unit, as options take it: `250ms`, `30s`, `20m`, `2h`, `7d`.
///
/// # Errors
/// When number or unit is missing.
pub fn duration(text: &str) -> Result<Duration, String> {
    value::parse_duration(text)
}

/// The largest file in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Compiled in.
    BuiltIn,
    /// `/etc/masque/config.toml`.
    System,
    /// `$XDG_CONFIG_HOME/masque/config.toml`.
    User,
    /// `.masque/config.toml` of the project.
    Project,
    /// An environment variable.
    Environment,
    /// A command-line argument.
    Argument,
}

/// One resolved option.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its declaration.
    pub option: &'static OptionSpec,
    /// Its value.
    pub value: Value,
    /// The layer that set it.
    pub layer: Layer,
    /// The file or variable.
    pub origin: String,
}

/// All options, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    resolved: BTreeMap<&'static str, Resolved>,
    /// Providers that the user declared beside the well-known ones.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// What was wrong with files and did not stop loading.
    pub diagnostics: Vec<Diagnostic>,
}

/// An option among the arguments of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The option's key.
    pub key: &'static str,
    /// Its value, as it was written.
    pub text: String,
    /// The argument that sets it, as people write it: `--model`.
    pub origin: String,
}

/// Reads a `key=value` pair of the command line.
///
/// # Errors
/// When there is no such option, or no `=`.
pub fn argument(pair: &str) -> Result<Argument, Error> {
    let (key, value) = pair.split_once('=').ok_or_else(|| {
        Error::usage(format!("`{pair}` sets nothing: expected KEY=VALUE")).hint("for example --set run.steps=20")
    })?;
    let option = options::find(key.trim()).ok_or_else(|| {
        Error::usage(format!("there is no option `{}`", key.trim())).hint("`masque config show` lists all options")
    })?;
    Ok(Argument { key: option.key, text: value.to_owned(), origin: format!("--set {}", option.key) })
}

impl Settings {
    /// Reads all layers.
    ///
    /// # Errors
    /// When a file is not TOML, or a value is not of its option's kind; the message names file and line, or variable.
    pub fn load(host: &Host, project: &Path, arguments: &[Argument]) -> Result<Self, Error> {
        let mut settings = Self::built_in()?;
        settings.read_file(Path::new("/etc/masque/config.toml"), Layer::System)?;
        settings.read_file(&host.config.join("config.toml"), Layer::User)?;
        settings.read_file(&project.join(".masque/config.toml"), Layer::Project)?;
        for option in OPTIONS {
            if let Some(text) = host.variable(&option.variable()) {
                settings.set_text(option, text, Layer::Environment, &option.variable())?;
            }
        }
        for argument in arguments {
            if let Some(option) = options::find(argument.key) {
                settings.set_text(option, &argument.text, Layer::Argument, &argument.origin)?;
            }
        }
        Ok(settings)
    }

    fn built_in() -> Result<Self, Error> {
        let mut settings = Self { resolved: BTreeMap::new(), providers: BTreeMap::new(), diagnostics: Vec::new() };
        for option in OPTIONS {
            settings.set_text(option, option.default, Layer::BuiltIn, "built in")?;
        }
        Ok(settings)
    }

    /// All options in the order of their declaration.
    pub fn all(&self) -> impl Iterator<Item = &Resolved> {
        OPTIONS.iter().filter_map(|option| self.resolved.get(option.key))
    }

    fn set_text(&mut self, option: &'static OptionSpec, text: &str, layer: Layer, origin: &str) -> Result<(), Error> {
        let value = option.kind.parse(text).map_err(|expected| {
            Error::usage(format!("{origin}: `{}` is not {expected}", shown(option, text)))
                .hint(format!("{}: {}", option.key, option.doc))
        })?;
        self.resolved.insert(option.key, Resolved { option, value, layer, origin: origin.to_owned() });
        Ok(())
    }

    fn read_file(&mut self, path: &Path, layer: Layer) -> Result<(), Error> {
        let Some(text) = text_of(path)? else { return Ok(()) };
        let file = path.display().to_string();
        let table = text.parse::<toml::Table>().map_err(|error| {
            let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
            Error::from(Diagnostic::error(&file, error.message().to_owned()).at(line, column))
        })?;
        for (section, content) in &table {
            self.read_section(&file, &text, section, content, &layer)?;
        }
        Ok(())
    }

    fn read_section(
        &mut self,
        file: &str,
        text: &str,
        section: &str,
        content: &toml::Value,
        layer: &Layer,
    ) -> Result<(), Error> {
        if section == "providers" {
            return self.read_providers(file, content, layer);
        }
        let Some(entries) = content.as_table() else {
            self.unknown(file, text, section);
            return Ok(());
        };
        for (name, value) in entries {
            let key = format!("{section}.{name}");
            match options::find(&key) {
                None => self.unknown(file, text, &key),
                Some(option) => {
                    let written = value::text_of(value);
                    if *layer != Layer::Project || self.project_may(option, &written, file) {
                        let set = self.set_text(option, &written, layer.clone(), file);
                        set.map_err(|error| located(error, file, text, &key))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_providers(&mut self, file: &str, content: &toml::Value, layer: &Layer) -> Result<(), Error> {
        if *layer == Layer::Project {
            // A repository must not redirect model calls, and with them the key, to a server of its own.
            let diagnostic = Diagnostic::warning(file, "a project's file may not declare providers: ignored");
            self.diagnostics.push(diagnostic.hint("move the section to your own configuration file"));
            return Ok(());
        }
        self.providers.extend(providers::parse(file, content)?);
        Ok(())
    }

    /// Whether a project's file may set an option to this value.
    fn project_may(&mut self, option: &'static OptionSpec, text: &str, file: &str) -> bool {
        let tighter = match (option.project, option.kind.parse(text), self.resolved.get(option.key)) {
            (ProjectRule::Free, ..) => true,
            (ProjectRule::Tighten, Ok(new), Some(old)) => new.is_at_most(&old.value),
            _ => false,
        };
        if !tighter {
            let what = format!("a project's file may not set {} to `{text}`: ignored", option.key);
            self.diagnostics
                .push(Diagnostic::warning(file, what).hint("set it in your own configuration file, if you want it"));
        }
        tighter
    }

    fn unknown(&mut self, file: &str, text: &str, key: &str) {
        let (line, column) = place_of(text, key);
        let diagnostic = Diagnostic::warning(file, format!("there is no option `{key}`: ignored")).at(line, column);
        self.diagnostics.push(diagnostic.hint("`masque config show` lists all options"));
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.resolved.get(key).map(|resolved| &resolved.value)
    }

    /// A text option; empty when unset.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        match self.value(key) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    /// A count; absent when unlimited.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(Value::Count(count)) => *count,
            _ => None,
        }
    }

    /// A duration; absent when unlimited.
    #[must_use]
    pub fn duration(&self, key: &str) -> Option<Duration> {
        match self.value(key) {
            Some(Value::Duration(duration)) => *duration,
            _ => None,
        }
    }

    /// The models to ask when a persona prefers none.
    #[must_use]
    pub fn default_models(&self) -> Vec<ModelRef> {
        match self.value("model.default") {
            Some(Value::Models(models)) => models.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether the models were chosen for this invocation, which beats a persona's preference.
    #[must_use]
    pub fn models_were_asked_for(&self) -> bool {
        let resolved = self.resolved.get("model.default");
        resolved.is_some_and(|resolved| resolved.layer >= Layer::Environment && !self.default_models().is_empty())
    }

    /// What a run may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let money = match self.value("run.usd") {
            Some(Value::Money(money)) => *money,
            _ => None,
        };
        Limits {
            steps: self.count("run.steps").map(|steps| u32::try_from(steps).unwrap_or(u32::MAX)),
            tokens: self.count("run.tokens"),
            micro_usd: money.map(MicroUsd),
            wall: self.duration("run.wall"),
        }
    }

    /// The mode that the person asked for; absent means the persona's own.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        Mode::from_name(&self.text("run.mode"))
    }

    /// Whether runs go without network and secrets.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.text("run.network") == "none"
    }

    /// How tools are confined.
    #[must_use]
    pub fn sandbox(&self) -> SandboxMode {
        match self.text("sandbox.mode").as_str() {
            "none" => SandboxMode::None,
            "container" => SandboxMode::Container,
            _ => SandboxMode::Process,
        }
    }

    /// Whether Landlock is used as a second layer.
    #[must_use]
    pub fn landlock(&self) -> LandlockUse {
        if self.text("sandbox.landlock") == "off" { LandlockUse::Off } else { LandlockUse::IfPresent }
    }
}

/// The text of a file of sensible size; none when there is none. A project's may be a link to anything: what has no end
/// is not read.
fn text_of(path: &Path) -> Result<Option<String>, Error> {
    let failed = |error: std::io::Error| Error::environment(error.to_string());
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    if metadata.is_file() {
        fs_err::File::open(path).map_err(failed)?.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    }
    if metadata.is_file() && text.len() as u64 <= LARGEST_FILE {
        return Ok(Some(text));
    }
    Err(Error::environment(format!("{} is no file of at most {} KiB", path.display(), LARGEST_FILE >> 10))
        .hint("look at what it is; without it the other settings hold"))
}

/// A value for an error message: a store URL may hold a password.
fn shown(option: &OptionSpec, text: &str) -> String {
    if option.secret { "…".to_owned() } else { text.to_owned() }
}

/// An error about a value in a file, with its line and column.
fn located(error: Error, file: &str, text: &str, key: &str) -> Error {
    let (line, column) = place_of(text, key);
    let message = error.message.replacen(file, &format!("{file}:{line}:{column}"), 1);
    Error { message, ..error }
}

/// Line and column of a key in a file: in its section, or written whole; the section's head when it is a section.
fn place_of(text: &str, key: &str) -> (u32, u32) {
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let mut inside = "";
    for (line, number) in text.lines().zip(1..) {
        let start = line.trim_start();
        let column = u32::try_from(line.len() - start.len() + 1).unwrap_or(1);
        if let Some(head) = start.strip_prefix('[') {
            inside = head.split(']').next().unwrap_or_default().trim();
            if inside == key {
                return (number, column);
            }
        }
        let written = start.split('=').next().unwrap_or_default().trim();
        if written == key || (inside == section && written == name && !name.is_empty()) {
            return (number, column);
        }
    }
    (1, 1)
}

/// Line and column of a byte offset, both from 1.
fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projects_file_without_end_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let file = root.path().join(".masque/config.toml");
        fs_err::create_dir_all(root.path().join(".masque")).unwrap();
        let load = || Settings::load(&host, root.path(), &[]).map(|settings| settings.limits().steps);
        assert_eq!(load().unwrap(), Some(50));
        fs_err::write(&file, "[run]\nsteps = 7\n").unwrap();
        assert_eq!(load().unwrap(), Some(7));
        fs_err::write(&file, "#".repeat(2 << 20)).unwrap();
        assert!(load().unwrap_err().to_string().contains("is no file of at most 1024 KiB"));
        fs_err::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/null", &file).unwrap();
        assert!(load().unwrap_err().to_string().contains("is no file of at most 1024 KiB"));
    }
}
