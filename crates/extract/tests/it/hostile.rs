//! Bytes that are broken or made to harm: refused or read in part, never more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use masque_extract::{Error, Extracted, Limits, extract};
use masque_testkit::documents;
use proptest::prelude::*;

/// Limits that make a small bomb large enough.
fn strict() -> Limits {
    Limits { unpacked_bytes: 4 << 20, text_bytes: 1 << 20, ..Limits::default() }
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    extract(name, bytes, &strict()).unwrap_err().to_string()
}

#[test]
fn bombs_are_refused() {
    let body = |filler: &str| documents::docx_of(&format!("<w:p><w:r><w:t>{filler}</w:t></w:r></w:p>"));
    let large = body(&" ".repeat(3 << 20));
    assert!(large.len() < 64 << 10);
    assert!(refusal("a.docx", &large).contains("unpacked bytes for each packed one"), "{}", refusal("a.docx", &large));
    let larger: Vec<String> = (0..3).map(|part| format!("part {part} {}", "x".repeat(2 << 20))).collect();
    let entries: Vec<(&str, &str)> =
        vec![("xl/workbook.xml", "<x/>"), ("a", &larger[0]), ("b", &larger[1]), ("c", &larger[2])];
    let limits = Limits { ratio: u64::MAX, ..strict() };
    let error = extract("a.xlsx", &documents::archive(&entries), &limits).unwrap_err();
    assert!(matches!(error, Error::Excessive { what: "bytes when unpacked", .. }), "{error}");
    let names: Vec<String> = (0..50).map(|number| format!("part{number}")).collect();
    let mut many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    many.push(("word/document.xml", "<x/>"));
    let error = extract("a.docx", &documents::archive(&many), &Limits { entries: 50, ..strict() }).unwrap_err();
    assert!(matches!(error, Error::Excessive { what: "parts", limit: 50 }), "{error}");
}

#[test]
fn entities_and_depth_are_refused() {
    let document = |xml: &str| documents::archive(&[("word/document.xml", xml)]);
    let mut laughs = "<!DOCTYPE l [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        laughs.push_str(&format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10)));
    }
    laughs.push_str("]><l>&a29;</l>");
    assert!(refusal("a.docx", &document(&laughs)).contains("DTD"));
    assert!(refusal("a.docx", &documents::docx_of(&"<w:sdt>".repeat(100_000))).contains("elements within elements"));
    assert!(refusal("a.html", "<div>".repeat(100_000).as_bytes()).contains("elements within elements"));
    let mut mail = "Subject: innermost\n\nx".to_owned();
    for depth in 0..40 {
        mail = format!("Subject: {depth}\nContent-Type: message/rfc822\n\n{mail}");
    }
    let extracted = extract("a.eml", mail.as_bytes(), &strict()).unwrap();
    assert!(!extracted.text.contains("innermost"), "{extracted:?}");
}

#[test]
fn what_is_no_document_is_named() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    assert!(refusal("readme.md", png).contains("image/png"));
    assert!(refusal("a.md", &documents::archive(&[("a.txt", "x")])).contains("ZIP archive cannot be read"));
    assert!(refusal("a.docx", b"PK\x03\x04 word/ is all").contains("Word document is broken"));
    assert!(refusal("a.pdf", b"%PDF-1.7 and nothing more").contains("PDF document is broken"));
    let error = extract("a.md", b"four", &Limits { input_bytes: 3, ..Limits::default() }).unwrap_err();
    assert_eq!(error, Error::TooLarge { bytes: 4, limit: 3 });
}

/// A document with a part cut off and bytes changed.
fn damaged(document: &[u8], keep: f64, changes: &[(f64, u8)]) -> Vec<u8> {
    let mut bytes = document[..(document.len() as f64 * keep) as usize].to_vec();
    for (place, value) in changes {
        let at = (bytes.len() as f64 * place) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *value;
        }
    }
    bytes
}

fn is_within_limits(extracted: &Result<Extracted, Error>) -> bool {
    extracted.as_ref().map_or(true, |extracted| extracted.text.len() <= strict().text_bytes + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_or_less_text(
        sample in 0_usize..4,
        keep in prop_oneof![Just(1.0), 0.0..1.0],
        changes in prop::collection::vec((0.0..1.0, any::<u8>()), 0..8),
    ) {
        let document = [documents::docx, documents::pptx, documents::eml, documents::xlsx][sample]();
        prop_assert!(is_within_limits(&extract("a", &damaged(&document, keep, &changes), &strict())));
    }

    #[test]
    fn any_bytes_under_any_name(
        name in prop::sample::select(vec!["a.md", "a.html", "a.csv", "a.eml", "a.json", "a", "a.rs"]),
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "[ -~\n<>&;,\"#|]{0,400}".prop_map(String::into_bytes)],
    ) {
        prop_assert!(is_within_limits(&extract(name, &bytes, &strict())));
    }
}

/// The parser of PDF may panic, which the process around it bears. The damage is the same in every run, so that a parser
/// that does not end would show at once.
#[test]
fn damaged_pdf_documents_stay_within_limits() {
    let document = documents::pdf();
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    for case in 0..200 {
        let keep = if case % 3 == 0 { next() } else { 1.0 };
        let changes: Vec<(f64, u8)> = (0..case % 5).map(|_| (next(), (next() * 256.0) as u8)).collect();
        let bytes = damaged(&document, keep, &changes);
        let read = catch_unwind(AssertUnwindSafe(|| extract("a.pdf", &bytes, &strict())));
        assert!(read.is_err() || read.is_ok_and(|read| is_within_limits(&read)), "case {case}");
    }
}
