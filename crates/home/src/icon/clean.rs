//! Cleaning an SVG by a list of what may stay.

use std::collections::BTreeSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::{colour, unfit};
use crate::Error;

const MOST_BYTES: usize = 64 * 1024;
const MOST_NODES: u32 = 4_000;
const DEEPEST: usize = 32;
/// Larger numbers are no coordinates of an icon.
const LARGEST_NUMBER: f32 = 100_000.0;
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

const ELEMENTS: [&str; 12] = [
    "svg",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "linearGradient",
    "radialGradient",
    "stop",
];
/// Removed without a word, but for their content: they change nothing that is drawn.
const TRANSPARENT: [&str; 1] = ["defs"];
const SHAPES: [&str; 7] = ["path", "rect", "circle", "ellipse", "line", "polyline", "polygon"];

/// What the value of an attribute may be.
#[derive(Clone, Copy)]
enum Value {
    Numbers,
    Path,
    Transform,
    Paint,
    Colour,
    Identifier,
    OneOf(&'static [&'static str]),
}

const ATTRIBUTES: [(&str, Value); 34] = [
    ("id", Value::Identifier),
    ("viewBox", Value::Numbers),
    ("width", Value::Numbers),
    ("height", Value::Numbers),
    ("d", Value::Path),
    ("points", Value::Numbers),
    ("x", Value::Numbers),
    ("y", Value::Numbers),
    ("rx", Value::Numbers),
    ("ry", Value::Numbers),
    ("cx", Value::Numbers),
    ("cy", Value::Numbers),
    ("r", Value::Numbers),
    ("x1", Value::Numbers),
    ("y1", Value::Numbers),
    ("x2", Value::Numbers),
    ("y2", Value::Numbers),
    ("offset", Value::Numbers),
    ("opacity", Value::Numbers),
    ("fill-opacity", Value::Numbers),
    ("stroke-opacity", Value::Numbers),
    ("stop-opacity", Value::Numbers),
    ("stroke-width", Value::Numbers),
    ("stroke-miterlimit", Value::Numbers),
    ("transform", Value::Transform),
    ("gradientTransform", Value::Transform),
    ("fill", Value::Paint),
    ("stroke", Value::Paint),
    ("stop-color", Value::Colour),
    ("fill-rule", Value::OneOf(&["nonzero", "evenodd"])),
    ("stroke-linecap", Value::OneOf(&["butt", "round", "square"])),
    ("stroke-linejoin", Value::OneOf(&["miter", "round", "bevel"])),
    ("gradientUnits", Value::OneOf(&["userSpaceOnUse", "objectBoundingBox"])),
    ("spreadMethod", Value::OneOf(&["pad"])),
];

/// The clean text, and what was removed.
pub(super) fn clean(svg: &[u8]) -> Result<(String, Vec<String>), Error> {
    if svg.len() > MOST_BYTES {
        return Err(unfit(format!("it has {} bytes, at most {MOST_BYTES} are taken", svg.len())));
    }
    let text = str::from_utf8(svg).map_err(|_| unfit("it is not UTF-8 text"))?;
    // Document types are refused by the parser: they are how entities grow without bound.
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| unfit(format!("it is no SVG: {error}")))?;
    let root = document.root_element();
    if root.tag_name().name() != "svg" {
        return Err(unfit(format!("the root element is <{}>, expected <svg>", root.tag_name().name())));
    }
    if !(root.has_attribute("viewBox") || root.has_attribute("width") && root.has_attribute("height")) {
        return Err(unfit("it has no size: add a viewBox, for example viewBox=\"0 0 64 64\""));
    }
    let mut cleaner = Cleaner { out: String::new(), removed: BTreeSet::new(), shapes: 0 };
    cleaner.element(root, 0)?;
    if cleaner.shapes == 0 {
        return Err(unfit("nothing can be drawn of it: paths, rectangles, circles, lines and polygons are"));
    }
    Ok((cleaner.out, cleaner.removed.into_iter().collect()))
}

struct Cleaner {
    out: String,
    removed: BTreeSet<String>,
    shapes: usize,
}

