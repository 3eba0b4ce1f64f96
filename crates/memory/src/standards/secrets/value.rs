//! Values beside a word that says that they are secret: whether they look like one.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

/// A name, a sign, a value. The name has a word that says secret.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?P<name>[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|",
        r"encryption[_-]?key|signing[_-]?key|credential)s?)[\x22'`]?\s*(?P<sign>:=|=>|=|:)\s*",
        r"(?P<quote>[\x22'`]?)(?P<value>[^\s\x22'`,;]{6,})(?P<end>[\x22'`]?)",
    ))
    .ok()
});

/// Secrets of a line that are known by their surroundings: kind and placeholder.
pub(super) fn assigned(line: &str) -> Vec<(String, String)> {
    let Some(regex) = ASSIGNED.as_ref() else { return Vec::new() };
    regex
        .captures_iter(line)
        .filter_map(|captures| {
            let (name, value) = (captures.name("name")?.as_str(), captures.name("value")?.as_str());
            let is_quoted = captures.name("quote").is_some_and(|quote| !quote.is_empty());
            let is_set = captures.name("sign").is_some_and(|sign| sign.as_str() == "=");
            looks_secret(name, value, is_quoted, is_set).then(|| ("secret value".to_owned(), placeholder(name)))
        })
        .collect()
}

fn looks_secret(name: &str, value: &str, is_quoted: bool, is_set: bool) -> bool {
    let value = value.trim_end_matches([')', '.', ']', '}', '>']);
    if value.len() < 6 || is_placeholder(value) || is_code(value) || is_about_something_else(name) {
        return false;
    }
    let classes = classes(value);
    let is_password = name.to_lowercase().contains("pass");
    // People choose passwords, programs draw keys: what is said of a password may be short.
    if is_password && classes >= 2 && value.bytes().any(|byte| byte.is_ascii_digit()) && (is_quoted || is_set) {
        return true;
    }
    value.len() >= 16 && classes >= 2 && value.bytes().any(|byte| byte.is_ascii_digit()) && entropy(value) >= 3.2
}

/// Names that have one of the words and hold no secret: `token_count`, `password_file`.
fn is_about_something_else(name: &str) -> bool {
    let name = name.to_lowercase();
    ["max", "num", "count", "total", "public", "expected"].iter().any(|word| name.contains(word))
}

/// Whether a value stands for a secret instead of being one.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    let begins = [
        "$", "<", "{", "%", "[", "@", "(", "&", "*", "…", "...", "/", "./", "~/", "vault:", "op://", "arn:", "env:",
        "file:",
    ];
    let holds = [
        "example",
        "changeme",
        "change-me",
        "change_me",
        "placeholder",
        "your-",
        "your_",
        "yourkey",
        "xxxx",
        "****",
        "redacted",
        "dummy",
        "sample",
        "todo",
        "fixme",
        "not-a-",
        "<",
        "${",
        "{{",
        "…",
        "...",
    ];
    begins.iter().any(|begin| lower.starts_with(begin))
        || holds.iter().any(|word| lower.contains(word))
        || is_monotonous(value)
}

/// Whether it is the same letter, or letters and digits in their order, over and over.
fn is_monotonous(value: &str) -> bool {
    let letters: Vec<u32> = value.chars().map(u32::from).collect();
    let steady = letters.windows(2).filter(|pair| matches!(pair, [one, two] if one == two || one + 1 == *two)).count();
    letters.len() >= 8 && steady * 10 >= (letters.len() - 1) * 8
}

/// Whether it is an expression, a type or a path, not a literal.
fn is_code(value: &str) -> bool {
    let signs = ["(", ")", "::", "[", "]", "->", "=>", "&&", "||", "<", ">", "{", "}", "\\", "|"];
    let is_dotted =
        value.contains('.') && value.split('.').all(|part| part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_'));
    let is_path = value.matches('/').count() >= 2 && entropy(value) < 4.2;
    let is_words = value
        .split(['-', '_', '/', '.'])
        .all(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()) || word.len() <= 2);
    signs.iter().any(|sign| value.contains(sign)) || is_dotted || is_path || is_words
}

/// How many of lower case, upper case, digits and other characters occur.
fn classes(value: &str) -> usize {
    let has = |test: fn(char) -> bool| usize::from(value.chars().any(test));
    has(|letter| letter.is_ascii_lowercase())
        + has(|letter| letter.is_ascii_uppercase())
        + has(|letter| letter.is_ascii_digit())
        + has(|letter| !letter.is_ascii_alphanumeric())
}

/// Bits per character (Shannon).
fn entropy(value: &str) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for letter in value.chars() {
        *counts.entry(letter).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    counts.values().map(|count| count / total).map(|share| -share * share.log2()).sum()
}

/// The name of a value as the name of a variable: `apiKey` is `$API_KEY`.
fn placeholder(name: &str) -> String {
    let mut variable = String::from("$");
    let mut before = '_';
    for letter in name.rsplit('.').next().unwrap_or(name).chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            variable.push('_');
        }
        variable.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' });
        before = letter;
    }
    let trimmed = variable.trim_start_matches(['$', '_']);
    if trimmed.is_empty() { "$SECRET".to_owned() } else { format!("${trimmed}") }
}
