//! Sizes, durations and money as people write them.

use std::time::Duration;

use masque_types::cost::MicroUsd;

const BYTE_UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `2GiB`, `512 MiB`, `1.5GB`; a number without unit is bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = if unit.is_empty() { 1 } else { factor(&BYTE_UNITS, &unit)? };
    scaled(number, factor)
}

/// Reads `20m`, `90s`, `500ms`, `1.5h`. The unit is needed.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    scaled(number, factor(&TIME_UNITS, &unit)?).map(Duration::from_millis)
}

/// Dollars as millionths.
pub(crate) fn dollars(amount: f64) -> Option<MicroUsd> {
    scaled(amount, 1_000_000).map(MicroUsd)
}

fn split(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
fn scaled(number: f64, factor: u64) -> Option<u64> {
    let value = (number * factor as f64).round();
    // 2^53: up to here every whole number has an exact `f64`.
    (0.0..=9_007_199_254_740_992.0).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("1.5 MB"), Some(1_500_000));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(duration("20m"), Some(Duration::from_secs(1200)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(dollars(0.5), Some(MicroUsd(500_000)));
        for wrong in ["", "GiB", "2 XiB", "-1", "1e9", "20", "..5m", "99999999999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!((dollars(-1.0), dollars(f64::NAN), dollars(1e300)), (None, None, None));
    }

    proptest! {
        #[test]
        fn never_panics(text: String, amount: f64) {
            let _ = (bytes(&text), duration(&text), dollars(amount));
        }
    }
}
