//! T3: the manual pages of this machine, asked for by what their NAME lines say; those lines are not indexed.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use masque_types::memory::DocumentKind;

use super::{
    roff,
    track::{Document, Question, Track, unique},
};

const DIRECTORY: &str = "/usr/share/man";
/// Commands, formats, overviews, administration; the library's functions describe themselves alike too often.
const SECTIONS: [&str; 4] = ["man1", "man5", "man7", "man8"];
/// One program's thousands of generated pages would be most of all.
const LEFT_OUT: &str = "gcloud";
/// With fewer pages, finding one says little.
const FEWEST: usize = 500;
const QUESTION_WORDS: usize = 3;

/// The pages and their questions; or why there are none.
pub(crate) fn track() -> anyhow::Result<Result<Track, String>> {
    let mut track = Track::default();
    let mut asked = Vec::new();
    for path in pages()? {
        let Some(page) = roff::read(&content(&path)?) else { continue };
        if page.description.split_whitespace().count() >= QUESTION_WORDS {
            asked.push(Question { text: page.description, answers: vec![track.documents.len()] });
        }
        let name = name(&path);
        track.documents.push(Document { title: name.clone(), name, text: page.text, kind: DocumentKind::Document });
    }
    if track.documents.len() < FEWEST {
        return Ok(Err(format!("{DIRECTORY} has fewer than {FEWEST} pages: install `man-db` and `manpages`")));
    }
    track.questions = unique(asked);
    Ok(Ok(track))
}

/// `tar(1)`.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let file = file.trim_end_matches(".gz");
    file.rsplit_once('.').map_or_else(|| file.to_owned(), |(name, section)| format!("{name}({section})"))
}

fn content(path: &Path) -> anyhow::Result<String> {
    let bytes = fs_err::read(path)?;
    let mut text = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text)?;
    } else {
        text = bytes;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Files only: a link repeats the page that it leads to.
fn pages() -> anyhow::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for section in SECTIONS {
        let Ok(entries) = fs_err::read_dir(Path::new(DIRECTORY).join(section)) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().starts_with(LEFT_OUT) {
                pages.push(entry.path());
            }
        }
    }
    pages.sort_unstable();
    Ok(pages)
}
