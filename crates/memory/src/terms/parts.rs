//! The seams of identifiers and contractions. Leaves out folding.

use std::borrow::Cow;

/// The parts of a word that is put together: at capitals, underlines, dots and whatever else is neither letter nor digit.
pub(super) fn of(word: &str) -> Vec<&str> {
    word.split(|c: char| !c.is_alphanumeric() && !is_mark(c))
        .filter(|part| !part.is_empty())
        .flat_map(at_capitals)
        .collect()
}

/// Marks that belong to the letter before them, as in decomposed accents.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// `HTTPServer` is `HTTP` and `Server`, `readFile` is `read` and `File`; digits stay with what is before them.
fn at_capitals(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut cuts = vec![0];
    for (place, window) in chars.windows(2).enumerate() {
        let [(_, before), (at, here)] = window else { continue };
        let next_is_small = chars.get(place + 2).is_some_and(|(_, next)| next.is_lowercase());
        let rises = !before.is_uppercase() && here.is_uppercase();
        if rises || (before.is_uppercase() && here.is_uppercase() && next_is_small) {
            cuts.push(*at);
        }
    }
    cuts.push(word.len());
    cuts.windows(2).filter_map(|cut| word.get(*cut.first()?..*cut.last()?)).filter(|part| !part.is_empty()).collect()
}

/// `file's` is `file`, `l'homme` is `homme`, `don't` is `dont`.
pub(super) fn without_elision(word: &str) -> Cow<'_, str> {
    let Some((before, after)) = word.split_once(['\'', '’']) else { return Cow::Borrowed(word) };
    match (before.chars().count(), after) {
        (_, "s" | "S") => Cow::Borrowed(before),
        (1 | 2, _) if after.chars().count() > 2 => Cow::Borrowed(after),
        _ => Cow::Owned(format!("{before}{after}")),
    }
}

/// Whether a word looks like the name of something in code or on a command line.
pub(super) fn is_identifier(word: &str) -> bool {
    let core = word.trim_matches(|c: char| matches!(c, '`' | '"' | '\'' | ',' | '?' | '!' | '(' | ')' | '.' | ';'));
    let inside = |seam: char| core.trim_matches(seam).contains(seam);
    let digits = core.chars().any(|c| c.is_ascii_digit()) && core.chars().any(char::is_alphabetic);
    let camel = at_capitals(core).len() > 1 && core.chars().any(char::is_lowercase);
    word.starts_with('`')
        || core.starts_with("--")
        || core.contains("::")
        || core.contains("()")
        || inside('_')
        || inside('/')
        || inside('.')
        || digits
        || camel
}
