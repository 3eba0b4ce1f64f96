//! [`Places`]: where the services of a fleet are declared.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::ServiceId;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The places of services. Fleets that differ only in these are the same fleet: a blank line changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<ServiceId, Place>);

impl Places {
    /// Where a service is declared; absent in fleets that come from no files of theirs.
    #[must_use]
    pub fn of(&self, id: &ServiceId) -> Option<&Place> {
        self.0.get(id)
    }
}

impl FromIterator<(ServiceId, Place)> for Places {
    fn from_iter<I: IntoIterator<Item = (ServiceId, Place)>>(places: I) -> Self {
        Self(places.into_iter().collect())
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
