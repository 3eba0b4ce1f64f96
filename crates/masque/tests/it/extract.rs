//! `masque extract`: what strangers wrote is parsed in a process of its own, and whatever happens there is told.

use masque_testkit::documents;

use crate::support::Masque;

/// The exit code of a command, and all that it printed.
fn extract(masque: &Masque, file: &str, document: &[u8]) -> (i32, String) {
    fs_err::write(masque.path("project").join(file), document).unwrap();
    run(masque, &format!("masque extract {file}"))
}

fn run(masque: &Masque, line: &str) -> (i32, String) {
    let output = masque.shell(line);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn documents_become_text() {
    let masque = Masque::new();
    for (file, document, part) in [
        ("leave.docx", documents::docx(), "## How to ask\n\n1. Write a mail"),
        ("leave.pdf", documents::pdf(), "## Whom to ask"),
        ("plan.pptx", documents::pptx(), "## Quarterly plan"),
        ("costs.xlsx", documents::xlsx(), "| Desk \\| chair | 129.5 |"),
        ("a.eml", documents::eml(), "The schöne plan is attached."),
        ("a.md", b"# Plain\n".to_vec(), "# Plain"),
    ] {
        let (code, text) = extract(&masque, file, &document);
        assert!(code == 0 && text.contains(part), "{file}: {code} {text}");
    }
    let (code, text) = run(&masque, "masque extract --json leave.pdf");
    let known: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &known["metadata"]["pages"], &known["format"]), (0, &2.into(), &"pdf".into()));
}

#[test]
fn whatever_happens_to_a_parser_is_told() {
    let masque = Masque::new();
    let bomb = documents::docx_of(&format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", " ".repeat(64 << 20)));
    // The parser takes for granted that a page has a size.
    let pdf = documents::pdf();
    let place = pdf.windows(8).position(|window| window == b"MediaBox").unwrap();
    let mut crashes = pdf.clone();
    crashes[place..place + 8].copy_from_slice(b"MediaBax");
    for (file, document, part) in [
        ("bomb.docx", bomb.as_slice(), "unpacked bytes for each packed one"),
        ("crash.pdf", &crashes, "its parser failed"),
        ("cut.pdf", &pdf[..60], "PDF document is broken"),
        ("binary.md", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "it is no text"),
    ] {
        let (code, text) = extract(&masque, file, document);
        assert!(code == 2 && text.contains(part) && text.contains(file), "{file}: {code} {text}");
    }
    let (code, text) = run(&masque, "truncate -s 500M huge.pdf && masque extract huge.pdf");
    assert!(code == 2 && text.contains("524288000 bytes, more than the 67108864 that are read"), "{code} {text}");
}
