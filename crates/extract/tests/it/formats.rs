//! One document of each format, and the text that it becomes.

use masque_extract::{Extracted, Format, Limits, extract};
use masque_testkit::documents;
use serde_json::json;

fn read(name: &str, bytes: &[u8]) -> Extracted {
    extract(name, bytes, &Limits::default()).unwrap()
}

fn check(name: &str, bytes: &[u8], format: Format, title: &str, text: &str) -> Extracted {
    let extracted = read(name, bytes);
    assert_eq!(extracted.text, text, "{name}");
    assert_eq!((extracted.format, extracted.title.as_str()), (format, title), "{name}");
    extracted
}

#[test]
fn word_documents() {
    let text = "# Leave policy\n\nEverybody has thirty days.\n\\# not a heading\n\n## How to ask\n\n1. Write a mail\n  - to your lead\n\
        1. Wait\n\n| Grade | Days |\n| --- | --- |\n| A \\| B | 30 |\n";
    let extracted = check("leave.docx", &documents::docx(), Format::Docx, "Leave policy", text);
    assert_eq!(extracted.metadata["author"], "Ada");
    assert_eq!(extracted.metadata["created"], "2026-01-02T03:04:05Z");
    assert_eq!(read("named.txt", &documents::docx()).format, Format::Docx, "the content decides");
}

#[test]
fn presentations() {
    let text = "## Quarterly plan\n\n- Go west\n  - even there\n\n## Dates\n\n| Who | When |\n| --- | --- |\n| Ada | May |\n\n\
        ### Notes\n\nSay it slowly\n";
    let extracted = check("plan.pptx", &documents::pptx(), Format::Pptx, "Quarterly plan", text);
    assert_eq!(extracted.metadata["slides"], 2);
}

#[test]
fn workbooks() {
    let extracted = read("costs.xlsx", &documents::xlsx());
    let start = "## Costs\n\n| item | euros |  | on |\n| --- | --- | --- | --- |\n| Desk \\| chair | 129.5 |  | 2026-11-21 |\n\
        |  | 259 |\n\n## Far\n\n| near |\n| --- |\n";
    assert_eq!(extracted.text, start, "a far cell takes no room, a hidden sheet is left out");
    assert_eq!(extracted.metadata["sheets"], json!(["Costs", "Far"]));
    assert_eq!(extracted.title, "costs");
}

#[test]
fn pdf_documents() {
    let text = "# Leave policy\n\nEverybody has thirty days.\n\n## How to ask\n\nWrite a mail.\n\n## Whom to ask\n\n\
        Your lead (or theirs).\n";
    let extracted = check("leave.pdf", &documents::pdf(), Format::Pdf, "Leave policy", text);
    assert_eq!(extracted.metadata["pages"], 2);
    assert_eq!(extracted.metadata["created"], "2026-01-02T03:04:05Z");
    let scan = read("scan.pdf", &documents::pdf_of("", &[&[]]));
    assert!(scan.text.is_empty() && scan.notes.concat().contains("scans"), "{scan:?}");
}

#[test]
fn mails() {
    let text = "# Grüße from the Büro\n\n- From: Ada Lovelace <ada@example.org>\n- To: bob@example.org, Zoë <zoe@example.org>\n\
        - Date: 2026-11-21T10:00:00+01:00\n\nThe schöne plan is attached.\n\\# not a heading\n\n## Attachments\n\n- plan.pdf\n\
        - The first mail\n\n## The first mail\n\n- From: zoe@example.org\n\n# Hello\n\nfrom **before**\n";
    let extracted = check("a.eml", &documents::eml(), Format::Mail, "Grüße from the Büro", text);
    assert_eq!(extracted.metadata["from"], "Ada Lovelace <ada@example.org>");
    assert_eq!(extracted.metadata["attachments"], json!(["plan.pdf", "The first mail"]));
}

#[test]
fn texts() {
    let markdown = "---\ntags: [a]\n---\n# The *title*\n\ntext\n";
    assert_eq!(check("a.md", markdown.as_bytes(), Format::Markdown, "The title", markdown).media_type, "text/markdown");
    let code = check("src/main.rs", b"fn main() {}\n", Format::Code, "main.rs", "fn main() {}\n");
    assert_eq!((code.media_type.as_str(), &code.metadata["language"]), ("text/x-rust", &json!("rust")));
    check("a/notes.txt", b"just\r\nwords", Format::Text, "notes.txt", "just\nwords");
    check("a.json", b"{\"a\": 1}", Format::Json, "a.json", "{\"a\": 1}");
    check("people.csv", b"name,age\nada,36\n", Format::Csv, "people", "| name | age |\n| --- | --- |\n| ada | 36 |\n");
    let page = b"<html><head><title>A page</title></head><body><h2>Part</h2><ul><li>one<li>two</ul></body></html>";
    check("page.html", page, Format::Html, "A page", "## Part\n\n*   one\n*   two\n");
}

#[test]
fn what_is_too_long_is_cut_with_a_note() {
    let limits = Limits { text_bytes: 1000, ..Limits::default() };
    let long = "a line of text\n".repeat(100);
    let cases = [
        ("a.md", long.clone().into_bytes()),
        ("a.csv", long.clone().into_bytes()),
        ("a.html", format!("<html><p>{}</p></html>", long.replace('\n', "</p><p>")).into_bytes()),
        ("a.eml", format!("From: a@b\nSubject: x\n\n{}", long.replace('\n', "\n\n")).into_bytes()),
        ("a.docx", documents::docx_of(&"<w:p><w:r><w:t>a line of text</w:t></w:r></w:p>".repeat(100))),
    ];
    for (name, bytes) in cases {
        let extracted = extract(name, &bytes, &limits).unwrap();
        assert!(extracted.text.len() <= 1001, "{name}: {}", extracted.text.len());
        assert!(extracted.notes.concat().contains("cut after 1000 bytes"), "{name}: {:?}", extracted.notes);
    }
    let pages: Vec<&[(u8, &str)]> = vec![&[(10, "words")]; 5];
    let limits = Limits { pages: 2, ..Limits::default() };
    let extracted = extract("a.pdf", &documents::pdf_of("x", &pages), &limits).unwrap();
    assert!(extracted.notes.concat().contains("first 2 of its 5 pages"), "{:?}", extracted.notes);
}
