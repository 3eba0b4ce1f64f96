//! Text from strangers made harmless to read: nothing invisible, nothing that reorders, not too long.

use serde_json::Value;

/// Characters of a tool's description.
pub(super) const DESCRIPTION: usize = 4_000;
/// Characters of a parameter's description or of an error text.
pub(crate) const SHORT: usize = 2_000;

/// The text without control, zero-width, bidirectional and tag characters, at most `longest` characters long. Line
/// feeds and tabs stay.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    let mut visible = text.chars().filter(|letter| !is_invisible(*letter));
    let mut cleaned: String = visible.by_ref().take(longest).collect();
    if visible.next().is_some() {
        cleaned.push_str(" [cut]");
    }
    cleaned
}

fn is_invisible(letter: char) -> bool {
    let named = matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    named || (letter.is_control() && !matches!(letter, '\n' | '\t'))
}

/// Cleans every title and description of a schema, where instructions can hide as well.
pub(super) fn clean_schema(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(text) if matches!(key.as_str(), "description" | "title" | "$comment") => {
                        *text = clean(text, SHORT);
                    }
                    value => clean_schema(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean_schema),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn hidden_instructions_become_visible_or_vanish() {
        assert_eq!(clean("a\u{200b}b\u{202e}c\u{e0041}d\u{1b}[31me\nf", 100), "abcd[31me\nf");
        assert_eq!(clean("abcdef", 3), "abc [cut]");
        let mut schema = json!({"properties": {"description": {"description": "x\u{2066}y", "enum": ["\u{200b}"]}}});
        clean_schema(&mut schema);
        assert_eq!(schema, json!({"properties": {"description": {"description": "xy", "enum": ["\u{200b}"]}}}));
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text: String) {
            let once = clean(&text, 10_000);
            prop_assert_eq!(clean(&once, 10_000), once);
        }
    }
}
