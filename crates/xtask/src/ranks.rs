//! A crate depends on crates of a lower rank only, never on its own.

use crate::metadata::{Metadata, Package};

/// Crates that stand beside the others: they may use anything, and nothing may use them but tests.
const BESIDE: [&str; 3] = ["testkit", "xtask", "bench"];

/// The rank of each crate. A new crate gets its place here.
const RANKS: [(&str, u8); 18] = [
    ("types", 0),
    ("tree", 1),
    ("store", 1),
    ("gateway", 1),
    ("sandbox", 1),
    ("egress", 1),
    ("container", 1),
    ("home", 1),
    ("extract", 1),
    ("embed", 1),
    ("fleet", 2),
    ("persona", 2),
    ("tools", 2),
    ("memory", 2),
    ("engine", 2),
    ("supervisor", 3),
    ("app", 4),
    ("masque", 5),
];

/// Faults in the direction of dependencies.
pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    metadata.members().flat_map(|package| check_package(metadata, package)).collect()
}

fn check_package(metadata: &Metadata, package: &Package) -> Vec<String> {
    let own = short(&package.name);
    if BESIDE.contains(&own) {
        return Vec::new();
    }
    let Some(rank) = rank(own) else {
        return vec![format!(
            "{}: the crate `{own}` has no rank: give it one in crates/xtask/src/ranks.rs",
            package.manifest_path
        )];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .filter(|dependency| metadata.members().any(|member| member.name == dependency.name))
        .map(|dependency| short(&dependency.name))
        .filter(|other| crate::ranks::rank(other).is_none_or(|theirs| theirs >= rank))
        .map(|other| {
            format!(
                "{}: `{own}` (rank {rank}) must not depend on `{other}`: only on lower ranks",
                package.manifest_path
            )
        })
        .collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("masque-").unwrap_or(name)
}

fn rank(name: &str) -> Option<u8> {
    RANKS.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank)
}
