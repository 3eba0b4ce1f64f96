//! Quantities as people write them: a number and its unit.
//!
//! Leaves out which units a file takes, but for those of sizes.

const BYTE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Reads `2GiB`, `512 MiB`, `1.5GB`; a number without unit is bytes.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    quantity(&text.to_ascii_lowercase(), &BYTE_UNITS)
}

/// Reads a number and one of these units, each with its factor.
#[must_use]
pub fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    scaled(number.parse().ok()?, *factor)
}

/// The nearest whole number, where it is not negative and has an exact `f64`.
#[must_use]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
pub fn scaled(number: f64, factor: u64) -> Option<u64> {
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
        assert_eq!(bytes(" 4096 "), Some(4096));
        for wrong in ["", "GiB", "2 XiB", "-1", "1e9", "..5b", "99999999999999999"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
        assert_eq!((scaled(-1.0, 1), scaled(f64::NAN, 1), scaled(1e300, 1)), (None, None, None));
    }

    proptest! {
        #[test]
        fn never_panics(text: String, number: f64, factor: u64) {
            let _ = (bytes(&text), quantity(&text, &[("s", factor)]), scaled(number, factor));
        }
    }
}
