//! What the styles and numberings of a Word document mean: which paragraph is a heading, which list is numbered.
//! Leaves out the text.

use std::collections::HashMap;

use roxmltree::{Document, Node};

use crate::xml::{attribute, child, descend, is};

/// Styles based on styles; longer chains are mistakes.
const LONGEST_CHAIN: usize = 16;

/// Styles and numberings of one document.
#[derive(Debug, Default)]
pub(crate) struct Styles {
    styles: HashMap<String, Style>,
    /// Formats of numbering levels by numbering and level.
    numberings: HashMap<(String, usize), String>,
}

#[derive(Debug, Default)]
struct Style {
    based_on: Option<String>,
    /// From 1, when the style is one of headings; the title of the document has 1.
    heading: Option<usize>,
    /// The numbering that its paragraphs have.
    numbering: Option<String>,
}

impl Styles {
    /// Reads them from their parts, as far as these are there.
    pub(crate) fn of(styles: Option<&Document<'_>>, numbering: Option<&Document<'_>>) -> Self {
        let mut all = Self::default();
        let elements = |tree: &Document<'_>, name: &str, take: &mut dyn FnMut(Node<'_, '_>)| {
            tree.root_element().children().filter(|node| is(*node, name)).for_each(take);
        };
        if let Some(tree) = styles {
            elements(tree, "style", &mut |node| {
                if let Some(id) = attribute(node, "styleId") {
                    all.styles.insert(id.to_owned(), style(node));
                }
            });
        }
        if let Some(tree) = numbering {
            all.read_numberings(tree);
        }
        all
    }

    fn read_numberings(&mut self, tree: &Document<'_>) {
        let mut abstracts: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
        for node in tree.root_element().children() {
            if is(node, "abstractNum") {
                let levels = node.children().filter(|level| is(*level, "lvl")).filter_map(|level| {
                    let format = attribute(child(level, "numFmt")?, "val")?;
                    Some((attribute(level, "ilvl")?.parse().ok()?, format))
                });
                abstracts.insert(attribute(node, "abstractNumId").unwrap_or_default(), levels.collect());
            } else if is(node, "num") {
                let of = child(node, "abstractNumId").and_then(|of| attribute(of, "val")).unwrap_or_default();
                let Some(id) = attribute(node, "numId") else { continue };
                for (level, format) in abstracts.get(of).into_iter().flatten() {
                    self.numberings.insert((id.to_owned(), *level), (*format).to_owned());
                }
            }
        }
    }

    /// The level of the heading that a paragraph with these properties is, from 1.
    pub(crate) fn heading(&self, properties: Option<Node<'_, '_>>) -> Option<usize> {
        let properties = properties?;
        let direct = child(properties, "outlineLvl").and_then(outline);
        direct.or_else(|| self.chain(properties).find_map(|style| style.heading))
    }

    /// Depth and mark of the list item that a paragraph with these properties is.
    pub(crate) fn item(&self, properties: Option<Node<'_, '_>>) -> Option<(usize, &'static str)> {
        let properties = properties?;
        let direct = child(properties, "numPr");
        let value = |name: &str| direct.and_then(|node| attribute(child(node, name)?, "val"));
        let of_style = || self.chain(properties).find_map(|style| style.numbering.as_deref());
        // A numbering of 0 takes one away that the style gives.
        let numbering = value("numId").or_else(of_style).filter(|id| *id != "0")?;
        let depth = value("ilvl").and_then(|level| level.parse().ok()).unwrap_or(0);
        let format = self.numberings.get(&(numbering.to_owned(), depth)).map(String::as_str);
        Some((depth, if matches!(format, None | Some("bullet" | "none")) { "-" } else { "1." }))
    }

    /// The style of a paragraph and those that it is based on.
    fn chain<'s>(&'s self, properties: Node<'_, '_>) -> impl Iterator<Item = &'s Style> + use<'s> {
        let id = child(properties, "pStyle").and_then(|style| attribute(style, "val"));
        let first = id.and_then(|id| self.styles.get(id));
        std::iter::successors(first, |style| self.styles.get(style.based_on.as_deref()?)).take(LONGEST_CHAIN)
    }
}

fn style(node: Node<'_, '_>) -> Style {
    let value = |path: &[&str]| descend(node, path).and_then(|node| attribute(node, "val"));
    let named = value(&["name"]).and_then(|name| heading_of_name(&name.to_ascii_lowercase()));
    Style {
        based_on: value(&["basedOn"]).map(str::to_owned),
        heading: named.or_else(|| descend(node, &["pPr", "outlineLvl"]).and_then(outline)),
        numbering: value(&["pPr", "numPr", "numId"]).map(str::to_owned),
    }
}

/// Styles of headings keep their English names in the file whatever the program's language.
fn heading_of_name(name: &str) -> Option<usize> {
    match name {
        "title" => Some(1),
        "subtitle" => Some(2),
        _ => name.strip_prefix("heading ")?.parse().ok().filter(|level| (1..=9).contains(level)),
    }
}

/// Levels of outlines begin with 0, and 9 is the level of text.
fn outline(node: Node<'_, '_>) -> Option<usize> {
    let level: usize = attribute(node, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}
