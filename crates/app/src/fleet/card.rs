//! [`Card`]: what a supervisor writes into its state directory for those who look for it later: whose it is, and which
//! files describe it. Leaves out everything about services, which the supervisor itself tells.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use masque_supervisor::directory::StateDirectory;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The card's file in the state directory.
const FILE: &str = "supervisor.json";
/// The version of its form.
const VERSION: u32 = 1;
/// Below the home: a directory for each fleet, in it one for each supervisor.
pub(super) const FLEETS: &str = "fleet";

/// Whose state directory it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Card {
    version: u32,
    /// The fleet's name.
    pub(super) fleet: String,
    /// Where relative paths of its files begin.
    pub(super) directory: PathBuf,
    /// The files that were named or found; canonical.
    pub(super) files: Vec<PathBuf>,
    /// The host.
    pub(super) host: String,
    /// The groups; all of the host when empty.
    pub(super) groups: BTreeSet<String>,
}

impl Card {
    pub(super) fn new(fleet: &str, directory: &Path, files: &[PathBuf], host: &str, groups: &BTreeSet<String>) -> Self {
        Self {
            version: VERSION,
            fleet: fleet.to_owned(),
            directory: directory.to_owned(),
            files: files.iter().map(|file| canonical(file)).collect(),
            host: host.to_owned(),
            groups: groups.clone(),
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, state: &Path) -> Result<(), Error> {
        let file = state.join(FILE);
        let text = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        let new = file.with_extension("json.new");
        fs_err::write(&new, text)?;
        Ok(fs_err::rename(new, file)?)
    }

    /// The one of a state directory; none where there is none of this version.
    fn read(state: &Path) -> Option<Self> {
        let card: Self = serde_json::from_slice(&fs_err::read(state.join(FILE)).ok()?).ok()?;
        (card.version == VERSION).then_some(card)
    }

    /// Whether two supervisors would have some of the same services. Fleets that share no file are different ones,
    /// whatever they are called.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let groups = self.groups.is_empty() || other.groups.is_empty() || !self.groups.is_disjoint(&other.groups);
        let files = self.files.iter().any(|file| other.files.contains(file));
        self.fleet == other.fleet && self.host == other.host && files && groups
    }

    /// Whether this one's supervisor has every service that the other one's would have.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let groups = !other.groups.is_empty() && self.groups.is_superset(&other.groups);
        self.overlaps(other) && (self.groups.is_empty() || groups)
    }

    /// The part that it has, for people.
    pub(super) fn part(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| format!("`{group}`")).collect();
        match groups.as_slice() {
            [] => format!("all of fleet `{}` on host `{}`", self.fleet, self.host),
            [group] => format!("group {group} of fleet `{}` on host `{}`", self.fleet, self.host),
            groups => format!("groups {} of fleet `{}` on host `{}`", groups.join(", "), self.fleet, self.host),
        }
    }

    /// A command that means its supervisor, for somebody who stands where `asker` does.
    pub(super) fn command(&self, verb: &str, asker: &Self) -> String {
        let mut words = vec!["masque fleet".to_owned(), verb.to_owned()];
        if self.files != asker.files {
            words.extend(self.files.iter().map(|file| format!("--file {}", file.display())));
        }
        words.extend(self.groups.iter().map(|group| format!("--group {group}")));
        words.join(" ")
    }
}

/// A state directory with its card.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) card: Card,
    /// The state directory.
    pub(super) state: PathBuf,
    /// The process that supervises there, if one does.
    pub(super) process: Option<u32>,
}

/// All state directories of a home. What cannot be looked at is nobody's.
pub(super) fn all(home: &Path) -> impl Iterator<Item = Found> {
    below(&home.join(FLEETS)).flat_map(|fleet| below(&fleet)).filter_map(|state| {
        let card = Card::read(&state)?;
        let process = StateDirectory::open(&state).and_then(|directory| directory.supervisor()).ok().flatten();
        Some(Found { card, state, process })
    })
}

fn below(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs_err::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// The one name of a file, also of one that is gone.
pub(super) fn canonical(file: &Path) -> PathBuf {
    let of_parent = || Some(fs_err::canonicalize(file.parent()?).ok()?.join(file.file_name()?));
    fs_err::canonicalize(file).ok().or_else(of_parent).unwrap_or_else(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(files: &[&str], groups: &[&str]) -> Card {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        Card::new("shop", Path::new("/p"), &files, "h", &groups.iter().map(|group| (*group).to_owned()).collect())
    }

    #[test]
    fn supervisors_overlap_where_they_would_have_the_same_services() {
        let (whole, a, ab, c) =
            (card(&["/x"], &[]), card(&["/x"], &["a"]), card(&["/x"], &["a", "b"]), card(&["/x"], &["c"]));
        for (one, other, overlaps, includes) in [
            (&whole, &a, true, true),
            (&a, &whole, true, false),
            (&ab, &a, true, true),
            (&a, &ab, true, false),
            (&a, &c, false, false),
            (&whole, &card(&["/y"], &[]), false, false),
            (&whole, &card(&["/x", "/y"], &[]), true, true),
        ] {
            assert_eq!((one.overlaps(other), one.includes(other)), (overlaps, includes), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_card_is_read_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("fleet/shop-1/h");
        fs_err::create_dir_all(&state).unwrap();
        card(&["/x"], &["a"]).write(&state).unwrap();
        let found: Vec<_> = all(root.path()).map(|found| (found.card, found.process)).collect();
        assert_eq!(found, [(card(&["/x"], &["a"]), None)]);
        let golden = r#"{"version":1,"fleet":"shop","directory":"/p","files":["/x"],"host":"h","groups":["a"]}"#;
        assert_eq!(fs_err::read_to_string(state.join(FILE)).unwrap(), golden);
    }
}