impl Cleaner {
    fn element(&mut self, node: Node<'_, '_>, depth: usize) -> Result<(), Error> {
        let name = node.tag_name().name();
        if depth > DEEPEST {
            return Err(unfit(format!("its elements are nested deeper than {DEEPEST} levels")));
        }
        if TRANSPARENT.contains(&name) {
            return self.children(node, depth);
        }
        let namespace = node.tag_name().namespace();
        let is_known = ELEMENTS.contains(&name) && namespace.is_none_or(|namespace| namespace == NAMESPACE);
        if !is_known || (name == "svg") != (depth == 0) {
            self.removed.insert(format!("<{name}>"));
            return Ok(());
        }
        self.shapes += usize::from(SHAPES.contains(&name));
        self.out.push('<');
        self.out.push_str(name);
        if depth == 0 {
            self.out.push_str(&format!(" xmlns=\"{NAMESPACE}\""));
        }
        self.attributes(node);
        self.out.push('>');
        self.children(node, depth)?;
        self.out.push_str(&format!("</{name}>"));
        Ok(())
    }

    fn children(&mut self, node: Node<'_, '_>, depth: usize) -> Result<(), Error> {
        node.children().filter(Node::is_element).try_for_each(|child| self.element(child, depth + 1))
    }

    fn attributes(&mut self, node: Node<'_, '_>) {
        let mut kept: Vec<(&str, &str)> = Vec::new();
        for attribute in node.attributes() {
            if attribute.namespace().is_none() && attribute.name() == "style" {
                // A later declaration wins over an attribute.
                for declaration in attribute.value().split(';').filter(|text| !text.trim().is_empty()) {
                    let (name, value) = declaration.split_once(':').unwrap_or((declaration, ""));
                    kept.retain(|(earlier, _)| *earlier != name.trim());
                    kept.push((name.trim(), value.trim()));
                }
            } else if attribute.namespace().is_none() {
                if !kept.iter().any(|(earlier, _)| *earlier == attribute.name()) {
                    kept.push((attribute.name(), attribute.value().trim()));
                }
            } else {
                self.removed.insert(attribute.name().to_owned());
            }
        }
        for (name, value) in kept {
            match ATTRIBUTES.iter().find(|(known, _)| *known == name) {
                Some((name, kind)) if is_fine(*kind, value) => self.out.push_str(&format!(" {name}=\"{value}\"")),
                _ => drop(self.removed.insert(name.chars().take(40).collect())),
            }
        }
    }
}

fn is_fine(kind: Value, value: &str) -> bool {
    match kind {
        Value::Numbers => has_only(value, "") && are_small(value),
        Value::Path => has_only(value, "MmLlHhVvCcSsQqTtAaZz") && are_small(value),
        Value::Transform => {
            let names = ["matrix", "translate", "scale", "rotate", "skewX", "skewY"];
            let calls = value.split(')').map(str::trim).filter(|call| !call.is_empty());
            let mut calls = calls.map(|call| call.trim_start_matches(',').trim().split_once('('));
            calls.all(|call| {
                call.is_some_and(|(name, numbers)| {
                    names.contains(&name.trim()) && has_only(numbers, "") && are_small(numbers)
                })
            })
        }
        Value::Paint => value == "none" || colour::parse(value).is_some() || reference(value).is_some(),
        Value::Colour => colour::parse(value).is_some(),
        Value::Identifier => is_identifier(value),
        Value::OneOf(values) => values.contains(&value),
    }
}

/// The identifier in `url(#identifier)`.
pub(super) fn reference(value: &str) -> Option<&str> {
    value.strip_prefix("url(#")?.strip_suffix(')').filter(|name| is_identifier(name))
}

fn is_identifier(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Digits, signs, exponents, units of length, separators, and the given letters.
fn has_only(value: &str, letters: &str) -> bool {
    let units = value.strip_suffix("px").unwrap_or(value);
    units.chars().all(|letter| letter.is_ascii_digit() || "+-.,% \t\r\neE".contains(letter) || letters.contains(letter))
}

fn are_small(value: &str) -> bool {
    let numbers = value.split(|letter: char| !(letter.is_ascii_digit() || "+-.eE".contains(letter)));
    // What is no number by itself, such as `1-2`, is two small ones.
    numbers.filter_map(|number| number.parse::<f32>().ok()).all(|number| number.abs() <= LARGEST_NUMBER)
        && !has_large_exponent(value)
}

fn has_large_exponent(value: &str) -> bool {
    let after = value.split(['e', 'E']).skip(1).map(|rest| rest.trim_start_matches(['+', '-']));
    let digits = after.map(|rest| rest.chars().take_while(char::is_ascii_digit).count());
    let long_run = value.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() > 12);
    long_run || digits.into_iter().any(|count| count > 0)
}
