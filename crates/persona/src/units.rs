//! Durations and money as people write them.

use std::time::Duration;

use masque_tree::units::{quantity, scaled};
use masque_types::cost::MicroUsd;

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `20m`, `90s`, `500ms`, `1.5h`. The unit is needed.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    quantity(&text.to_ascii_lowercase(), &TIME_UNITS).map(Duration::from_millis)
}

/// Dollars as millionths.
pub(crate) fn dollars(amount: f64) -> Option<MicroUsd> {
    scaled(amount, 1_000_000).map(MicroUsd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(duration("20m"), Some(Duration::from_secs(1200)));
        assert_eq!(duration("1.5 H"), Some(Duration::from_secs(5400)));
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
            let _ = (duration(&text), dollars(amount));
        }
    }
}
