//! Mending front matter that is almost YAML: texts with colons that nobody quoted.
//!
//! Many public agent files have a description such as `Use this when: …`, sometimes over several lines. Other programs
//! read them line by line. Only keys whose value is a text for people are mended: a restriction is never guessed.

use masque_tree::Place;

/// Keys whose value may be mended.
const TEXTS: [&str; 4] = ["description", "when_to_use", "whenToUse", "title"];

/// Words with a colon that stand at the begin of a line of such a text: examples of conversations. Any other word with a
/// colon begins a key, so that no restriction disappears in a text.
const LABELS: [&str; 13] = [
    "context",
    "user",
    "assistant",
    "commentary",
    "example",
    "examples",
    "note",
    "human",
    "ai",
    "input",
    "output",
    "scenario",
    "response",
];

/// The front matter with its texts quoted, and where the first of them stands. Nothing when there is none to mend.
/// Lines keep their numbers.
pub(crate) fn quoted_texts(front: &str) -> Option<(String, Place)> {
    let lines: Vec<&str> = front.lines().collect();
    let mut mended: Vec<String> = Vec::with_capacity(lines.len());
    let mut first = None;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some((key, value)) = plain_text(line) else {
            mended.push((*line).to_owned());
            at += 1;
            continue;
        };
        let rest = lines.iter().skip(at + 1).take_while(|line| !begins_key(line)).count();
        let following = lines.iter().skip(at + 1).take(rest).map(|line| line.trim());
        let text: Vec<&str> = std::iter::once(value).chain(following).collect();
        let text = serde_json::Value::from(text.join("\n").trim().to_owned());
        mended.push(format!("{key}: {text}"));
        mended.extend(std::iter::repeat_n(String::new(), rest));
        first = first.or_else(|| Some(Place { line: u32::try_from(at + 1).ok()?, column: 1 }));
        at += rest + 1;
    }
    first.map(|place| (mended.join("\n"), place))
}

/// Key and value of a line that holds a text without quotes.
fn plain_text(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let value = value.trim();
    let is_plain = !value.starts_with(['"', '\'', '|', '>', '[', '{', '&', '*', '!', '#']);
    (TEXTS.contains(&key) && is_plain).then_some((key, value))
}

fn begins_key(line: &str) -> bool {
    let Some((word, _)) = line.split_once(':') else { return line.trim_end() == "---" };
    let is_word = !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || "_-'\"".contains(letter));
    is_word && !LABELS.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::LIMITS;
    use masque_tree::parse_yaml;
    use proptest::prelude::*;

    #[test]
    fn a_text_with_colons_becomes_one_text() {
        let front = "---\nname: a\ndescription: Use when: always.\n\nContext: \"x\"\nuser: 'y' # z\ntools: Read\n";
        assert!(parse_yaml(front, LIMITS).is_err());
        let (mended, place) = quoted_texts(front).unwrap();
        assert_eq!((place.line, mended.lines().count()), (3, front.lines().count()));
        let node = parse_yaml(&mended, LIMITS).unwrap();
        assert_eq!(
            node.get("description").unwrap().as_text().unwrap(),
            "Use when: always.\n\nContext: \"x\"\nuser: 'y' # z"
        );
        assert_eq!(node.get("tools").unwrap().as_text(), Some("Read"));
        assert!(quoted_texts("tools: a: b\n").is_none(), "nothing but texts is mended");
        let (mended, _) = quoted_texts("description: a: b\ndenied_tools: [x]\n'x': 1").unwrap();
        assert_eq!(mended, "description: \"a: b\"\ndenied_tools: [x]\n'x': 1", "no restriction is swallowed");
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_lines(text in "(description: |tools: |[a-z:'\"\\n #\\-]|é){0,40}") {
            if let Some((mended, _)) = quoted_texts(&text) {
                prop_assert_eq!(mended.split('\n').count(), text.lines().count().max(1));
            }
        }
    }
}
