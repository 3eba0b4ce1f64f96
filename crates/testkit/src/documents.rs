//! Documents of office programs and mail, made byte by byte, so that tests need no such program.

#![expect(clippy::expect_used, reason = "a test that cannot be set up fails by a panic")]

use std::io::{Cursor, Write as _};

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const WORD: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
const SLIDES: &str = "xmlns:p=\"http://schemas.openxmlformats.org/presentationml/2006/main\" \
    xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\" \
    xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
const RELATION: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// An archive of texts.
///
/// # Panics
/// When memory is exhausted.
#[must_use]
pub fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(*name, options).expect("an entry begins");
        archive.write_all(text.as_bytes()).expect("an entry is written");
    }
    archive.finish().expect("the archive is whole").into_inner()
}

/// A Word document with this body.
#[must_use]
pub fn docx_of(body: &str) -> Vec<u8> {
    let text = format!("<?xml version=\"1.0\"?><w:document {WORD}><w:body>{body}</w:body></w:document>");
    let style = |id: &str, name: &str| format!("<w:style w:styleId=\"{id}\"><w:name w:val=\"{name}\"/></w:style>");
    let styles = format!(
        "<w:styles {WORD}>{}{}<w:style w:styleId=\"Mine\"><w:name w:val=\"Mine\"/><w:basedOn w:val=\"H2\"/></w:style></w:styles>",
        style("H1", "heading 1"),
        style("H2", "heading 2")
    );
    let numbering = format!(
        "<w:numbering {WORD}><w:abstractNum w:abstractNumId=\"0\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/></w:lvl>\
         <w:lvl w:ilvl=\"1\"><w:numFmt w:val=\"bullet\"/></w:lvl></w:abstractNum>\
         <w:num w:numId=\"7\"><w:abstractNumId w:val=\"0\"/></w:num></w:numbering>"
    );
    let core = "<c:coreProperties xmlns:c=\"c\" xmlns:dc=\"d\" xmlns:t=\"t\"><dc:creator>Ada</dc:creator>\
        <t:created>2026-01-02T03:04:05Z</t:created></c:coreProperties>";
    archive(&[
        ("word/document.xml", &text),
        ("word/styles.xml", &styles),
        ("word/numbering.xml", &numbering),
        ("docProps/core.xml", core),
    ])
}

/// A Word document with headings, a list, a table, and a deletion.
#[must_use]
pub fn docx() -> Vec<u8> {
    let paragraph = |properties: &str, words: &str| {
        format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space=\"preserve\">{words}</w:t></w:r></w:p>")
    };
    let item = |level: u8, words: &str| {
        paragraph(&format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"7\"/></w:numPr>"), words)
    };
    let cell = |words: &str| format!("<w:tc>{}</w:tc>", paragraph("", words));
    let row = |a: &str, b: &str| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    let body = [
        paragraph("<w:pStyle w:val=\"H1\"/>", "Leave policy"),
        "<w:p><w:r><w:t>Everybody has </w:t></w:r><w:del><w:r><w:delText>twenty</w:delText></w:r></w:del>\
         <w:ins><w:r><w:t>thirty</w:t></w:r></w:ins><w:r><w:t> days.</w:t><w:br/><w:t># not a heading</w:t></w:r></w:p>"
            .to_owned(),
        paragraph("<w:pStyle w:val=\"Mine\"/>", "How to ask"),
        item(0, "Write a mail"),
        item(1, "to your lead"),
        item(0, "Wait"),
        format!("<w:tbl>{}{}</w:tbl>", row("Grade", "Days"), row("A | B", "30")),
    ];
    docx_of(&body.concat())
}

/// Two slides, the second one with a table and notes; the order is not that of their names.
#[must_use]
pub fn pptx() -> Vec<u8> {
    let shape = |kind: &str, body: &str| {
        format!("<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr></p:nvSpPr><p:txBody>{body}</p:txBody></p:sp>")
    };
    let words = |words: &str| format!("<a:p><a:r><a:t>{words}</a:t></a:r></a:p>");
    let slide = |shapes: &str| format!("<p:sld {SLIDES}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>");
    let indented = "<a:p><a:pPr lvl=\"1\"/><a:r><a:t>even there</a:t></a:r></a:p>";
    let first = slide(&format!(
        "{}{}",
        shape("ctrTitle", &words("Quarterly plan")),
        shape("body", &format!("{}{indented}", words("Go west")))
    ));
    let cell = |text: &str| format!("<a:tc><a:txBody>{}</a:txBody></a:tc>", words(text));
    let table = format!(
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>{}{}</a:tr><a:tr>{}{}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>",
        cell("Who"),
        cell("When"),
        cell("Ada"),
        cell("May")
    );
    let second = slide(&format!("{}{table}", shape("title", &words("Dates"))));
    let notes = format!(
        "<p:notes {SLIDES}><p:cSld><p:spTree>{}</p:spTree></p:cSld></p:notes>",
        shape("body", &words("Say it slowly"))
    );
    let relations = |of: &[(&str, &str, &str)]| {
        let one = |(id, kind, target): &(&str, &str, &str)| {
            format!("<Relationship Id=\"{id}\" Type=\"{RELATION}/{kind}\" Target=\"{target}\"/>")
        };
        format!("<Relationships>{}</Relationships>", of.iter().map(one).collect::<String>())
    };
    let presentation = format!(
        "<p:presentation {SLIDES}><p:sldIdLst><p:sldId id=\"256\" r:id=\"r2\"/><p:sldId id=\"257\" r:id=\"r1\"/></p:sldIdLst></p:presentation>"
    );
    archive(&[
        ("ppt/presentation.xml", &presentation),
        (
            "ppt/_rels/presentation.xml.rels",
            &relations(&[("r1", "slide", "slides/slide1.xml"), ("r2", "slide", "/ppt/slides/slide2.xml")]),
        ),
        ("ppt/slides/slide1.xml", &second),
        ("ppt/slides/slide2.xml", &first),
        ("ppt/slides/_rels/slide1.xml.rels", &relations(&[("n", "notesSlide", "../notesSlides/notesSlide1.xml")])),
        ("ppt/notesSlides/notesSlide1.xml", &notes),
    ])
}

