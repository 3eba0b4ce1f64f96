//! Colours, symbols and the shapes of numbers.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use masque_types::{cost::Spend, run::RunStatus, time::Timestamp};
use serde_json::Value;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();

/// The colour of a status.
pub(crate) const fn of_status(status: RunStatus) -> Style {
    match status {
        RunStatus::Completed => GOOD,
        RunStatus::Failed => ERROR,
        RunStatus::Running => HINT,
        RunStatus::Waiting | RunStatus::Cancelled => WARNING,
    }
}

/// The beginning of a text on one line, at most so many bytes, without what could move the cursor.
pub(crate) fn shortened(text: &str, bytes: usize) -> String {
    harmless(&masque_app::runs::clipped(text, bytes))
}

/// Arguments of a call in a few words, the short ones first: `path=src depth=2`.
pub(crate) fn arguments(value: &Value, bytes: usize) -> String {
    let Some(object) = value.as_object() else { return shortened(&value.to_string(), bytes) };
    let mut words: Vec<String> = object
        .iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) if text.contains(char::is_whitespace) => format!("{key}=\"{}\"", shortened(text, bytes / 2)),
            Some(text) => format!("{key}={}", shortened(text, bytes)),
            None => format!("{key}={}", shortened(&value.to_string(), bytes)),
        })
        .collect();
    words.sort_by_key(String::len);
    shortened(&words.join(" "), bytes)
}

/// Lines of one argument that a question shows.
const ARGUMENT_LINES: usize = 16;

/// Arguments of a call for a decision: each on its own lines, long texts as blocks of which the beginning is shown.
pub(crate) fn argument_block(value: &Value) -> String {
    let Some(object) = value.as_object() else { return format!("  {value}\n") };
    let mut entries: Vec<(&String, String)> = object
        .iter()
        .map(|(key, value)| (key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    entries.sort_by_key(|(_, text)| text.len());
    entries.iter().map(|(key, text)| argument_lines(key, text)).collect()
}

fn argument_lines(key: &str, text: &str) -> String {
    if !text.contains('\n') && text.len() <= 400 {
        return format!("  {key}: {text}\n");
    }
    let total = text.lines().count();
    let lines = text.lines().take(ARGUMENT_LINES).map(|line| format!("    │ {}\n", shown_line(line)));
    let rest = match total.saturating_sub(ARGUMENT_LINES) {
        0 => String::new(),
        more => format!("    │ … {more} more lines; masque approvals show has all\n"),
    };
    format!("  {key}: {total} lines, {} bytes\n{}{rest}", count(text.len() as u64), lines.collect::<String>())
}

fn shown_line(line: &str) -> String {
    harmless(line).chars().take(400).collect()
}

/// A text of a model or tool without what could move the cursor, change colours or hide a part of it.
pub(crate) fn harmless(text: &str) -> String {
    let harmful = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    text.replace(harmful, "\u{fffd}")
}

/// A text with styles, broken between words after so many columns; further rows stand two columns deeper than their
/// line. Longer words stay whole: the terminal breaks them.
pub(crate) fn folded(text: &str, columns: usize) -> String {
    text.lines().map(|line| folded_line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn folded_line(line: &str, columns: usize) -> String {
    let depth = line.chars().take_while(|letter| *letter == ' ').count() + 2;
    let (mut folded, mut used) = (String::with_capacity(line.len()), 0);
    for (place, word) in line.split(' ').enumerate() {
        let wide = crate::chat::text::width(&anstream::adapter::strip_str(word).to_string());
        if place > 0 && used > depth && used + 1 + wide > columns {
            folded.push('\n');
            folded.push_str(&" ".repeat(depth));
            used = depth;
        } else if place > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(word);
        used += wide;
    }
    folded
}

/// How long ago, in one unit: `3m`.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A duration as people say it: `12 ms`, `3.4 s`, `2 m 5 s`, `1 h 0 m`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} m {} s", millis / 60_000, millis % 60_000 / 1_000),
        _ => format!("{} h {} m", millis / 3_600_000, millis % 3_600_000 / 60_000),
    }
}

/// A count with thousands apart: `12,345`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 message`, `12 messages`.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { several })
}

/// What a run used, in a few words.
pub(crate) fn spend(spend: &Spend) -> String {
    let calls = counted(u64::from(spend.steps), "model call", "model calls");
    format!("{calls}, {} tokens, {}", count(spend.usage.total()), spend.micro_usd)
}

/// The date and time in UTC.
pub(crate) fn date(at: Timestamp) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let date = time::OffsetDateTime::from_unix_timestamp(at.0 / 1_000).ok();
    date.and_then(|date| date.format(format).ok()).unwrap_or_else(|| format!("{} ms", at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_styles_take_no_room() {
        assert_eq!(folded("one two three\n  four five", 9), "one two\n  three\n  four\n    five");
        assert_eq!(folded(&format!("{BOLD}one{BOLD:#} two"), 7), format!("{BOLD}one{BOLD:#} two"));
        assert_eq!(folded("averyverylongword", 8), "averyverylongword");
    }

    #[test]
    fn arguments_read_well() {
        let value = serde_json::json!({ "content": "a\nb\u{1b}[2J", "path": "x.md" });
        assert_eq!(arguments(&value, 80), "path=x.md content=\"a b\u{1b}[2J\"".replace('\u{1b}', "\u{fffd}"));
        assert_eq!(argument_block(&value), "  path: x.md\n  content: 2 lines, 7 bytes\n    │ a\n    │ b\u{fffd}[2J\n");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 1_250, 125_000].map(Duration::from_millis).map(duration), ["5 ms", "1.2 s", "2 m 5 s"]);
        assert_eq!(date(Timestamp(0)), "1970-01-01 00:00:00 UTC");
    }
}
