//! Presentations: slides in their order with titles, text, tables and notes. Leaves out pictures, charts and masters.

use std::collections::HashMap;

use roxmltree::{Document, Node};

use crate::{
    Error, Format, Found, Limits,
    archive::Archive,
    core_properties,
    table::Table,
    text::Text,
    xml::{self, attribute, child, descend, is},
};

/// Reads a presentation.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let mut archive = Archive::open(bytes, Format::Pptx, limits)?;
    let slides = slides(&mut archive, limits)?;
    let mut text = Text::new(limits);
    let mut first_title = None;
    for (number, part) in slides.iter().enumerate().take(limits.pages) {
        let title = slide(&mut archive, part, number + 1, limits, &mut text)?;
        first_title = first_title.or(title);
        if text.is_full() {
            break;
        }
    }
    let mut found = Found { title: first_title, ..text.into_found() };
    if slides.len() > limits.pages {
        found.notes.push(format!("only the first {} of its {} slides were read", limits.pages, slides.len()));
    }
    found.metadata.insert("slides".to_owned(), slides.len().into());
    core_properties::add(&mut archive, Format::Pptx, limits, &mut found)?;
    Ok(found)
}

/// The parts that are slides, in their order.
fn slides(archive: &mut Archive<'_>, limits: &Limits) -> Result<Vec<String>, Error> {
    let missing = || Error::broken(Format::Pptx, "it does not say which slides it has");
    let presentation = archive.text("ppt/presentation.xml")?.ok_or_else(missing)?;
    let relations = relations(archive, "ppt/presentation.xml", limits)?;
    let tree = xml::parse(&presentation, Format::Pptx, limits)?;
    let Some(list) = child(tree.root_element(), "sldIdLst") else { return Ok(Vec::new()) };
    let relation_id = |node: Node<'_, '_>| {
        // Beside its own `id` a slide has that of its relation, in another namespace.
        let of_relation =
            |attribute: &roxmltree::Attribute<'_, '_>| attribute.name() == "id" && attribute.namespace().is_some();
        node.attributes().find(of_relation).map(|attribute| attribute.value().to_owned())
    };
    let parts = list.children().filter(|node| is(*node, "sldId")).filter_map(relation_id);
    Ok(parts.filter_map(|id| relations.get(&id).map(|relation| relation.target.clone())).collect())
}

struct Relation {
    kind: String,
    target: String,
}

/// What a part refers to, by id.
fn relations(archive: &mut Archive<'_>, part: &str, limits: &Limits) -> Result<HashMap<String, Relation>, Error> {
    let (directory, name) = part.rsplit_once('/').unwrap_or(("", part));
    let Some(text) = archive.text(&format!("{directory}/_rels/{name}.rels"))? else { return Ok(HashMap::new()) };
    let tree = xml::parse(&text, Format::Pptx, limits)?;
    let relation = |node: Node<'_, '_>| {
        let kind = attribute(node, "Type")?.rsplit('/').next()?.to_owned();
        let target = resolve(directory, attribute(node, "Target")?);
        Some((attribute(node, "Id")?.to_owned(), Relation { kind, target }))
    };
    Ok(tree.root_element().children().filter_map(relation).collect())
}

/// A path in the archive from a directory on.
fn resolve(directory: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = directory.split('/').collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Writes a slide and gives its title.
fn slide(
    archive: &mut Archive<'_>,
    part: &str,
    number: usize,
    limits: &Limits,
    text: &mut Text,
) -> Result<Option<String>, Error> {
    let Some(slide) = archive.text(part)? else { return Ok(None) };
    let tree = xml::parse(&slide, Format::Pptx, limits)?;
    let title = shapes(&tree).find(|shape| is_title(*shape)).map(|shape| paragraphs(shape).join(" "));
    let title = title.filter(|title| !title.trim().is_empty());
    text.heading(2, &title.as_ref().map_or_else(|| format!("Slide {number}"), Clone::clone));
    for shape in shapes(&tree).filter(|shape| !is_title(*shape)) {
        write_shape(shape, text);
    }
    let notes = relations(archive, part, limits)?.into_values().find(|relation| relation.kind == "notesSlide");
    if let Some(notes) = notes.map(|notes| archive.text(&notes.target)).transpose()?.flatten() {
        write_notes(&xml::parse(&notes, Format::Pptx, limits)?, text);
    }
    Ok(title)
}

/// Shapes and tables at any depth of groups.
fn shapes<'a, 'i>(tree: &'a Document<'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    tree.descendants().filter(|node| is(*node, "sp") || is(*node, "graphicFrame"))
}

fn placeholder<'a>(shape: Node<'a, '_>) -> Option<&'a str> {
    let place = descend(shape, &["nvSpPr", "nvPr", "ph"])?;
    Some(attribute(place, "type").unwrap_or("body"))
}

fn is_title(shape: Node<'_, '_>) -> bool {
    matches!(placeholder(shape), Some("title" | "ctrTitle"))
}

fn write_shape(shape: Node<'_, '_>, text: &mut Text) {
    if matches!(placeholder(shape), Some("sldNum" | "ftr" | "dt")) {
        return;
    }
    for table in shape.descendants().filter(|node| is(*node, "tbl")) {
        let mut rows = Table::default();
        for row in table.children().filter(|row| is(*row, "tr")) {
            rows.row(row.children().filter(|cell| is(*cell, "tc")).map(|cell| paragraphs(cell).join(" ")));
        }
        text.block(&rows.finish());
    }
    let Some(body) = child(shape, "txBody") else { return };
    // The body of a slide is a list; other boxes hold plain text.
    let is_list = matches!(placeholder(shape), Some("body" | "obj"));
    for paragraph in body.children().filter(|node| is(*node, "p")) {
        let words = words(paragraph);
        let depth = child(paragraph, "pPr").and_then(|node| attribute(node, "lvl")?.parse().ok()).unwrap_or(0);
        if is_list || depth > 0 {
            text.item(depth, "-", &words);
        } else {
            text.paragraph(&words);
        }
    }
}

fn write_notes(tree: &Document<'_>, text: &mut Text) {
    let bodies = shapes(tree).filter(|shape| placeholder(*shape) == Some("body"));
    let notes: Vec<String> = bodies.flat_map(paragraphs).filter(|words| !words.trim().is_empty()).collect();
    if !notes.is_empty() {
        text.heading(3, "Notes");
        notes.iter().for_each(|words| text.paragraph(words));
    }
}

fn paragraphs(parent: Node<'_, '_>) -> Vec<String> {
    parent.descendants().filter(|node| is(*node, "p")).map(words).collect()
}

/// The words of a paragraph.
fn words(paragraph: Node<'_, '_>) -> String {
    let mut words = String::new();
    for node in paragraph.descendants() {
        if is(node, "t") {
            words.push_str(node.text().unwrap_or_default());
        } else if is(node, "br") {
            words.push('\n');
        }
    }
    words
}
