//! `$NAME` and `${NAME…}` in Compose files, by their own rules.

use std::collections::BTreeMap;

use super::{
    super::{node::Node, variables::closing},
    Notes,
};

/// How deep a default may stand in a default.
const MAX_DEPTH: usize = 8;

/// Puts variables in everywhere. One that is not set is empty, as Compose does it, and told.
pub(super) fn tree(node: &Node, environment: &BTreeMap<String, String>, notes: &mut Notes) -> Node {
    node.with_texts(&mut |place, text| {
        let mut unset = Vec::new();
        let expanded = expand(text, environment, &mut unset, 0);
        for name in unset {
            let message = format!("the variable `{name}` is not set: it is empty here");
            notes.push(place.warning(message).hint(format!("set it, or write `${{{name}:-default}}`")));
        }
        expanded.unwrap_or_else(|message| {
            let needed = message.ends_with("no name") || message.contains("${");
            let hint = if needed { "write `$$` for a single `$`" } else { "set it before the file is read" };
            notes.push(place.error(message).hint(hint));
            text.to_owned()
        })
    })
}

/// Keeps what is expanded now from being expanded again by the rules of `fleet.toml`.
pub(super) fn protect(node: &Node) -> Node {
    node.with_texts(&mut |_, text| text.replace('$', "$$"))
}

fn expand(
    text: &str,
    environment: &BTreeMap<String, String>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let end = closing(after).ok_or("`${` is not closed")?;
            out.push_str(&braced(after.get(..end).unwrap_or_default(), environment, unset, depth)?);
            rest = after.get(end + 1..).unwrap_or_default();
        } else {
            let name = name_of(after);
            if name.is_empty() {
                return Err("a `$` stands before no name".to_owned());
            }
            out.push_str(plain(name, environment, unset));
            rest = after.get(name.len()..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn plain<'a>(name: &str, environment: &'a BTreeMap<String, String>, unset: &mut Vec<String>) -> &'a str {
    environment.get(name).map_or_else(
        || {
            unset.push(name.to_owned());
            ""
        },
        String::as_str,
    )
}

/// What is between braces: a name, and what holds when it is not set.
fn braced(
    inside: &str,
    environment: &BTreeMap<String, String>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<String, String> {
    let name = name_of(inside);
    let rest = inside.get(name.len()..).unwrap_or_default();
    if name.is_empty() || depth > MAX_DEPTH {
        return Err(format!("`${{{inside}}}` is no variable"));
    }
    let set = environment.get(name);
    // With a colon an empty value counts as none.
    let (set, rest) = match rest.strip_prefix(':') {
        Some(rest) => (set.filter(|value| !value.is_empty()), rest),
        None => (set, rest),
    };
    let mut other = || expand(rest.get(1..).unwrap_or_default(), environment, unset, depth + 1);
    match (rest.chars().next(), set) {
        (None, _) => Ok(plain(name, environment, unset).to_owned()),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) | (Some('+'), Some(_)) => other(),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("the variable `{name}` is needed: {}", other()?)),
        (Some(_), _) => Err(format!("`${{{inside}}}` is no variable")),
    }
}

fn name_of(text: &str) -> &str {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = text.find(|next: char| !letter(next)).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    if name.starts_with(|first: char| first.is_ascii_digit()) { "" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn follows_the_rules_of_compose() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = BTreeMap::from([pair("A", "x"), pair("EMPTY", "")]);
        let check = |text: &str| {
            let mut unset = Vec::new();
            let expanded = expand(text, &environment, &mut unset, 0).unwrap_or_else(|error| error);
            (expanded, unset.join(","))
        };
        let plain = |text: &str| (text.to_owned(), String::new());
        assert_eq!(check("$A-${A}.$$A"), plain("x-x.$A"));
        assert_eq!(check("${EMPTY:-d}|${EMPTY-d}|${A:+y}|${NONE+y}"), plain("d||y|"));
        assert_eq!(check("${NONE:-${A}}"), plain("x"));
        assert_eq!(check("${NONE:?say it}"), plain("the variable `NONE` is needed: say it"));
        assert_eq!(check("/app:${PYTHONPATH}"), ("/app:".to_owned(), "PYTHONPATH".to_owned()));
        assert_eq!(check("5 $"), plain("a `$` stands before no name"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[${}A:?+éa-]{0,40}") {
            let _ = expand(&text, &BTreeMap::new(), &mut Vec::new(), 0);
        }
    }
}
