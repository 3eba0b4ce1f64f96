//! [`UnitFile`]: files of systemd, quoted so that any text stays what it is.

use std::fmt::Write as _;

/// Sections with their entries.
#[derive(Debug, Default)]
pub(super) struct UnitFile {
    text: String,
}

impl UnitFile {
    pub(super) fn new(comment: &str) -> Self {
        let mut file = Self::default();
        file.comment(comment);
        file
    }

    /// A line that nobody reads but people.
    pub(super) fn comment(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {}", one_line(text));
    }

    pub(super) fn section(&mut self, name: &str) {
        let _ = writeln!(self.text, "\n[{name}]");
    }

    /// An entry whose value is taken as it is, but for the marks that systemd itself gives a meaning.
    pub(super) fn set(&mut self, key: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.text, "{key}={}", specifiers(&one_line(value.as_ref())));
    }

    /// An entry that becomes part of a command: systemd would put variables into it.
    pub(super) fn set_argument(&mut self, key: &str, value: impl AsRef<str>) {
        self.set(key, value.as_ref().replace('$', "$$"));
    }

    /// An entry of words, each in quotes where it needs them.
    pub(super) fn set_words<'a>(&mut self, key: &str, words: impl IntoIterator<Item = &'a str>) {
        let words: Vec<_> = words.into_iter().map(|word| quoted(&word.replace('$', "$$"))).collect();
        let _ = writeln!(self.text, "{key}={}", specifiers(&words.join(" ")));
    }

    /// An entry of a section that systemd does not read. The value has no line breaks.
    pub(super) fn set_raw(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key}={value}");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// Without line breaks and other control characters, and without the mark that joins lines.
fn one_line(text: &str) -> String {
    super::names::one_line(text).trim().trim_end_matches('\\').to_owned()
}

/// A word of a command line of systemd.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+=,$".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() && control.is_ascii() => {
                let _ = write!(out, "\\x{:02x}", u32::from(control));
            }
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
