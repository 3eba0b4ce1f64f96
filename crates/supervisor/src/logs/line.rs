//! [`Line`]: one line that a service printed, as it stands in a file: its time, a space, and its bytes.

use std::fmt::Write as _;

use masque_types::time::Timestamp;
use time::{Date, Month, OffsetDateTime};

/// Length of a time: `2026-11-22T00:17:15.123Z`.
const STAMP: usize = 24;
/// Nanoseconds of a millisecond.
const NANOS: i128 = 1_000_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was read.
    pub at: Timestamp,
    /// What was printed, without its end of line.
    pub bytes: Vec<u8>,
}

impl Line {
    /// As text; what is not UTF-8 is written `\xNN`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes.len());
        for chunk in self.bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                // Writing to a string does not fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    }

    /// Reads a line of a file. One without a time, which a full disk may leave, has the time of the line before it.
    pub(super) fn parse(raw: &[u8], before: Timestamp) -> Self {
        let stamped = raw.split_at_checked(STAMP).and_then(|(stamp, rest)| Some((parse_stamp(stamp)?, rest)));
        match stamped.and_then(|(at, rest)| Some((at, rest.strip_prefix(b" ")?))) {
            Some((at, bytes)) => Self { at, bytes: bytes.to_vec() },
            None => Self { at: before, bytes: raw.to_vec() },
        }
    }
}

/// Appends a line as it stands in a file.
pub(super) fn write(to: &mut Vec<u8>, stamp: &str, bytes: &[u8]) {
    to.extend_from_slice(stamp.as_bytes());
    to.push(b' ');
    to.extend_from_slice(bytes);
    to.push(b'\n');
}

/// A time as RFC 3339 writes it, in UTC with milliseconds.
pub(super) fn stamp(at: Timestamp) -> String {
    let moment =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * NANOS).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, second, milli) = moment.to_hms_milli();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
}

fn parse_stamp(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if !marks.iter().all(|(place, mark)| text.as_bytes().get(*place) == Some(mark)) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u16>().ok()
    };
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let date = Date::from_calendar_date(number(0, 4)?.into(), Month::try_from(small(5)?).ok()?, small(8)?).ok()?;
    let moment = date.with_hms_milli(small(11)?, small(14)?, small(17)?, number(20, 23)?).ok()?.assume_utc();
    i64::try_from(moment.unix_timestamp_nanos() / NANOS).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use masque_types::time::Timestamp;
    use proptest::prelude::*;

    use super::{Line, stamp, write};

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(stamp(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(Timestamp(951_782_400_123)), "2000-02-29T00:00:00.123Z");
        assert_eq!(stamp(Timestamp(1_795_306_635_001)), "2026-11-22T00:17:15.001Z");
        assert_eq!(stamp(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_text_is_escaped() {
        let line = Line { at: Timestamp(0), bytes: b"a\xff\xc3\xa4\xc3".to_vec() };
        assert_eq!(line.text(), "a\\xffä\\xc3");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in 0_i64..253_402_300_800_000, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\n').collect();
            let mut file = Vec::new();
            write(&mut file, &stamp(Timestamp(at)), &bytes);
            prop_assert_eq!(file.pop(), Some(b'\n'));
            prop_assert_eq!(Line::parse(&file, Timestamp(0)), Line { at: Timestamp(at), bytes });
        }

        #[test]
        fn anything_is_a_line(raw in prop::collection::vec(any::<u8>(), 0..60)) {
            Line::parse(&raw, Timestamp(7));
        }
    }
}
