//! Which part of a tree is looked at. Leaves out looking.

use std::collections::HashSet;

/// Part of a tree, by paths from its root on, with `/` between names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of it.
    All,
    /// What is at these paths, and below them.
    Below { paths: HashSet<String>, above: HashSet<String> },
}

impl Scope {
    /// What is at these paths, and below them. The empty path is the root.
    pub(super) fn below(paths: impl IntoIterator<Item = String>) -> Self {
        let paths: HashSet<String> = paths.into_iter().collect();
        if paths.contains("") {
            return Self::All;
        }
        let above = paths.iter().flat_map(|path| ancestors(path)).map(str::to_owned).collect();
        Self::Below { paths, above }
    }

    /// Whether a path belongs to it.
    pub(super) fn contains(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below { paths, .. } => {
                paths.contains(path) || ancestors(path).any(|ancestor| paths.contains(ancestor))
            }
        }
    }

    /// Whether a path belongs to it, or something below the path does.
    pub(super) fn touches(&self, path: &str) -> bool {
        let leads_there = match self {
            Self::All => true,
            Self::Below { above, .. } => above.contains(path),
        };
        leads_there || self.contains(path)
    }
}

/// The directories above a path, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_holds_what_is_below_its_paths() {
        let scope = Scope::below(["a/b".to_owned(), "c.md".to_owned()]);
        for (path, contains, touches) in [
            ("a", false, true),
            ("a/b", true, true),
            ("a/b/c/d", true, true),
            ("a/bc", false, false),
            ("a/x", false, false),
            ("c.md", true, true),
            ("c.mdx", false, false),
        ] {
            assert_eq!((scope.contains(path), scope.touches(path)), (contains, touches), "{path}");
        }
        assert_eq!(Scope::below([String::new(), "a".to_owned()]), Scope::All);
    }
}
