//! Licences, bans and sources of the dependencies, by the rules of `deny.toml`.
//!
//! Leaves out advisories: `cargo deny check` reads the same file and knows them.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use spdx::Expression;

use crate::metadata::{Metadata, Package};

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Faults of the dependencies.
pub(crate) fn check(root: &Path, metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let rules: Rules = toml::from_str(&fs_err::read_to_string(root.join("deny.toml"))?).context("deny.toml")?;
    Ok(metadata.foreign().flat_map(|package| check_package(&rules, package)).collect())
}

fn check_package(rules: &Rules, package: &Package) -> Vec<String> {
    let name = format!("{} {}", package.name, package.version);
    let mut findings = Vec::new();
    if rules.bans.deny.iter().any(|ban| ban.name == package.name) {
        findings.push(format!("deny.toml: `{name}` is banned: `cargo tree -i {}` shows who brings it", package.name));
    }
    let registry = package.source.as_deref().and_then(|source| source.strip_prefix("registry+"));
    if !registry.is_some_and(|registry| rules.sources.allow_registry.iter().any(|allowed| allowed == registry)) {
        findings.push(format!("deny.toml: `{name}` comes from an unknown source: use a released version"));
    }
    let license = package.license.as_deref().unwrap_or("none");
    if !is_allowed(&rules.licenses.allow, license) {
        findings
            .push(format!("deny.toml: the licence of `{name}` ({license}) is not allowed: replace it, or allow it"));
    }
    findings
}

fn is_allowed(allowed: &[String], license: &str) -> bool {
    // Older packages write `MIT/Apache-2.0`: lax.
    Expression::parse_mode(license, spdx::ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|requirement| allowed.iter().any(|allowed| *allowed == requirement.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_and_every_part_must_be_allowed() {
        let allowed = ["MIT".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        for (license, fine) in [
            ("MIT", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("none", false),
        ] {
            assert_eq!(is_allowed(&allowed, license), fine, "{license}");
        }
    }
}
