//! The ZIP archive that office documents are, with limits that a bomb meets. Leaves out what the entries say.

use std::io::{Cursor, Read as _};

use zip::{ZipArchive, result::ZipError};

use crate::{Error, Format, Limits};

/// Entries below this size may be compressed as much as they like.
const RATIO_FROM: u64 = 1 << 20;

/// An office document's archive.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    format: Format,
    limits: &'a Limits,
    unpacked: u64,
}

/// What the archive holds.
///
/// # Errors
/// When it is no document that is read.
pub(crate) fn recognise(bytes: &[u8]) -> Result<Format, Error> {
    let unsupported = |what| Err(Error::Unsupported { what, instead: "one of its documents, or unpack it" });
    let zip = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(zip) => zip,
        Err(error) => {
            return by_glance(bytes).ok_or(Error::Broken { format: Format::Docx, problem: error.to_string() });
        }
    };
    let has = |name: &str| zip.index_for_name(name).is_some();
    if has("word/document.xml") {
        Ok(Format::Docx)
    } else if has("ppt/presentation.xml") {
        Ok(Format::Pptx)
    } else if has("xl/workbook.xml") {
        Ok(Format::Xlsx)
    } else if has("mimetype") || has("xl/workbook.bin") {
        unsupported("this kind of document")
    } else {
        unsupported("a ZIP archive")
    }
}

/// What a broken archive was, by the names that are still in it.
fn by_glance(bytes: &[u8]) -> Option<Format> {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    [(b"word/".as_slice(), Format::Docx), (b"ppt/", Format::Pptx), (b"xl/", Format::Xlsx)]
        .into_iter()
        .find_map(|(name, format)| has(name).then_some(format))
}

impl<'a> Archive<'a> {
    /// Opens the archive of a document.
    ///
    /// # Errors
    /// When it is broken, or has too many entries.
    pub(crate) fn open(bytes: &'a [u8], format: Format, limits: &'a Limits) -> Result<Self, Error> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| Error::broken(format, error))?;
        if zip.len() > limits.entries {
            return Err(Error::Excessive { what: "parts", limit: limits.entries as u64 });
        }
        Ok(Self { zip, format, limits, unpacked: 0 })
    }

    /// The text of an entry; none when there is no such entry.
    ///
    /// # Errors
    /// When it is broken, encrypted, or unpacks to more than the limits allow.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let text = crate::encoding::decode(&bytes).map_err(|error| Error::broken(self.format, error))?;
        Ok(Some(text.text))
    }

    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let mut bytes = Vec::new();
        self.unpack(index, |piece| bytes.extend_from_slice(piece))?;
        Ok(Some(bytes))
    }

    /// Unpacks every entry without keeping it: for a parser that unpacks by itself and knows no limits.
    ///
    /// # Errors
    /// As for [`Archive::text`].
    pub(crate) fn check_all(&mut self) -> Result<(), Error> {
        (0..self.zip.len()).try_for_each(|index| self.unpack(index, |_| {}))
    }

    fn unpack(&mut self, index: usize, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let (format, limits) = (self.format, self.limits);
        let mut entry = self.zip.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Error::Encrypted { format },
            error => Error::broken(format, error),
        })?;
        let packed = entry.compressed_size().max(1);
        let (mut piece, mut size) = (vec![0; 1 << 16], 0_u64);
        loop {
            let length = entry.read(&mut piece).map_err(|error| Error::broken(format, error))?;
            if length == 0 {
                return Ok(());
            }
            size += length as u64;
            self.unpacked += length as u64;
            if self.unpacked > limits.unpacked_bytes {
                return Err(Error::Excessive { what: "bytes when unpacked", limit: limits.unpacked_bytes });
            }
            if size > RATIO_FROM && size / packed > limits.ratio {
                return Err(Error::Excessive { what: "unpacked bytes for each packed one", limit: limits.ratio });
            }
            take(piece.get(..length).unwrap_or_default());
        }
    }
}
