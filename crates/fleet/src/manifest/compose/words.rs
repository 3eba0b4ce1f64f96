//! Texts that Compose splits: command lines as a shell does, and `name=value` pairs.

use super::{
    super::node::{Content, Node, kind},
    Notes,
};

/// The words of a command: a list, or a text with quotes and backslashes.
pub(super) fn of(notes: &mut Notes, node: &Node) -> Vec<String> {
    match &node.content {
        Content::List(items) => items
            .iter()
            .filter_map(|item| {
                let word = item.written();
                if word.is_none() {
                    let message = format!("a word of a command is {}, expected a text", kind(item));
                    notes.push(item.place.error(message).hint("put it in quotes"));
                }
                word
            })
            .collect(),
        _ => node.written().map_or_else(Vec::new, |text| {
            split(&text).unwrap_or_else(|| {
                notes
                    .push(node.place.error("a quote of the command is not closed").hint("write the command as a list"));
                Vec::new()
            })
        }),
    }
}

/// The words of a line; nothing when a quote is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(letter),
            (_, '\\') => word.get_or_insert_default().push(letters.next()?),
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Pairs written as a mapping, or as a list of `name=value`. Names without a value are left out.
pub(super) fn pairs(node: &Node) -> Vec<(String, String)> {
    let of_map = node.entries().iter().filter_map(|entry| Some((entry.key.clone(), entry.value.written()?)));
    let of_list = node.items().iter().filter_map(|item| {
        let text = item.written()?;
        text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    of_map.chain(of_list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        let words = |line: &str| split(line).map(|words| words.join("|"));
        assert_eq!(
            words("python3 -u 'a b.py' \"c \\\" d\" e\\ f ''").as_deref(),
            Some("python3|-u|a b.py|c \" d|e f|")
        );
        assert_eq!(words("  ").as_deref(), Some(""));
        assert_eq!(words("a 'b"), None);
    }
}
