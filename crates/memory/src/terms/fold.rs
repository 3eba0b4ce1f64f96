//! Folding: what of a character does not matter when words are compared. Leaves out words.

use unicode_normalization::UnicodeNormalization;

use super::LONGEST;

/// A word in lower case and in compatibility form, without the accents of Latin, Greek and Cyrillic letters, reduced to
/// letters and digits and cut to [`LONGEST`] bytes.
pub(super) fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word
            .bytes()
            .filter(u8::is_ascii_alphanumeric)
            .take(LONGEST)
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
    }
    let lower: String = word.nfkc().flat_map(char::to_lowercase).collect();
    let bare = lower.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    let mut folded = String::new();
    for c in bare.nfc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()) {
        let spelt = spelling(c);
        let length = spelt.map_or(c.len_utf8(), str::len);
        if folded.len() + length > LONGEST {
            break;
        }
        match spelt {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    folded
}

/// Letters that do not decompose, as they are written where they are missing.
const fn spelling(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        _ => return None,
    })
}

/// Whether a character belongs to a script that is written without spaces between words.
pub(crate) const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'       // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Myanmar
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{3040}'..='\u{30ff}'   // Hiragana, Katakana
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'   // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'   // half-width Katakana
        | '\u{20000}'..='\u{323af}')
        && !matches!(c, '\u{e3f}' | '\u{3099}'..='\u{30a0}' | '\u{30fb}')
}
