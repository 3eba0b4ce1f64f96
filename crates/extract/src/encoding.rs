//! From bytes to characters: what is text, in which character set. Leaves out what the text is.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::Error;

/// Text, and what had to be guessed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) note: Option<String>,
}

/// Decodes text: by its byte order mark, as UTF-8, or by a guess that is noted. Line ends become `\n`.
///
/// # Errors
/// [`Error::Binary`] for what is no text.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let (encoding, body, is_guess) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, bytes.get(length..).unwrap_or_default(), false),
        None => guess(bytes),
    };
    let (text, _) = encoding.decode_without_bom_handling(body);
    if is_binary(&text) {
        return Err(Error::Binary { looks_like: looks_like(bytes) });
    }
    let note = is_guess.then(|| format!("its character set is not stated and was taken to be {}", encoding.name()));
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into_owned() };
    Ok(Decoded { text, note })
}

fn guess(bytes: &[u8]) -> (&'static Encoding, &[u8], bool) {
    // Western text in UTF-16 is valid UTF-8 too, full of zeros.
    if let Some(encoding) = without_mark(bytes) {
        return (encoding, bytes, true);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return (UTF_8, bytes, false);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    (detector.guess(None, Utf8Detection::Deny), bytes, true)
}

/// UTF-16 of mostly western text, by where its zeros are.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let pairs = bytes.get(..4096).unwrap_or(bytes).as_chunks::<2>().0;
    let zeros = |place: usize| pairs.iter().filter(|pair| pair.get(place) == Some(&0)).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = |zeros: usize, others: usize| zeros * 10 > pairs.len() * 7 && others * 50 < pairs.len();
    if most(second, first) {
        Some(UTF_16LE)
    } else if most(first, second) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether decoded characters are those of text: hardly any control characters and nothing that could not be decoded.
fn is_binary(text: &str) -> bool {
    let strange = |letter: char| {
        letter == '\u{fffd}'
            || letter == '\0'
            || (letter.is_control() && !"\n\r\t\u{c}\u{1b}\u{8}\u{85}".contains(letter))
    };
    let (mut all, mut odd) = (0_usize, 0_usize);
    for letter in text.chars() {
        all += 1;
        odd += usize::from(strange(letter));
    }
    text.contains('\0') || odd * 50 > all
}

/// What bytes look like that are no text, with its article.
pub(crate) fn looks_like(bytes: &[u8]) -> String {
    match infer::get(bytes) {
        Some(kind) if kind.mime_type().starts_with("text/") => "damaged text".to_owned(),
        Some(kind) => format!("a file of type {}", kind.mime_type()),
        None => "binary data".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_sets_are_recognised() {
        let utf16 = |text: &str, mark: bool| -> Vec<u8> {
            mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        };
        let plain = |text: &str| Decoded { text: text.to_owned(), note: None };
        assert_eq!(decode("grüße\r\nx\ry".as_bytes()).unwrap(), plain("grüße\nx\ny"));
        assert_eq!(decode(b"\xef\xbb\xbfmark").unwrap(), plain("mark"));
        assert_eq!(decode(&utf16("grüße", true)).unwrap(), plain("grüße"));
        let unmarked = decode(&utf16("plain western text", false)).unwrap();
        assert!(unmarked.text == "plain western text" && unmarked.note.unwrap().contains("UTF-16LE"));
        let latin = decode(b"Stra\xdfe und Br\xfccke, sch\xf6n gr\xfc\xdfen").unwrap();
        assert!(latin.text == "Straße und Brücke, schön grüßen" && latin.note.unwrap().contains("windows-1252"));
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode("日本語の文章です。これはテストです。");
        assert_eq!(decode(&bytes).unwrap().text, "日本語の文章です。これはテストです。");
    }

    #[test]
    fn binary_data_is_refused_with_what_it_looks_like() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
        assert!(decode(png).unwrap_err().to_string().contains("image/png"));
        let noise: Vec<u8> = (0_u32..4096).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(decode(&noise).unwrap_err().to_string().contains("binary data"));
    }
}
