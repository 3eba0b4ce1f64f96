//! Kinds of option values: how they are written, parsed and compared.

use std::{fmt, time::Duration};

use masque_types::{cost::MicroUsd, model::ModelRef};

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number, or `unlimited`.
    Count,
    /// Dollars, or `unlimited`.
    Money,
    /// A number with `ms`, `s`, `m`, `h` or `d`, or `unlimited`.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Model references separated by commas.
    Models,
}

/// How an amount of money is written.
const USD: &str = "an amount in dollars with at most six decimals, such as 0.50";
/// How a duration is written.
const DURATION: &str = "a duration such as 30s, 20m, 2h or 7d";

/// A parsed value. Absent limits are `None`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text or a choice.
    Text(String),
    /// A count.
    Count(Option<u64>),
    /// Millionths of a dollar.
    Money(Option<u64>),
    /// A duration.
    Duration(Option<Duration>),
    /// Models in order.
    Models(Vec<ModelRef>),
}

impl Kind {
    /// What may be written, for people.
    #[must_use]
    pub fn takes(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Count => "a whole number or `unlimited`".to_owned(),
            Self::Money => format!("{USD}, or `unlimited`"),
            Self::Duration => format!("{DURATION}, or `unlimited`"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Models => "a list of provider/model, separated by commas".to_owned(),
        }
    }

    /// Parses a text; the error says what was expected.
    ///
    /// # Errors
    /// When the text is not of this kind.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let limit = (text != "unlimited").then_some(text);
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Count => {
                limit.map(|text| text.replace('_', "").parse().map_err(|_| self.takes())).transpose().map(Value::Count)
            }
            Self::Money => limit.map(parse_usd).transpose().map(Value::Money),
            Self::Duration => limit.map(parse_duration).transpose().map(Value::Duration),
            Self::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::Choice(_) => Err(self.takes()),
            Self::Models => parse_models(text).map(Value::Models).map_err(|()| self.takes()),
        }
    }
}

fn parse_models(text: &str) -> Result<Vec<ModelRef>, ()> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|_| ())).collect()
}

/// Dollars with at most six decimals, as millionths.
///
/// # Errors
/// When the text is no such amount.
pub(super) fn parse_usd(text: &str) -> Result<u64, String> {
    let expected = || USD.to_owned();
    let (whole, part) = text.trim_start_matches('$').split_once('.').unwrap_or((text.trim_start_matches('$'), ""));
    if part.len() > 6 || (whole.is_empty() && part.is_empty()) || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| expected())? };
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| expected())?;
    whole.checked_mul(1_000_000).and_then(|micro| micro.checked_add(part)).ok_or_else(expected)
}

/// A number with a unit: `250ms`, `30s`, `20m`, `2h`, `7d`.
///
/// # Errors
/// When number or unit is missing.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || DURATION.to_owned();
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    number.checked_mul(scale).map(Duration::from_millis).ok_or_else(expected)
}

impl Value {
    /// Whether this limit is at least as tight as another one.
    #[must_use]
    pub fn is_at_most(&self, other: &Self) -> bool {
        fn at_most<T: Ord>(one: Option<T>, two: Option<T>) -> bool {
            two.is_none_or(|two| one.is_some_and(|one| one <= two))
        }
        match (self, other) {
            (Self::Count(one), Self::Count(two)) | (Self::Money(one), Self::Money(two)) => at_most(*one, *two),
            (Self::Duration(one), Self::Duration(two)) => at_most(*one, *two),
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Count(None) | Self::Money(None) | Self::Duration(None) => f.write_str("unlimited"),
            Self::Count(Some(count)) => write!(f, "{count}"),
            Self::Money(Some(money)) => write!(f, "{}", MicroUsd(*money)),
            Self::Duration(Some(duration)) => f.write_str(&duration_text(*duration)),
            Self::Models(models) => f.write_str(&models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A duration in its largest whole unit, as [`parse_duration`] reads it.
#[must_use]
fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let unit = units.iter().find(|(scale, _)| millis.is_multiple_of(*scale) && millis >= *scale);
    unit.map_or_else(|| "0s".to_owned(), |(scale, unit)| format!("{}{unit}", millis / scale))
}

/// A TOML value as a user would write it for an option.
pub(super) fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_shown() {
        for (kind, text) in [
            (Kind::Count, "50"),
            (Kind::Count, "unlimited"),
            (Kind::Duration, "90s"),
            (Kind::Duration, "2h"),
            (Kind::Models, "ollama/qwen3, anthropic/claude"),
            (Kind::Choice(&["on", "off"]), "off"),
        ] {
            assert_eq!(kind.parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse_usd("$0.5"), Ok(500_000));
        for bad in ["", "1.2345678", "-1", "a", "."] {
            assert!(parse_usd(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unlimited_is_never_tighter() {
        let count = |text| Kind::Count.parse(text).unwrap();
        assert!(count("5").is_at_most(&count("unlimited")));
        assert!(!count("unlimited").is_at_most(&count("5")));
        assert!(!count("6").is_at_most(&count("5")));
    }
}
