//! What a typed line means: words to the persona, or a command.
//!
//! Leaves out which commands there are.

/// A typed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// Nothing.
    Nothing,
    /// `/name rest`.
    Command { name: &'a str, rest: &'a str },
    /// Words to the persona.
    Words(&'a str),
}

/// Reads a line. A path such as `/etc/hosts` begins no command, and neither does a slash with a blank behind it.
pub(crate) fn parse(line: &str) -> Input<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Input::Nothing;
    }
    let Some(command) = line.strip_prefix('/') else { return Input::Words(line) };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let is_name =
        name.chars().next().is_some_and(|letter| letter.is_alphabetic() || letter == '?') && !name.contains('/');
    if is_name { Input::Command { name, rest: rest.trim() } } else { Input::Words(line) }
}

/// The first word of a text, and what follows it.
pub(crate) fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// The known name that is nearest to a misspelt one, if one is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), known);
    known
        .map(|known| (if known.starts_with(name) { 0 } else { distance(known) }, known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 1.max(known.len() / 3))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_words_or_commands() {
        let command = |name, rest| Input::Command { name, rest };
        assert_eq!(parse("  "), Input::Nothing);
        assert_eq!(parse("/persona  data-expert do  this "), command("persona", "data-expert do  this"));
        assert_eq!(parse("/help"), command("help", ""));
        assert_eq!(parse("/write two\nlines"), command("write", "two\nlines"));
        assert_eq!(parse("/etc/hosts is what?"), Input::Words("/etc/hosts is what?"));
        assert_eq!(parse("/ or not"), Input::Words("/ or not"));
        assert_eq!(parse(" hello /help "), Input::Words("hello /help"));
        assert_eq!(first_word("a  b c"), ("a", "b c"));
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let near = |name| nearest(name, ["persona", "budget", "why"].into_iter());
        assert_eq!((near("perosna"), near("bud"), near("xyzzy")), (Some("persona"), Some("budget"), None));
    }
}
