//! PDF documents: the glyphs of their pages, and what they say of themselves. Leaves out how glyphs become lines and
//! paragraphs, pictures, forms, and scans, which hold no text.

use pdf_extract::{Document, MediaBox, Object, OutputDev, OutputError, Transform, output_doc_page};

use crate::{
    Error, Format, Found, Limits,
    pdf_layout::{self, Glyph, Page},
};

/// Most glyphs of one page; more are drawn by attacks only.
const GLYPHS: usize = 200_000;

/// Reads a document.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let mut document = Document::load_mem(bytes).map_err(|error| Error::broken(Format::Pdf, error))?;
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(Error::Encrypted { format: Format::Pdf });
    }
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    if numbers.is_empty() {
        return Err(Error::broken(Format::Pdf, "it has no pages"));
    }
    let mut notes = Vec::new();
    let (mut pages, mut bytes_of_text) = (Vec::new(), 0);
    for number in numbers.iter().take(limits.pages).copied() {
        let mut glyphs = Glyphs::default();
        if let Err(error) = output_doc_page(&document, &mut glyphs, number) {
            notes.push(format!("page {number} was read in part: {error}"));
        }
        bytes_of_text += glyphs.page.glyphs.iter().map(|glyph| glyph.text.len()).sum::<usize>();
        pages.push(glyphs.page);
        if bytes_of_text > limits.text_bytes {
            break;
        }
    }
    if pages.len() < numbers.len() {
        notes.push(format!("only the first {} of its {} pages were read", pages.len(), numbers.len()));
    }
    let (text, heading) = pdf_layout::write(&pages, limits);
    if text.text.is_empty() {
        notes.push("its pages hold no text, as scans do: recognise the text first".to_owned());
    }
    let mut found = text;
    found.notes.extend(notes);
    found.title = heading;
    found.metadata.insert("pages".to_owned(), numbers.len().into());
    add_information(&document, &mut found);
    Ok(found)
}

/// Title, author and dates.
fn add_information(document: &Document, found: &mut Found) {
    let Ok(information) = document.trailer.get(b"Info").and_then(|object| document.dereference(object)) else { return };
    let Ok(dictionary) = information.1.as_dict() else { return };
    let value = |name: &[u8]| {
        let (_, object) = document.dereference(dictionary.get(name).ok()?).ok()?;
        let Object::String(bytes, _) = object else { return None };
        let text = text_string(bytes);
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    };
    found.title = value(b"Title").or_else(|| found.title.take());
    let moment = |name: &[u8]| value(name).map(|date| iso_date(&date).unwrap_or(date));
    let known = [("author", value(b"Author")), ("created", moment(b"CreationDate")), ("modified", moment(b"ModDate"))];
    for (key, value) in known {
        if let Some(value) = value {
            found.metadata.insert(key.to_owned(), value.into());
        }
    }
}

/// A text of PDF: UTF-16 or UTF-8 with a mark, else nearly Latin-1.
fn text_string(bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, length)) => {
            encoding.decode_without_bom_handling(bytes.get(length..).unwrap_or_default()).0.into()
        }
        None => encoding_rs::mem::decode_latin1(bytes).into_owned(),
    }
}

/// `D:20240131235900+01'00'` as `2024-01-31T23:59:00+01:00`.
fn iso_date(date: &str) -> Option<String> {
    let digits = date.strip_prefix("D:").unwrap_or(date);
    let part = |from: usize, to: usize| digits.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let day = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let Some((hour, minute, second)) = part(8, 10).zip(part(10, 12)).zip(part(12, 14)).map(|((h, m), s)| (h, m, s))
    else {
        return Some(day);
    };
    let zone = digits.get(14..).unwrap_or_default();
    let zone = match (zone.get(..1), zone.get(1..3), zone.get(4..6)) {
        (Some(sign @ ("+" | "-")), Some(hours), Some(minutes)) => format!("{sign}{hours}:{minutes}"),
        _ => "Z".to_owned(),
    };
    Some(format!("{day}T{hour}:{minute}:{second}{zone}"))
}

/// Takes the glyphs of a page as they are drawn.
#[derive(Default)]
struct Glyphs {
    page: Page,
}

impl OutputDev for Glyphs {
    fn begin_page(&mut self, _: u32, media: &MediaBox, _: Option<(f64, f64, f64, f64)>) -> Result<(), OutputError> {
        self.page.height = media.ury - media.lly;
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        size: f64,
        letter: &str,
    ) -> Result<(), OutputError> {
        if self.page.glyphs.len() >= GLYPHS {
            return Ok(());
        }
        let scale = (place.m11 * place.m22 - place.m12 * place.m21).abs().sqrt();
        let size = (size * scale).abs();
        let glyph = Glyph { x: place.m31, y: place.m32, size, width: width * size, text: letter.to_owned() };
        if glyph.x.is_finite() && glyph.y.is_finite() && glyph.size.is_finite() && glyph.width.is_finite() {
            self.page.glyphs.push(glyph);
        }
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_texts_of_pdf() {
        assert_eq!(iso_date("D:20240131235900+01'00'").as_deref(), Some("2024-01-31T23:59:00+01:00"));
        assert_eq!(iso_date("D:20240131").as_deref(), Some("2024-01-31"));
        assert_eq!(iso_date("D:20240131235900Z").as_deref(), Some("2024-01-31T23:59:00Z"));
        assert_eq!(iso_date("last week"), None);
        assert_eq!(text_string(b"\xfe\xff\0G\0r\0\xfc\0n"), "Grün");
        assert_eq!(text_string(b"Gr\xfcn"), "Grün");
    }
}
