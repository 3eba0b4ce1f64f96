//! Names and ids on the wire: canonical tool names hold `.`, `:` and `/`, providers allow `[A-Za-z_][A-Za-z0-9_-]{0,63}`.
//!
//! Owns the mapping there and back, made anew for each request. Leaves out everything else about tools.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::{digest::Digest, message::Message, model::ModelRequest, tool::ToolSpec};

use crate::config::CallIds;

const LONGEST_NAME: usize = 64;
const LONGEST_ID: usize = 40;

/// The tool names of one request, in both spellings.
///
/// A name keeps its spelling where it is legal. Others are respelled; where that would give a name that is taken, a
/// digest of the canonical name is added. The result does not depend on the order of the tools.
#[derive(Debug, Default)]
pub(crate) struct ToolNames {
    to_wire: BTreeMap<String, String>,
    to_canonical: BTreeMap<String, String>,
}

impl ToolNames {
    /// The names of a request's tools and of the calls in its history, whose tools may be gone.
    pub(crate) fn of(request: &ModelRequest) -> Self {
        let called = request.messages.iter().filter_map(|message| match &**message {
            Message::Assistant(message) => Some(message.calls.iter().map(|call| call.tool.as_str())),
            Message::User { .. } | Message::Tool(_) => None,
        });
        Self::new(request.tools.iter().map(|ToolSpec { name, .. }| name.as_str()).chain(called.flatten()))
    }

    fn new<'a>(canonical: impl Iterator<Item = &'a str>) -> Self {
        let canonical: BTreeSet<&str> = canonical.collect();
        let mut respelled: BTreeMap<String, u32> = BTreeMap::new();
        for name in &canonical {
            *respelled.entry(spell(name)).or_default() += 1;
        }
        let mut names = Self::default();
        for name in &canonical {
            let plain = spell(name);
            let taken = plain != **name && (respelled.get(&plain) != Some(&1) || canonical.contains(plain.as_str()));
            let mut wire = if taken { with_digest(name, 0) } else { plain };
            let mut salt = 0;
            // Two canonical names can only meet here when one of them looks like the digest of another.
            while names.to_canonical.contains_key(&wire) || (wire != **name && canonical.contains(wire.as_str())) {
                salt += 1;
                wire = with_digest(name, salt);
            }
            names.to_canonical.insert(wire.clone(), (*name).to_owned());
            names.to_wire.insert((*name).to_owned(), wire);
        }
        names
    }

    /// The spelling for the provider.
    pub(crate) fn wire<'a>(&'a self, canonical: &'a str) -> &'a str {
        self.to_wire.get(canonical).map_or(canonical, String::as_str)
    }

    /// The canonical name; what is unknown stays as it is, and the engine tells the model so.
    pub(crate) fn canonical(&self, wire: &str) -> String {
        self.to_canonical.get(wire).cloned().unwrap_or_else(|| wire.to_owned())
    }
}

fn spell(name: &str) -> String {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let mut wire: String = name.chars().map(|letter| if legal(letter) { letter } else { '_' }).collect();
    if !wire.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        wire.insert(0, '_');
    }
    if wire.len() > LONGEST_NAME { with_digest(name, 0) } else { wire }
}

fn with_digest(name: &str, salt: u32) -> String {
    let digest = Digest::of_parts([name.as_bytes(), &salt.to_be_bytes()]).short();
    let room = LONGEST_NAME - digest.len() - 1;
    let head: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let head = head.get(..room.min(head.len())).unwrap_or_default();
    format!("_{}_{digest}", head.get(..room.saturating_sub(1).min(head.len())).unwrap_or_default())
}

/// A call's id as a provider accepts it. The same id gives the same spelling, so call and result stay a pair.
pub(crate) fn wire_call_id(id: &str, rule: CallIds) -> String {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match rule {
        CallIds::Usual if !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(legal) => id.to_owned(),
        CallIds::Nine if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => id.to_owned(),
        CallIds::Usual => format!("call_{}", Digest::of(id).short()),
        CallIds::Nine => Digest::of(id).short().chars().take(9).collect(),
    }
}

/// Ids for the calls of one answer, unique in the run as far as the conversation shows it.
///
/// A provider's id is kept when it can be unique; some servers count `call_0`, `call_1` anew in each answer.
pub(crate) struct CallIdsInRun<'a> {
    request: &'a ModelRequest,
    given: BTreeSet<String>,
}

/// Shorter ids are counters, not random.
const SHORTEST_UNIQUE_ID: usize = 9;

impl<'a> CallIdsInRun<'a> {
    pub(crate) fn new(request: &'a ModelRequest) -> Self {
        Self { request, given: BTreeSet::new() }
    }

    /// The id for the next call, given the provider's own id, empty where it gave none.
    pub(crate) fn next(&mut self, offered: &str) -> String {
        let keep = offered.len() >= SHORTEST_UNIQUE_ID && !self.is_taken(offered);
        let id = if keep { offered.to_owned() } else { self.made() };
        self.given.insert(id.clone());
        id
    }

    fn made(&self) -> String {
        format!("call_{}_{}", self.request.step, self.given.len() + 1)
    }

    fn is_taken(&self, id: &str) -> bool {
        let used = |message: &Message| match message {
            Message::Assistant(message) => message.calls.iter().any(|call| call.id == id),
            Message::User { .. } | Message::Tool(_) => false,
        };
        self.given.contains(id) || self.request.messages.iter().any(|message| used(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_legal(name: &str) -> bool {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && name.len() <= LONGEST_NAME
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    }

    proptest! {
        #[test]
        fn names_are_legal_distinct_and_reversible(
            mut names in proptest::collection::btree_set("[a-c._:/-]{1,6}|[a-z.]{60,80}|[0-9é]{1,3}", 1..30),
        ) {
            // Names that look like what the mapping itself makes are the hard case.
            let made: Vec<String> = names.iter().take(3).flat_map(|name| [with_digest(name, 0), spell(name)]).collect();
            names.extend(made);
            let map = ToolNames::new(names.iter().map(String::as_str));
            let wire: BTreeSet<&str> = names.iter().map(|name| map.wire(name)).collect();
            prop_assert_eq!(wire.len(), names.len());
            for name in &names {
                prop_assert!(is_legal(map.wire(name)), "{}", map.wire(name));
                prop_assert_eq!(&map.canonical(map.wire(name)), name);
            }
            let reversed = ToolNames::new(names.iter().rev().map(String::as_str));
            prop_assert!(names.iter().all(|name| map.wire(name) == reversed.wire(name)));
        }
    }

    #[test]
    fn usual_names_stay_readable() {
        let map = ToolNames::new(["fs.read", "fs_read", "mcp:hdf5/list", "ask"].into_iter());
        assert_eq!(map.wire("ask"), "ask");
        assert_eq!(map.wire("mcp:hdf5/list"), "mcp_hdf5_list");
        assert_eq!(map.wire("fs_read"), "fs_read");
        assert!(map.wire("fs.read").starts_with("_fs_read_"), "{}", map.wire("fs.read"));
        assert_eq!(map.canonical("no_such_tool"), "no_such_tool");
    }

    #[test]
    fn call_ids_fit_the_provider() {
        assert_eq!(wire_call_id("toolu_01A-b", CallIds::Usual), "toolu_01A-b");
        assert!(wire_call_id("functions.read:0", CallIds::Usual).starts_with("call_"));
        assert_eq!(wire_call_id("D681PevKs", CallIds::Nine), "D681PevKs");
        assert_eq!(wire_call_id("call_1_1", CallIds::Nine).len(), 9);
    }
}
