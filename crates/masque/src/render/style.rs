//! Colours, symbols and the shapes of numbers.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use masque_types::{cost::Spend, run::RunStatus, time::Timestamp};

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

/// The beginning of a text on one line, at most so many bytes.
pub(crate) fn shortened(text: &str, bytes: usize) -> String {
    masque_app::runs::clipped(text, bytes)
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

/// A duration as people say it: `12 ms`, `3.4 s`, `2 m 5 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} m {} s", millis / 60_000, millis % 60_000 / 1_000),
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

/// What a run used, in a few words.
pub(crate) fn spend(spend: &Spend) -> String {
    let calls = if spend.steps == 1 { "1 model call".to_owned() } else { format!("{} model calls", spend.steps) };
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
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 1_250, 125_000].map(Duration::from_millis).map(duration), ["5 ms", "1.2 s", "2 m 5 s"]);
        assert_eq!(date(Timestamp(0)), "1970-01-01 00:00:00 UTC");
    }
}
