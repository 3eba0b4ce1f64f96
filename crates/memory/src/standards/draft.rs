//! What somebody wants to propose, checked: bounds of title, tags and text; the digest that a decision names; the diff.

use masque_types::{digest::Digest, standard::StandardKey};

/// The longest text of a standard, in bytes.
pub const LONGEST_CONTENT: usize = 64 << 10;
/// The longest title, in bytes.
const LONGEST_TITLE: usize = 200;
/// How many tags a standard has at most.
pub const MOST_TAGS: usize = 16;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 40;

/// A title, tags and a text that a standard can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// One line.
    pub title: String,
    /// Searchable words, each once.
    pub tags: Vec<String>,
    /// Markdown.
    pub content: String,
}

impl Draft {
    /// Checks what somebody wrote, and takes spaces from its ends.
    ///
    /// # Errors
    /// A sentence about the first part that a standard cannot have.
    pub fn new(title: &str, tags: &[String], content: &str) -> Result<Self, String> {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if title.is_empty() || title.len() > LONGEST_TITLE {
            return Err(format!("the title has to have 1 to {LONGEST_TITLE} bytes on one line"));
        }
        let content = content.replace("\r\n", "\n").trim().to_owned();
        if content.is_empty() {
            return Err("the text is empty: write the pattern, why it is there, and examples".to_owned());
        }
        if content.len() > LONGEST_CONTENT {
            return Err(format!(
                "the text has {} bytes, at most {LONGEST_CONTENT} are possible: split it",
                content.len()
            ));
        }
        if content.lines().next().is_some_and(|line| line.trim_end() == "---") {
            return Err(
                "the text begins with a line `---`: give title and tags by themselves, not as front matter".to_owned()
            );
        }
        if [&title, &content].iter().any(|text| text.contains('\0')) {
            return Err("the text holds a NUL character".to_owned());
        }
        Ok(Self { title, tags: checked_tags(tags)?, content })
    }
}

fn checked_tags(tags: &[String]) -> Result<Vec<String>, String> {
    let mut checked: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        let is_plain =
            tag.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '+' | '#' | ' '));
        if tag.len() > LONGEST_TAG || !is_plain {
            return Err(format!(
                "`{}` is no tag: at most {LONGEST_TAG} letters, digits, `-`, `_`, `.`, `+`, `#`",
                tag.escape_debug()
            ));
        }
        if !checked.iter().any(|known| known == tag) {
            checked.push(tag.to_owned());
        }
    }
    if checked.len() > MOST_TAGS {
        return Err(format!("there are {} tags, at most {MOST_TAGS} are possible", checked.len()));
    }
    Ok(checked)
}

/// The digest of everything that a decision is about. `base` is the digest of the file that would be changed.
#[must_use]
pub fn digest(project: &str, file: &str, key: &StandardKey, draft: &Draft, base: Option<&Digest>) -> Digest {
    let tags = draft.tags.join("\n");
    let key = key.to_string();
    let parts = [
        b"standard proposal 1".as_slice(),
        project.as_bytes(),
        file.as_bytes(),
        key.as_bytes(),
        draft.title.as_bytes(),
        tags.as_bytes(),
        draft.content.as_bytes(),
    ];
    // A new file and an empty one are told apart by the number of parts.
    Digest::of_parts(parts.into_iter().chain(base.map(|base| base.as_bytes().as_slice())))
}

/// The unified diff of a file; absent when it is new.
#[must_use]
pub fn diff(file: &str, before: Option<&str>, after: &str) -> String {
    let mut options = diffy::DiffOptions::new();
    let from = before.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{file}"));
    options.set_original_filename(from).set_modified_filename(format!("b/{file}"));
    options.create_patch(before.unwrap_or_default(), after).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standards::key::parse;

    #[test]
    fn every_part_changes_the_digest() {
        let draft = Draft::new("Title", &["a".into()], "Text").unwrap();
        let key = parse("a/b").unwrap();
        let of = |project: &str, file: &str, key: &StandardKey, draft: &Draft, base: Option<&Digest>| {
            digest(project, file, key, draft, base)
        };
        let mut all =
            vec![of("p", "f", &key, &draft, None), of("q", "f", &key, &draft, None), of("p", "g", &key, &draft, None)];
        all.push(of("p", "f", &parse("a/c").unwrap(), &draft, None));
        all.push(of("p", "f", &key, &Draft { title: "Other".into(), ..draft.clone() }, None));
        all.push(of("p", "f", &key, &Draft { tags: vec![], ..draft.clone() }, None));
        all.push(of("p", "f", &key, &Draft { content: "Text!".into(), ..draft.clone() }, None));
        all.push(of("p", "f", &key, &draft, Some(&Digest::of("x"))));
        all.push(of("p", "f", &key, &draft, Some(&Digest::of("y"))));
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn what_a_standard_cannot_have_is_refused() {
        let wrong = |title: &str, tag: &str, content: &str| Draft::new(title, &[tag.to_owned()], content).unwrap_err();
        assert!(wrong(" ", "a", "x").contains("title"));
        assert!(wrong("T", "a\u{1b}[2J", "x").contains("is no tag"));
        assert!(wrong("T", "a", " \n").contains("empty"));
        assert!(wrong("T", "a", "---\ntitle: x\n---\n").contains("front matter"));
        assert!(wrong("T", "a", &"x".repeat(LONGEST_CONTENT + 1)).contains("split it"));
        assert!(wrong("T", "a", "x\0y").contains("NUL"));
        assert_eq!(Draft::new(" a\n b ", &["x".into(), "x".into()], "\r\n c\r\nd ").unwrap().content, "c\nd");
    }

    #[test]
    fn a_diff_names_the_file() {
        assert_eq!(diff("x.md", None, "a\n"), "--- /dev/null\n+++ b/x.md\n@@ -0,0 +1 @@\n+a\n");
        assert!(diff("x.md", Some("a\n"), "b\n").starts_with("--- a/x.md\n+++ b/x.md\n@@ -1 +1 @@\n-a\n+b\n"));
    }
}
