//! Word documents: headings, paragraphs, lists, tables, notes. Leaves out pictures, headers and footers, and text that a
//! tracked change has deleted.

use roxmltree::Node;

use crate::{
    Error, Format, Found, Limits,
    archive::Archive,
    core_properties,
    docx_styles::Styles,
    table::Table,
    text::Text,
    xml::{self, child, is},
};

/// Reads a document.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let mut archive = Archive::open(bytes, Format::Docx, limits)?;
    let body = archive.text("word/document.xml")?.ok_or_else(|| Error::broken(Format::Docx, "it has no text part"))?;
    let styles = archive.text("word/styles.xml")?;
    let numbering = archive.text("word/numbering.xml")?;
    let parse = |text: &'_ str| xml::parse(text, Format::Docx, limits).map(drop);
    // Broken styles lose headings, not the text.
    let usable = |text: Option<String>| text.filter(|text| parse(text).is_ok());
    let (styles, numbering) = (usable(styles), usable(numbering));
    let styles_tree = styles.as_deref().map(|text| xml::parse(text, Format::Docx, limits)).transpose()?;
    let numbering_tree = numbering.as_deref().map(|text| xml::parse(text, Format::Docx, limits)).transpose()?;
    let styles = Styles::of(styles_tree.as_ref(), numbering_tree.as_ref());

    let tree = xml::parse(&body, Format::Docx, limits)?;
    let mut writer = Writer { styles: &styles, text: Text::new(limits), title: None };
    if let Some(body) = child(tree.root_element(), "body") {
        writer.blocks(body);
    }
    for (part, title) in [("word/footnotes.xml", "Footnotes"), ("word/endnotes.xml", "Endnotes")] {
        if let Some(notes) = archive.text(part)? {
            writer.notes(&xml::parse(&notes, Format::Docx, limits)?, title);
        }
    }
    let title = writer.title;
    let mut found = Found { title, ..writer.text.into_found() };
    core_properties::add(&mut archive, Format::Docx, limits, &mut found)?;
    Ok(found)
}

struct Writer<'s> {
    styles: &'s Styles,
    text: Text,
    title: Option<String>,
}

impl Writer<'_> {
    /// Paragraphs and tables, also those in content controls and insertions.
    fn blocks(&mut self, parent: Node<'_, '_>) {
        for node in parent.children().filter(Node::is_element) {
            if self.text.is_full() {
                return;
            }
            match node.tag_name().name() {
                "p" => self.paragraph(node),
                "tbl" => self.text.block(&table(node)),
                "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" => self.blocks(node),
                _ => {}
            }
        }
    }

    fn paragraph(&mut self, node: Node<'_, '_>) {
        let properties = child(node, "pPr");
        let words = words(node);
        if let Some(level) = self.styles.heading(properties) {
            if self.title.is_none() && level == 1 && !words.trim().is_empty() {
                self.title = Some(words.clone());
            }
            self.text.heading(level, &words);
        } else if let Some((depth, mark)) = self.styles.item(properties) {
            self.text.item(depth, mark, &words);
        } else {
            self.text.paragraph(&words);
        }
        for boxed in node.descendants().filter(|node| is(*node, "txbxContent")) {
            // Boxes are written twice, once for old programs.
            if !boxed.ancestors().any(|node| is(node, "Fallback")) {
                self.blocks(boxed);
            }
        }
    }

    fn notes(&mut self, tree: &roxmltree::Document<'_>, title: &str) {
        let is_note = |node: &Node<'_, '_>| node.is_element() && xml::attribute(*node, "type").is_none();
        let notes: Vec<String> = tree.root_element().children().filter(is_note).map(words).collect();
        if notes.iter().any(|note| !note.trim().is_empty()) {
            self.text.heading(2, title);
            notes.iter().for_each(|note| self.text.item(0, "-", note));
        }
    }
}

/// The words of a paragraph or a cell.
fn words(parent: Node<'_, '_>) -> String {
    let mut words = String::new();
    add_words(parent, &mut words);
    words
}

fn add_words(parent: Node<'_, '_>, words: &mut String) {
    for node in parent.children().filter(Node::is_element) {
        match node.tag_name().name() {
            "t" => words.push_str(node.text().unwrap_or_default()),
            "tab" => words.push('\t'),
            "br" | "cr" => words.push('\n'),
            "noBreakHyphen" => words.push('-'),
            "p" => {
                if !words.is_empty() {
                    words.push('\n');
                }
                add_words(node, words);
            }
            // Deleted and moved text, properties, and what is written elsewhere.
            "del" | "moveFrom" | "pPr" | "rPr" | "tblPr" | "txbxContent" | "Fallback" | "instrText" => {}
            _ => add_words(node, words),
        }
    }
}

/// A table; tables within its cells are words.
fn table(node: Node<'_, '_>) -> String {
    let mut table = Table::default();
    for row in node.children().filter(|row| is(*row, "tr")) {
        table.row(row.children().filter(|cell| is(*cell, "tc")).map(words));
    }
    table.finish()
}
