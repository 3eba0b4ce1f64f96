//! Use cases over the configuration of MCP clients: entering Masque as a server, with nothing else of the file changed.
//!
//! Planning reads and computes; nothing is written before the plan is carried out. Leaves out asking the person.

mod json;
mod place;
mod toml_file;
mod yaml;

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

pub use self::place::Client;
use self::place::{Form, Target};
use crate::{Error, host::Host};

/// The name under which Masque is entered.
const NAME: &str = "masque";
/// Configuration files are small; a larger one is something else.
const LARGEST_FILE: u64 = 16 << 20;

/// What a client is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    name: String,
    command: String,
    arguments: Vec<String>,
}

/// For whom a server is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// For all projects of this user.
    User,
    /// For everyone who works in this project.
    Project(PathBuf),
}

/// A change of a client's configuration that was not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The file.
    pub path: PathBuf,
    /// Its content, if it exists.
    pub before: Option<String>,
    /// Its content afterwards.
    pub after: String,
}

/// Plans to enter Masque in a client's configuration, or a server of one persona only.
///
/// # Errors
/// When the client has no configuration for a project, or its file is broken: the error names file and line.
pub fn plan(host: &Host, client: Client, scope: &Scope, persona: Option<&str>) -> Result<Plan, Error> {
    let Target { path, form } = place::target(host, client, scope)?;
    let server = server(host, scope, persona);
    let before = read(&path)?;
    let text = before.as_deref().unwrap_or_default();
    let after = match form {
        Form::Json { servers, typed } => json::entered(text, servers, typed, &server),
        Form::Toml => toml_file::entered(text, &server),
        Form::Yaml => yaml::entered(text, &server),
    };
    let after = after.map_err(|problem| {
        Error::refused(format!("{}{problem}", path.display())).hint("mend the file, then try again; it was not changed")
    })?;
    Ok(Plan { path, before, after })
}

impl Plan {
    /// Whether the file says already what it should.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.before.as_deref() == Some(self.after.as_str())
    }

    /// Writes the file, whole or not at all. Where the old content was put, if there was one.
    ///
    /// # Errors
    /// When the file changed since it was planned, or cannot be written.
    pub fn carry_out(&self) -> Result<Option<PathBuf>, Error> {
        // What a link leads to is written; the link stays.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        if read(&path)? != self.before {
            return Err(Error::refused(format!("{} was changed meanwhile", path.display())).hint("try again"));
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(directory)?;
        let backup = match &self.before {
            Some(before) => Some(keep(&path, before)?),
            None => None,
        };
        let mut fresh = tempfile::Builder::new().prefix(".masque-").tempfile_in(directory)?;
        fresh.write_all(self.after.as_bytes())?;
        let mode = fs_err::metadata(&path).map_or(0o644, |metadata| metadata.permissions().mode());
        fresh.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        fresh.as_file().sync_data()?;
        fresh.persist(&path).map_err(|error| error.error)?;
        Ok(backup)
    }
}

/// Puts the old content beside the file, under a name that is free; readable by those who could read it.
fn keep(path: &Path, content: &str) -> Result<PathBuf, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mode = fs_err::metadata(path)?.permissions().mode();
    for number in 0_u32.. {
        let suffix = if number == 0 { String::new() } else { format!(".{number}") };
        let backup = path.with_file_name(format!("{name}.bak{suffix}"));
        match fs_err::OpenOptions::new().write(true).create_new(true).open(&backup) {
            Ok(mut file) => {
                file.set_permissions(std::fs::Permissions::from_mode(mode))?;
                file.write_all(content.as_bytes())?;
                return Ok(backup);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::environment(format!("there is no free name for a copy of {}", path.display())))
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs_err::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.is_file() && metadata.len() <= LARGEST_FILE => {}
        Ok(_) => return Err(Error::refused(format!("{} is no configuration file", path.display()))),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(fs_err::read_to_string(path)?))
}

fn server(host: &Host, scope: &Scope, persona: Option<&str>) -> Server {
    let mut arguments = vec!["mcp".to_owned()];
    arguments.extend(persona.into_iter().flat_map(|persona| ["--persona".to_owned(), persona.to_owned()]));
    let name = persona.map_or_else(|| NAME.to_owned(), |persona| format!("{NAME}-{persona}"));
    // A project's file goes to other machines.
    let by_name = matches!(scope, Scope::Project(_)) || is_on_path(host);
    let command = if by_name { NAME.to_owned() } else { host.executable.display().to_string() };
    Server { name, command, arguments }
}

