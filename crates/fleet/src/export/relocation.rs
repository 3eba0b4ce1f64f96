//! [`Relocation`]: where paths of the machine are inside of an image.

use std::path::{Path, PathBuf};

use super::inside::ROOT;
use crate::model::{Check, Command, Container, Fallback, Fleet, Service};

/// The directories and files of the machine that have another place inside.
pub(super) struct Relocation {
    /// Their path on the machine and inside, without a `/` at the end; the longest first.
    places: Vec<(String, String)>,
}

impl Relocation {
    /// What `copy` names is where it is copied to, the rest of the fleet's directory is below [`ROOT`].
    pub(super) fn of(fleet: &Fleet, container: &Container) -> Self {
        let copied = container.copy.iter().map(|(from, to)| {
            let from = from.strip_prefix(".").unwrap_or(from);
            (joined(&fleet.directory, from), to.clone())
        });
        let all = copied.chain([(fleet.directory.clone(), PathBuf::from(ROOT))]);
        let shown = |path: PathBuf| path.to_string_lossy().trim_end_matches('/').to_owned();
        let mut places: Vec<_> = all.map(|(from, to)| (shown(from), shown(to))).collect();
        // Of a machine's root everything would move, also the programs of the image.
        places.retain(|(from, _)| from.starts_with('/'));
        places.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Self { places }
    }

    /// A path; the same when it does not move.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        let moved = self.places.iter().find_map(|(from, to)| {
            let rest = path.strip_prefix(from).ok()?;
            Some(joined(Path::new(if to.is_empty() { "/" } else { to }), rest))
        });
        moved.unwrap_or_else(|| path.to_owned())
    }

    /// A text with all paths in it: `PYTHONPATH`, `--config=/srv/fleet/a.toml`, a line of a shell.
    pub(super) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let before = text.strip_suffix(rest).unwrap_or_default();
            match self.begins(before, rest) {
                Some((to, after)) => {
                    out.push_str(to);
                    rest = after;
                }
                None => {
                    out.push(letter);
                    rest = rest.get(letter.len_utf8()..).unwrap_or_default();
                }
            }
        }
        out
    }

    /// The place whose path a text begins with, inside, and what follows. A path that only ends like one of ours, or
    /// whose first names are a part of another name, is not ours.
    fn begins<'a>(&'a self, before: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
        let is_name = |letter: char| letter.is_alphanumeric() || "_-.+@~".contains(letter);
        let is_inner = |letter: char| is_name(letter) || "/})*".contains(letter);
        if !text.starts_with('/') || (before.ends_with(is_inner) && !before.ends_with("://")) {
            return None;
        }
        self.places.iter().find_map(|(from, to)| {
            let after = text.strip_prefix(from.as_str())?;
            let to = if to.is_empty() && !after.starts_with('/') { "/" } else { to };
            (!after.starts_with(is_name)).then_some((to, after))
        })
    }

    /// Everything of a service that names paths.
    pub(super) fn service(&self, service: &mut Service) {
        let program = &mut service.program;
        program.directory = self.path(&program.directory);
        program.script_file = program.script_file.take().map(|file| self.path(&file));
        self.command(&mut program.command);
        let own = service.fallback.iter_mut();
        let told = own.chain(service.dependencies.iter_mut().flat_map(|dependency| &mut dependency.fallback));
        let told = told.filter_map(|fallback| match fallback {
            Fallback::Environment(variables) => Some(variables),
            Fallback::Service(_) => None,
        });
        for value in told.chain([&mut program.environment]).flat_map(|variables| variables.values_mut()) {
            *value = self.text(value);
        }
        for probe in [&mut service.ready, &mut service.live].into_iter().flatten() {
            match &mut probe.check {
                Check::File(path) => *path = self.path(path),
                Check::Exec(command) => self.command(command),
                _ => {}
            }
        }
    }

    fn command(&self, command: &mut Command) {
        match command {
            Command::Exec(words) => words.iter_mut().for_each(|word| *word = self.text(word)),
            Command::Shell(line) => *line = self.text(line),
        }
    }
}

/// Joins without a `/` at the end.
fn joined(path: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { path.to_owned() } else { path.join(rest) }
}

#[cfg(test)]
mod tests {
    use super::Relocation;
    use crate::model::{Container, Fleet};

    #[test]
    fn paths_move_wherever_a_text_names_them() {
        let copy = [("main".into(), "/opt/main/".into()), ("main/deep".into(), "/".into())].into();
        let fleet = Fleet { directory: "/srv/fleet".into(), ..Fleet::default() };
        let relocation = Relocation::of(&fleet, &Container { copy, ..Container::default() });
        for (text, expected) in [
            ("/srv/fleet", "/app"),
            ("/srv/fleet/", "/app/"),
            ("/srv/fleet:/srv/fleet/main:/usr/lib:/srv/fleet/other", "/app:/opt/main:/usr/lib:/app/other"),
            ("--config=/srv/fleet/main/a b.toml", "--config=/opt/main/a b.toml"),
            ("cd '/srv/fleet' && exec x </srv/fleet/main/deep/in", "cd '/app' && exec x </in"),
            ("/srv/fleet/main/deep", "/"),
            ("file:///srv/fleet/x", "file:///app/x"),
            ("/srv/fleet/main2 /srv/fleet-old /srv/fleet.bak", "/app/main2 /srv/fleet-old /srv/fleet.bak"),
            (
                "/mnt/srv/fleet $HOME/srv/fleet ${X}/srv/fleet //srv/fleet",
                "/mnt/srv/fleet $HOME/srv/fleet ${X}/srv/fleet //srv/fleet",
            ),
            ("é/ü", "é/ü"),
            ("", ""),
        ] {
            assert_eq!(relocation.text(text), expected);
        }
        let at_root = Relocation::of(&Fleet { directory: "/".into(), ..Fleet::default() }, &Container::default());
        assert_eq!(at_root.text("/usr/bin/python3 /x"), "/usr/bin/python3 /x");
    }
}