/// A workbook with two sheets, a date, a formula's result and a cell far away; a third sheet is hidden.
///
/// # Panics
/// When memory is exhausted.
#[must_use]
pub fn xlsx() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let date = ExcelDateTime::from_ymd(2026, 11, 21).expect("a date");
    let sheet = workbook.add_worksheet().set_name("Costs").expect("a name");
    sheet.write(0, 0, "item").expect("a cell").write(0, 1, "euros").expect("a cell").write(0, 3, "on").expect("a cell");
    sheet.write(1, 0, "Desk | chair").expect("a cell").write(1, 1, 129.5).expect("a cell");
    sheet.write_with_format(1, 3, &date, &Format::new().set_num_format("yyyy-mm-dd")).expect("a cell");
    sheet.write(2, 1, rust_xlsxwriter::Formula::new("=B2*2").set_result("259")).expect("a cell");
    let other = workbook.add_worksheet().set_name("Far").expect("a name");
    other.write(0, 0, "near").expect("a cell").write(1_048_575, 16_383, "far away").expect("a cell");
    let hidden = workbook.add_worksheet().set_name("Secret").expect("a name");
    hidden.write(0, 0, "unseen").expect("a cell");
    hidden.set_hidden(true);
    workbook.save_to_buffer().expect("the workbook is whole")
}

/// A PDF document of pages; each line of a page has a size and words, and stands 2 sizes below the one before.
#[must_use]
pub fn pdf_of(title: &str, pages: &[&[(u8, &str)]]) -> Vec<u8> {
    let page_ids: Vec<usize> = (0..pages.len()).map(|page| 5 + 2 * page).collect();
    let kids: String = page_ids.iter().map(|id| format!("{id} 0 R ")).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Count {} /Kids [{kids}] /MediaBox [0 0 595 842] >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        format!("<< /Title ({title}) /Author (Ada) /CreationDate (D:20260102030405Z) >>"),
    ];
    for (lines, id) in pages.iter().zip(page_ids) {
        let mut y = 800_i32;
        let mut content = String::new();
        for (size, words) in *lines {
            y -= 2 * i32::from(*size);
            content.push_str(&format!("BT /F1 {size} Tf 72 {y} Td ({words}) Tj ET\n"));
        }
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            id + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    pdf_file(&objects)
}

/// The file of objects, with its table.
fn pdf_file(objects: &[String]) -> Vec<u8> {
    let mut file = "%PDF-1.7\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let start = file.len();
    file.push_str(&format!(
        "{table}trailer\n<< /Size {} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{start}\n%%EOF\n",
        objects.len() + 1
    ));
    file.into_bytes()
}

/// A PDF document with a title, a section and two pages.
#[must_use]
pub fn pdf() -> Vec<u8> {
    pdf_of(
        "Leave policy",
        &[
            &[(24, "Leave policy"), (10, "Everybody has thirty days."), (16, "How to ask"), (10, "Write a mail.")],
            &[(16, "Whom to ask"), (10, "Your lead \\(or theirs\\).")],
        ],
    )
}

/// A mail with a plain text, a page, an attached file and an attached mail.
#[must_use]
pub fn eml() -> Vec<u8> {
    let lines = [
        "From: Ada Lovelace <ada@example.org>",
        "To: bob@example.org, =?utf-8?q?Zo=C3=AB?= <zoe@example.org>",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?= from the =?iso-8859-1?q?B=FCro?=",
        "Date: Sat, 21 Nov 2026 10:00:00 +0100",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=outer",
        "",
        "--outer",
        "Content-Type: multipart/alternative; boundary=inner",
        "",
        "--inner",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "The sch=F6ne plan is attached.",
        "# not a heading",
        "--inner",
        "Content-Type: text/html; charset=utf-8",
        "",
        "<p>The page says the same.</p>",
        "--inner--",
        "--outer",
        "Content-Type: application/pdf; name=\"plan.pdf\"",
        "Content-Disposition: attachment; filename=\"plan.pdf\"",
        "Content-Transfer-Encoding: base64",
        "",
        "JVBERi0xLjcK",
        "--outer",
        "Content-Type: message/rfc822",
        "",
        "From: zoe@example.org",
        "Subject: The first mail",
        "Content-Type: text/html",
        "",
        "<h1>Hello</h1><p>from <b>before</b></p>",
        "--outer--",
        "",
    ];
    lines.join("\r\n").into_bytes()
}