/// Whether the search path leads to this very program.
fn is_on_path(host: &Host) -> bool {
    let directories = host.variable("PATH").unwrap_or_default().split(':').map(Path::new);
    let found = directories.filter(|directory| directory.is_absolute()).map(|directory| directory.join(NAME));
    let first = found.filter_map(|candidate| candidate.canonicalize().ok()).next();
    first.is_some() && first == host.executable.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(persona: Option<&str>) -> Server {
        super::server(&Host::for_tests(Path::new("/none")), &Scope::Project("/p".into()), persona)
    }

    #[test]
    fn json_keeps_comments_order_and_what_an_entry_says_beside() {
        let text = "{\n  // mine\n  \"b\": 1,\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }, // stays\n  },\n  \"a\": 2\n}\n";
        let once = json::entered(text, "mcpServers", false, &server(None)).unwrap();
        assert!(once.contains("// mine") && once.contains("// stays") && once.contains("\"a\": 2"), "{once}");
        assert!(once.find("\"b\"") < once.find("\"a\""));
        assert_eq!(json::entered(&once, "mcpServers", false, &server(None)).unwrap(), once, "twice is once");
        let own = "{\"servers\": {\"masque\": {\"command\": \"old\", \"env\": {\"A\": \"1\"}}}}";
        let merged = json::entered(own, "servers", true, &server(Some("qa"))).unwrap();
        assert!(merged.contains("\"old\"") && merged.contains("masque-qa"), "{merged}");
        let merged = json::entered(own, "servers", true, &server(None)).unwrap();
        assert!(!merged.contains("\"old\"") && merged.contains("\"A\"") && merged.contains("stdio"), "{merged}");
        assert_eq!(
            json::entered("", "mcpServers", false, &server(None)).unwrap(),
            "{\n  \"mcpServers\": {\n    \"masque\": {\n      \"command\": \"masque\",\n      \"args\": [\"mcp\"]\n    }\n  }\n}\n"
        );
    }

    #[test]
    fn broken_files_are_refused_with_the_line() {
        let error = json::entered("{\n  \"a\": [1,\n}\n", "mcpServers", false, &server(None)).unwrap_err();
        assert!(error.starts_with(":3"), "{error}");
        assert!(json::entered("[]", "mcpServers", false, &server(None)).is_err());
        assert!(json::entered("{\"mcpServers\": 1}", "mcpServers", false, &server(None)).is_err());
        let error = toml_file::entered("a = 1\nb = = 2\n", &server(None)).unwrap_err();
        assert!(error.starts_with(":2"), "{error}");
        assert!(toml_file::entered("mcp_servers = 1\n", &server(None)).is_err());
        assert!(yaml::entered("a: [1\nb: 2\n", &server(None)).is_err());
        assert!(yaml::entered("extensions: {a: {b: 1}}\n", &server(None)).is_err(), "a flow is not edited");
    }

    #[test]
    fn toml_keeps_comments_and_other_servers() {
        let text = "# mine\nmodel = \"x\" # stays\n\n[mcp_servers.other]\ncommand = \"y\"\n";
        let once = toml_file::entered(text, &server(None)).unwrap();
        assert_eq!(once, format!("{text}\n[mcp_servers.masque]\ncommand = \"masque\"\nargs = [\"mcp\"]\n"));
        assert_eq!(toml_file::entered(&once, &server(None)).unwrap(), once);
    }

    #[test]
    fn yaml_is_edited_where_the_entry_stands_only() {
        let text = "GOOSE_MODE: auto # stays\nextensions:\n  developer:\n    enabled: true\n\n# the end\nother: 1\n";
        let once = yaml::entered(text, &server(None)).unwrap();
        assert!(once.starts_with("GOOSE_MODE: auto # stays\nextensions:\n  masque:\n    name: masque\n"), "{once}");
        assert!(once.ends_with("  developer:\n    enabled: true\n\n# the end\nother: 1\n"), "{once}");
        assert_eq!(yaml::entered(&once, &server(None)).unwrap(), once);
        let changed = once.replace("cmd: masque", "cmd: old");
        assert_eq!(yaml::entered(&changed, &server(None)).unwrap(), once);
        let fresh = yaml::entered("a: 1\n", &server(Some("qa"))).unwrap();
        assert!(fresh.starts_with("a: 1\nextensions:\n  masque-qa:\n    name: masque-qa\n"), "{fresh}");
        assert!(yaml::entered("extensions: {}\n", &server(None)).unwrap().contains("extensions:\n  masque:\n"));
    }

    #[test]
    fn a_plan_is_carried_out_once_and_keeps_the_old_file() {
        let root = tempfile::tempdir().unwrap();
        let mut host = Host::for_tests(root.path());
        host.environment.insert("HOME".to_owned(), root.path().display().to_string());
        let fresh = plan(&host, Client::Cursor, &Scope::User, None).unwrap();
        assert_eq!((fresh.is_done(), fresh.carry_out().unwrap()), (false, None));
        assert!(fresh.carry_out().is_err(), "the file was changed meanwhile");
        assert!(plan(&host, Client::Cursor, &Scope::User, None).unwrap().is_done());
        let more = plan(&host, Client::Cursor, &Scope::User, Some("qa")).unwrap();
        let backup = more.carry_out().unwrap().unwrap();
        assert_eq!(fs_err::read_to_string(backup).unwrap(), fresh.after);
        assert_eq!(fs_err::read_to_string(&more.path).unwrap(), more.after);
        assert!(plan(&host, Client::Goose, &Scope::Project(root.path().into()), None).is_err());
    }
}
