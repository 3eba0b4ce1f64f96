//! What differs between two versions, or between a version and what is there now.

use serde::Serialize;

use super::{
    Versions,
    manifest::{Entry, Kind},
};
use crate::Error;

/// Something that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its path in the home.
    pub path: String,
    /// What happened to it from the first to the second.
    pub change: Change,
    /// Its size before, if it was a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_before: Option<u64>,
    /// Its size after, if it is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_after: Option<u64>,
    /// The source that it was learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other content, or is another kind of thing.
    Changed,
    /// It has other permissions only.
    Permissions,
}

impl Versions {
    /// What differs from version `from` to version `to`, or to what is there now.
    ///
    /// # Errors
    /// When there is no such version, or a file cannot be read.
    pub fn diff(&self, from: u64, to: Option<u64>) -> Result<Vec<Difference>, Error> {
        let _lock = self.lock()?;
        let before = self.manifest(from)?;
        let after = match to {
            Some(to) => self.manifest(to)?.entries,
            None => {
                let last = self.last()?;
                self.entries_now(last.as_ref(), None, &mut |_, _| Ok(()))?
            }
        };
        Ok(differences(&before.entries, &after))
    }
}

/// What differs between two lists of entries in the order of their paths.
pub(super) fn differences(before: &[Entry], after: &[Entry]) -> Vec<Difference> {
    let mut found = Vec::new();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(one), Some(other)) => one.path.cmp(&other.path),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return found,
        };
        let one = if order.is_le() { before.next() } else { None };
        let other = if order.is_ge() { after.next() } else { None };
        found.extend(difference(one, other));
    }
}

fn difference(one: Option<&Entry>, other: Option<&Entry>) -> Option<Difference> {
    let change = match (one, other) {
        (Some(one), Some(other)) if one.is_like(other) => return None,
        (Some(one), Some(other)) if same_content(&one.kind, &other.kind) => Change::Permissions,
        (Some(_), Some(_)) => Change::Changed,
        (Some(_), None) => Change::Removed,
        (None, _) => Change::Added,
    };
    let entry = other.or(one)?;
    let (path, origin) = (entry.path.clone(), entry.origin.clone());
    Some(Difference { path, change, size_before: size(one), size_after: size(other), origin })
}

fn same_content(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::File { digest, .. }, Kind::File { digest: other, .. }) => digest == other,
        (Kind::Directory { .. }, Kind::Directory { .. }) => true,
        _ => false,
    }
}

fn size(entry: Option<&Entry>) -> Option<u64> {
    match entry.map(|entry| &entry.kind) {
        Some(Kind::File { size, .. }) => Some(*size),
        _ => None,
    }
}
