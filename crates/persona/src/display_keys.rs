//! `masque.display`, and the colours that other programs have names for.
//!
//! Leaves out cleaning the icon: whoever shows it does that.

use masque_tree::{Content, Place};
use masque_types::persona::Display;

use crate::{notes::Notes, section::Section, sibling::Sibling};

/// The file that is the icon when nothing else is said.
const ICON: &str = "icon.svg";

const MAX_ICON_BYTES: usize = 64 << 10;
const MAX_TITLE_LETTERS: usize = 80;

/// The colours of Claude Code and opencode by name.
const COLORS: [(&str, &str); 8] = [
    ("red", "#cc3333"),
    ("blue", "#3465a4"),
    ("green", "#3a8a3a"),
    ("yellow", "#c4a000"),
    ("purple", "#75507b"),
    ("orange", "#d2691e"),
    ("pink", "#d6568a"),
    ("cyan", "#1f8fa3"),
];

/// Reads the section; without one, the icon beside the file counts.
pub(crate) fn read(section: Option<Section>, sibling: &mut Sibling, notes: &mut Notes) -> Display {
    let Some(mut section) = section else {
        return Display { icon: usual_icon(sibling), ..Display::default() };
    };
    let display = Display {
        title: title(&mut section, notes),
        icon: match section.text("icon", notes) {
            Some((path, place)) => icon(&path, place, sibling, notes),
            None => usual_icon(sibling),
        },
        color: section.text("color", notes).and_then(|(text, place)| {
            let color = color(&text);
            if color.is_none() {
                notes.error(place, format!("`{text}` is no colour"), "write it as `\"#3465a4\"`, in quotes");
            }
            color
        }),
    };
    section.finish(notes);
    display
}

fn title(section: &mut Section, notes: &mut Notes) -> Option<String> {
    let (title, place) = section.text("title", notes)?;
    let title = title.trim().to_owned();
    if title.chars().count() > MAX_TITLE_LETTERS || title.chars().any(char::is_control) {
        let message = format!("a title has at most {MAX_TITLE_LETTERS} letters on one line");
        notes.error(place, message, "say the rest in `description`");
        return None;
    }
    (!title.is_empty()).then_some(title)
}

fn usual_icon(sibling: &mut Sibling) -> Option<String> {
    sibling.text(ICON).ok().filter(|text| problem(text).is_none())
}

fn icon(path: &str, place: Place, sibling: &mut Sibling, notes: &mut Notes) -> Option<String> {
    let text = sibling.named(path, "the icon", place, notes)?;
    if let Some(problem) = problem(&text) {
        notes.error(place, format!("the icon `{path}` {problem}"), "draw it as a small SVG file");
        return None;
    }
    Some(text)
}

fn problem(text: &str) -> Option<String> {
    if text.len() > MAX_ICON_BYTES {
        return Some(format!("is larger than {} KiB", MAX_ICON_BYTES >> 10));
    }
    (!text.contains("<svg")).then(|| "is no SVG".to_owned())
}

/// A colour as `#rrggbb`.
pub(crate) fn color(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    if let Some((_, hex)) = COLORS.iter().find(|(name, _)| *name == text) {
        return Some((*hex).to_owned());
    }
    let digits = text.strip_prefix('#')?;
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

/// The name that other programs have for a colour.
pub(crate) fn color_name(hex: &str) -> Option<&'static str> {
    COLORS.iter().find(|(_, known)| *known == hex).map(|(name, _)| *name)
}

/// `color` at the top, as other programs write it.
pub(crate) fn plain_color(section: &mut Section, notes: &mut Notes) -> Option<String> {
    let node = section.take("color")?;
    let color = match &node.content {
        Content::Text(text) => color(text),
        _ => None,
    };
    if color.is_none() {
        let hint = "write `#rrggbb`, or red, blue, green, yellow, purple, orange, pink, cyan";
        notes.unused("color".to_owned(), node.place, &node, "`color` is no colour that is known", hint);
    }
    color
}
