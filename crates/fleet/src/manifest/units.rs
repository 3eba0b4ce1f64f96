//! Durations, sizes, ports and modes as people write them.

use std::{borrow::Cow, fmt, time::Duration};

use masque_tree::units::{self, quantity};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Units of sizes as Docker writes them, beside those that all files of Masque know.
const SHORT_BYTE_UNITS: [(&str, u64); 4] = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40)];

const TIME_UNITS: [(&str, u64); 7] = [
    ("us", 1),
    ("µs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// A duration: `250ms`, `2s`, `1m30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A size in bytes: `512MiB`, `1.5GB`, `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// A port, from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port(pub(super) u16);

/// A mask of permissions: `"022"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask(pub(super) u32);

/// Reads `512MiB`, `1.5 GB`, `64k`; a number without unit is bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    units::bytes(text).or_else(|| quantity(&text.to_ascii_lowercase(), &SHORT_BYTE_UNITS))
}

/// Reads `250ms`, `2s`, `1m30s`. The unit is needed.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut micros = None;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?);
        let unit = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (part, after) = rest.split_at(number.len() + unit);
        micros = Some(micros.unwrap_or(0_u64).checked_add(quantity(part, &TIME_UNITS)?)?);
        rest = after;
    }
    micros.map(Duration::from_micros)
}

/// A type that is written as a text or as a number.
macro_rules! written {
    ($type:ident, $expected:literal, $text:expr, $number:expr, $schema:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;

                impl Visitor<'_> for Written {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        let value: Option<$type> = $text(text);
                        value.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
                    }

                    fn visit_u64<E: Error>(self, number: u64) -> Result<$type, E> {
                        let value: Option<$type> = $number(number);
                        value.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
                    }
                }

                deserializer.deserialize_any(Written)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

written!(
    Span,
    "a duration with its unit, such as `250ms`, `2s` or `5m`",
    |text| duration(text).map(Span),
    |_| None,
    json_schema!({ "type": "string", "pattern": r"^\s*([0-9.]+\s*(us|µs|ms|s|m|h|d)\s*)+$|\$\{" })
);
written!(
    Bytes,
    "a size such as `512MiB` or `2GB`",
    |text| bytes(text).map(Bytes),
    |number| Some(Bytes(number)),
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": r"^\s*[0-9.]+\s*[A-Za-z]*\s*$|\$\{" },
        { "type": "integer", "minimum": 0 },
    ] })
);
written!(
    Port,
    "a port from 1 to 65535",
    |text: &str| text.trim().parse().ok().filter(|port| *port > 0).map(Port),
    |number| u16::try_from(number).ok().filter(|port| *port > 0).map(Port),
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": 65535 },
        { "type": "string", "pattern": r"^\s*[0-9]+\s*$|\$\{" },
    ] })
);
written!(
    Mask,
    "octal digits in quotes, such as `\"022\"`",
    |text: &str| u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mask| *mask <= 0o777).map(Mask),
    |number| u32::try_from(number).ok().filter(|mask| *mask <= 0o777).map(Mask),
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": r"^(0o)?[0-7]{1,4}$|\$\{" },
        { "type": "integer", "minimum": 0, "maximum": 511 },
    ] })
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        assert_eq!(bytes("1.5 MB"), Some(1_500_000));
        assert_eq!(bytes("64m"), Some(64 << 20));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5400)));
        for wrong in ["", " ", "s", "2 XiB", "-1s", "1e9", "20", "..5m", "1s2", "99999999999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = (bytes(&text), duration(&text));
        }
    }
}
