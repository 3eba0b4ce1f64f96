//! What the files say, before it is put together: one shape for all formats.

use std::{collections::BTreeMap, path::PathBuf};

use crate::model::{Container, Group, Host, Shared};

use super::{
    node::{Content, Node, Place},
    shapes::Placed,
};

/// A fleet as its files say it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: Option<Placed<String>>,
    pub(super) sources: Vec<PathBuf>,
    /// Where relative paths begin; absolute.
    pub(super) directory: PathBuf,
    /// Absent where no manifest names any.
    pub(super) roots: Option<Vec<PathBuf>>,
    pub(super) port_offset: u16,
    /// Keys that stand below those of every service.
    pub(super) defaults: Option<Node>,
    pub(super) hosts: BTreeMap<String, Host>,
    pub(super) groups: BTreeMap<String, GroupDraft>,
    pub(super) volumes: BTreeMap<String, Shared>,
    pub(super) networks: BTreeMap<String, Shared>,
    pub(super) services: Vec<ServiceDraft>,
}

/// A group as its file says it.
#[derive(Debug, Default)]
pub(super) struct GroupDraft {
    pub(super) group: Group,
    pub(super) host: Option<Placed<String>>,
    /// Keys that stand below those of its services.
    pub(super) defaults: Option<Node>,
}

impl GroupDraft {
    /// The group of one service that runs in a container alone.
    pub(super) fn of_container(container: Container) -> Self {
        Self { group: Group { description: None, container: Some(container) }, ..Self::default() }
    }
}

/// A service as its file says it.
#[derive(Debug, Clone)]
pub(super) struct ServiceDraft {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) host: Option<Placed<String>>,
    pub(super) group: Option<Placed<String>>,
    /// Keys below all defaults: what its format takes for granted.
    pub(super) taken_for_granted: Option<Node>,
    /// Its own keys, in the words of `fleet.toml`.
    pub(super) keys: Node,
    /// Whether it may add to a service that another file declares.
    pub(super) may_add: bool,
}

impl ServiceDraft {
    /// Whether it says what is executed.
    pub(super) fn has_program(&self) -> bool {
        ["command", "script", "image"].iter().any(|key| self.keys.get(key).is_some())
    }
}

/// A mapping without entries.
pub(super) fn nothing(place: &Place) -> Node {
    Node::at(place.clone(), Content::Map(Vec::new()))
}

/// The text of a key, and where it stands.
pub(super) fn placed_text(node: &Node, key: &str) -> Option<Placed<String>> {
    let value = node.get(key)?;
    Some(Placed { place: value.place.clone(), value: value.written()? })
}
