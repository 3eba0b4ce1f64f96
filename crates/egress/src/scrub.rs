//! Taking the values of secrets out of what a host answers, however its bytes are cut into pieces.
//!
//! A value is found as it is, percent-encoded, and in base64 at each of its three alignments. What was compressed or
//! encrypted is not found.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use crate::Refusal;

/// Encoded pieces that are shorter are met by chance.
const SHORTEST_PIECE: usize = 8;

/// Replaces values in a stream by as many other bytes, so that lengths that were announced stay true.
#[derive(Clone)]
pub(crate) struct Scrubber {
    automaton: AhoCorasick,
    needles: Vec<Needle>,
    /// The end of what came before, which may be the beginning of a value.
    held: Vec<u8>,
    /// Something was replaced.
    pub(crate) found: bool,
}

#[derive(Clone)]
struct Needle {
    bytes: Vec<u8>,
    placeholder: String,
}

impl Scrubber {
    /// Looks for values; each is replaced by its placeholder.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        let mut needles = Vec::new();
        for (value, placeholder) in secrets {
            let forms = forms(value.as_bytes());
            needles.extend(forms.into_iter().map(|bytes| Needle { bytes, placeholder: placeholder.to_owned() }));
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(needles.iter().map(|needle| &needle.bytes))
            .map_err(|error| Refusal::Http(error.to_string()))?;
        Ok(Self { automaton, needles, held: Vec::new(), found: false })
    }

    /// Replaces values in a text that is whole, such as a header's value, by their placeholders.
    pub(crate) fn whole(&mut self, text: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(text.len());
        let mut at = 0;
        for found in self.automaton.find_iter(text) {
            clean.extend(text.get(at..found.start()).unwrap_or_default());
            let needle = self.needles.get(found.pattern().as_usize());
            clean.extend(needle.map(|needle| needle.placeholder.as_bytes()).unwrap_or_default());
            at = found.end();
            self.found = true;
        }
        clean.extend(text.get(at..).unwrap_or_default());
        clean
    }

    /// Takes the next bytes of a stream, and gives those that are surely clean.
    pub(crate) fn push(&mut self, bytes: &[u8], clean: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.held);
        text.extend(bytes);
        let border = self.possible_beginning(&text);
        let end = self.replace(&mut text, border);
        self.held = text.split_off(end);
        clean.extend(text);
    }

    /// The stream is over: gives what was held back.
    pub(crate) fn finish(&mut self, clean: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.held);
        let end = text.len();
        self.replace(&mut text, end);
        clean.extend(text);
    }

    /// Replaces the values that begin before the border; returns where the last one ends, or the border.
    fn replace(&mut self, text: &mut [u8], border: usize) -> usize {
        let found: Vec<_> = self.automaton.find_iter(&*text).take_while(|found| found.start() < border).collect();
        for found in &found {
            let Some(needle) = self.needles.get(found.pattern().as_usize()) else { continue };
            let filler = needle.placeholder.bytes().cycle();
            for (byte, other) in text.iter_mut().take(found.end()).skip(found.start()).zip(filler) {
                *byte = other;
            }
        }
        self.found |= !found.is_empty();
        found.last().map_or(border, |last| last.end().max(border))
    }

    /// Where the longest end of the text begins that more bytes could turn into a value.
    fn possible_beginning(&self, text: &[u8]) -> usize {
        let longest = self.needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or_default();
        let first = text.len().saturating_sub(longest.saturating_sub(1));
        let is_beginning = |at: &usize| {
            let end = text.get(*at..).unwrap_or_default();
            self.needles.iter().any(|needle| needle.bytes.len() > end.len() && needle.bytes.starts_with(end))
        };
        (first..text.len()).find(is_beginning).unwrap_or(text.len())
    }
}

/// How a value can be written in an answer.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec(), percent_encoded(value)];
    for before in 0..3 {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            // Letters that hold bits of what stands before or behind are not the value's own.
            let padded = [vec![0; before], value.to_vec()].concat();
            let whole_letters = padded.len() * 8 / 6;
            let encoded = engine.encode(&padded).into_bytes();
            let own = encoded.get((before * 8).div_ceil(6)..whole_letters).unwrap_or_default();
            if own.len() >= SHORTEST_PIECE {
                forms.push(own.to_vec());
            }
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// As in the query of an address: everything but letters, digits and `-._~` (RFC 3986).
fn percent_encoded(value: &[u8]) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' => vec![*byte],
        _ if byte.is_ascii_alphanumeric() => vec![*byte],
        _ => format!("%{byte:02X}").into_bytes(),
    };
    value.iter().flat_map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const VALUE: &str = "sk+live/0123456789";

    fn scrubber() -> Scrubber {
        Scrubber::new([(VALUE, "mq_0123456789abcdef"), ("sk+live", "mq_fedcba9876543210")].into_iter()).unwrap()
    }

    fn scrub(pieces: &[&[u8]]) -> Vec<u8> {
        scrub_with(scrubber(), pieces)
    }

    fn scrub_with(mut scrubber: Scrubber, pieces: &[&[u8]]) -> Vec<u8> {
        let mut clean = Vec::new();
        for piece in pieces {
            scrubber.push(piece, &mut clean);
        }
        scrubber.finish(&mut clean);
        clean
    }

    #[test]
    fn values_are_found_across_every_border() {
        let text = format!("{{\"key\": \"{VALUE}\", \"next\": \"{VALUE}{VALUE}\"}}");
        let scrubber = scrubber();
        for first in 0..text.len() {
            for second in first..text.len() {
                let bytes = text.as_bytes();
                let clean = scrub_with(scrubber.clone(), &[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                let clean = String::from_utf8(clean).unwrap();
                assert_eq!(clean.len(), text.len());
                assert!(!clean.contains("sk+live") && !clean.contains("0123456789\""), "{clean}");
            }
        }
    }

    #[test]
    fn encoded_values_are_found() {
        for text in ["", "a", "ab", "me:"].map(|user| STANDARD.encode(format!("{user}{VALUE}:tail"))) {
            let clean = scrub(&[text.as_bytes()]);
            assert_ne!(clean, text.as_bytes(), "{text}");
            assert!(!String::from_utf8_lossy(&STANDARD.decode(&clean).unwrap_or_default()).contains("0123456789"));
        }
        let clean = scrub(&[b"?key=sk%2Blive%2F0123456789&x"]);
        assert_eq!(clean, b"?key=mq_0123456789abcdefmq_&x");
        assert_eq!(scrubber().whole(format!("a {VALUE} b").as_bytes()), b"a mq_0123456789abcdef b");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_be_a_value() {
        let (mut scrubber, mut clean) = (scrubber(), Vec::new());
        scrubber.push(b"data: event\n\n", &mut clean);
        assert_eq!(clean, b"data: event\n\n");
        scrubber.push(b"data: sk+li", &mut clean);
        assert_eq!(clean, b"data: event\n\ndata: ");
        scrubber.push(b"ly", &mut clean);
        assert_eq!(clean, b"data: event\n\ndata: sk+lily");
    }

    proptest! {
        #[test]
        fn other_bytes_pass_unchanged(pieces in proptest::collection::vec("[a-r0-9+/]{0,12}", 0..12)) {
            let bytes: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            prop_assert_eq!(scrub(&bytes), bytes.concat());
        }
    }
}
