//! T1 and T2: the documentation that comes with the Rust toolchain. The books' sections are asked for by their headings,
//! the pages of the standard library's items by their summaries; what is asked stands nowhere in what is indexed.

use std::path::{Path, PathBuf};

use masque_types::memory::DocumentKind;

use super::{
    markdown::{self, Section},
    track::{Document, Question, Track, unique},
};
use crate::process;

const BOOKS: [&str; 13] = [
    "book",
    "cargo",
    "clippy",
    "edition-guide",
    "embedded-book",
    "error_codes",
    "nomicon",
    "reference",
    "rust-by-example",
    "rustc",
    "rustdoc",
    "style-guide",
    "unstable-book",
];
/// Translations would be second answers to nothing that is asked.
const TRANSLATIONS: [&str; 4] = ["es", "ja", "ko", "zh"];
/// Words that a section needs to count as one, as in the pilot that set the goals.
const SECTION_WORDS: usize = 30;
/// Words that must be left of an item's text without its summary.
const ITEM_WORDS: usize = 5;
/// Words from which a heading or a summary is a question.
const QUESTION_WORDS: usize = 3;
const ITEMS: [&str; 8] = ["struct", "enum", "trait", "fn", "macro", "primitive", "keyword", "union"];

/// Where the toolchain's documentation is; or why it is nowhere.
pub(crate) fn directory() -> Result<PathBuf, String> {
    let output = process::run(process::inherited("rustc").args(["--print", "sysroot"]));
    let output = output.map_err(|_| "there is no `rustc` on the path".to_owned())?;
    let directory = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("share/doc/rust/html");
    if directory.is_dir() {
        return Ok(directory);
    }
    Err("the toolchain has no documentation here: `rustup component add rust-docs`".to_owned())
}

/// The headings of sections, and their sections. A heading above other sections is not asked: it stands in their paths.
pub(crate) fn sections(directory: &Path) -> anyhow::Result<Track> {
    let mut track = Track::default();
    let mut asked = Vec::new();
    for (page, section) in all_sections(directory)? {
        // The codes' headings are numbers, of which nothing is left.
        let is_question = !section.is_parent
            && !section.heading.starts_with("Error code")
            && words(&section.heading) >= QUESTION_WORDS;
        if is_question {
            asked.push(Question { text: section.heading.clone(), answers: vec![track.documents.len()] });
        }
        let title = title(&page, &section.above);
        track.documents.push(Document {
            name: format!("{page}#{}", section.heading),
            title,
            text: section.text,
            kind: DocumentKind::Document,
        });
    }
    track.questions = unique(asked);
    Ok(track)
}

/// The summaries of items, and what else their pages say of them.
pub(crate) fn items(directory: &Path) -> anyhow::Result<Track> {
    let mut track = Track::default();
    let mut asked = Vec::new();
    for item in all_items(directory)? {
        if words(&item.summary) >= QUESTION_WORDS {
            asked.push(Question { text: item.summary.clone(), answers: vec![track.documents.len()] });
        }
        track.documents.push(item.document);
    }
    track.questions = unique(asked);
    Ok(track)
}

/// All sections and items as somebody would index them: with their headings and summaries.
pub(crate) fn everything(directory: &Path) -> anyhow::Result<Vec<Document>> {
    let sections = all_sections(directory)?.into_iter().map(|(page, section)| Document {
        name: format!("{page}#{}", section.heading),
        title: title(&page, &section.above),
        text: format!("# {}\n\n{}", section.heading, section.text),
        kind: DocumentKind::Document,
    });
    let items = all_items(directory)?.into_iter().map(|item| {
        let text = format!("{}\n\n{}", item.summary, item.document.text);
        Document { text, ..item.document }
    });
    Ok(sections.chain(items).collect())
}

fn title(page: &str, above: &[String]) -> String {
    let book = page.split('/').next().unwrap_or_default().replace(['-', '_'], " ");
    std::iter::once(&book).chain(above).map(String::as_str).collect::<Vec<_>>().join(" › ")
}

/// Sections with enough words, each with the page that it stands on: `book/ch04-01-what-is-ownership`.
fn all_sections(directory: &Path) -> anyhow::Result<Vec<(String, Section)>> {
    let mut all = Vec::new();
    for book in BOOKS {
        for path in pages(&directory.join(book))? {
            let page = relative(&path, directory);
            if page.split('/').nth(1).is_some_and(|part| TRANSLATIONS.contains(&part)) {
                continue;
            }
            let html = fs_err::read_to_string(&path)?;
            let Some(main) = markdown::between(&html, "<main>", "</main>") else { continue };
            let sections = markdown::sections(&markdown::of_html(main)?);
            let long = sections.into_iter().filter(|section| words(&section.text) >= SECTION_WORDS);
            all.extend(long.map(|section| (page.clone(), section)));
        }
    }
    Ok(all)
}

struct Item {
    summary: String,
    /// Without the summary.
    document: Document,
}

fn all_items(directory: &Path) -> anyhow::Result<Vec<Item>> {
    let mut all = Vec::new();
    for path in pages(&directory.join("std"))? {
        let page = relative(&path, directory);
        let Some((module, file)) = page.rsplit_once('/') else { continue };
        let Some((kind, name)) = file.split_once('.') else { continue };
        if !ITEMS.contains(&kind) {
            continue;
        }
        let title = format!("{kind} {}::{}", module.replace('/', "::"), name);
        let Some((summary, rest)) = summary_and_rest(&fs_err::read_to_string(&path)?)? else { continue };
        if words(&rest) >= ITEM_WORDS {
            let document = Document { name: page, title, text: rest, kind: DocumentKind::Document };
            all.push(Item { summary, document });
        }
    }
    Ok(all)
}

/// The first paragraph of what an item's page says of the item, and the paragraphs after it.
fn summary_and_rest(html: &str) -> anyhow::Result<Option<(String, String)>> {
    let Some((_, page)) = html.split_once("top-doc\"") else { return Ok(None) };
    let Some(about) = markdown::between(page, "<div class=\"docblock\">", "</details>") else { return Ok(None) };
    let Some(first) = markdown::between(about, "<p>", "</p>") else { return Ok(None) };
    let rest = about.replacen(&format!("<p>{first}</p>"), "", 1);
    Ok(Some((markdown::plain(&markdown::of_html(first)?), markdown::of_html(&rest)?)))
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn relative(path: &Path, directory: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path).with_extension("");
    path.to_string_lossy().into_owned()
}

/// The pages below a directory in the order of their paths, without those that repeat others.
fn pages(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".html") && !["print.html", "toc.html", "404.html"].contains(&name.as_str()) {
                pages.push(path);
            }
        }
    }
    pages.sort_unstable();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_taken_out_of_its_page() {
        let html = r#"<details class="toggle top-doc" open><summary></summary><div class="docblock"><p>Opens <code>a</code> file.</p>
<p>It may fail.</p></div></details><p>other</p>"#;
        let (summary, rest) = summary_and_rest(html).unwrap().unwrap();
        assert_eq!(summary, "Opens a file.");
        assert_eq!(rest.trim(), "It may fail.");
        assert!(summary_and_rest("<p>nothing</p>").unwrap().is_none());
    }
}
