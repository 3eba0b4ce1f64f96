//! Web pages to Markdown. Leaves out fetching, and character sets.

use std::rc::Rc;

use htmd::{HtmlToMarkdown, Node};

use crate::{Error, Format, Found, markdown};

/// Elements within elements that are converted; deeper pages are attacks or mistakes and would exhaust the stack.
const DEEPEST: usize = 512;
/// What holds no text of a page.
const SILENT: [&str; 8] = ["script", "style", "noscript", "svg", "iframe", "template", "object", "canvas"];
/// What surrounds the text of a page.
const FRAME: [&str; 5] = ["head", "nav", "footer", "button", "form"];

/// Which parts of a page are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All that is text.
    Whole,
    /// Its content, without navigation, forms and footer.
    Content,
}

/// A page as Markdown, without scripts, styles and drawings. Blocks: call it on a thread that may.
///
/// # Errors
/// When its elements nest too deeply, or it cannot be converted.
pub fn to_markdown(html: &str, part: Part) -> Result<String, Error> {
    let mut skipped = SILENT.to_vec();
    if part == Part::Content {
        skipped.extend(FRAME);
    }
    let converter = HtmlToMarkdown::builder().skip_tags(skipped).build();
    let too_deep = Error::Excessive { what: "elements within elements", limit: DEEPEST as u64 };
    // Parsing takes time with the square of the depth: look before.
    if open_elements(html) > DEEPEST {
        return Err(too_deep);
    }
    let tree = converter.html_to_tree(html).map_err(|error| Error::broken(Format::Html, error))?;
    if is_deeper_than(&tree, DEEPEST) {
        return Err(too_deep);
    }
    Ok(converter.tree_to_markdown(&tree))
}

/// Reads a page.
pub(crate) fn read(html: &str) -> Result<Found, Error> {
    let mut text = to_markdown(html, Part::Content)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let title = title(html).or_else(|| markdown::title(&text));
    Ok(Found { title, text, ..Found::default() })
}

/// What a page calls itself.
fn title(html: &str) -> Option<String> {
    // ASCII only: byte positions stay those of the page.
    let lower = html.get(..html.floor_char_boundary(1 << 16))?.to_ascii_lowercase();
    let opened = lower.find("<title")?;
    let start = opened + lower.get(opened..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let title = htmd::convert(html.get(start..end)?).ok()?;
    Some(title.replace('\\', "")).filter(|title| !title.trim().is_empty())
}

/// Elements that have no end tag, or whose end tag is often left out because the next one ends them.
const SELF_ENDING: [&str; 30] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "param", "p",
    "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "html", "head",
    "body",
];

/// The largest number of elements that are open at once, by a glance at the tags.
fn open_elements(html: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let (is_end, after) = after.strip_prefix('/').map_or((false, after), |after| (true, after));
        let length = after.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (name, after) = after.split_at(length);
        let name = name.to_ascii_lowercase();
        rest = match name.as_str() {
            "script" | "style" if !is_end => after_end_tag(after, &name),
            _ => after,
        };
        if name.is_empty() || matches!(name.as_str(), "script" | "style") || SELF_ENDING.contains(&name.as_str()) {
            continue;
        }
        open = if is_end { open.saturating_sub(1) } else { open + 1 };
        most = most.max(open);
    }
    most
}

/// The rest behind the content of an element that holds no tags.
fn after_end_tag<'h>(html: &'h str, name: &str) -> &'h str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after;
        }
        rest = after;
    }
    ""
}

fn is_deeper_than(tree: &Rc<Node>, limit: usize) -> bool {
    let mut open = vec![(Rc::clone(tree), 0)];
    while let Some((node, depth)) = open.pop() {
        if depth > limit {
            return true;
        }
        open.extend(node.children.borrow().iter().map(|child| (Rc::clone(child), depth + 1)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_markdown_without_scripts() {
        let html = "<html><head><title>Q&amp;A</title><style>x{}</style></head><body><nav>menu</nav><h1>Hi</h1><script>evil()</script><p>a <a href=\"/b\">b</a></p></body></html>";
        let whole = to_markdown(html, Part::Whole).unwrap();
        assert!(
            whole.contains("# Hi") && whole.contains("[b](/b)") && whole.contains("menu") && !whole.contains("evil"),
            "{whole}"
        );
        let found = read(html).unwrap();
        assert_eq!(found.title.as_deref(), Some("Q&A"));
        assert_eq!(found.text, "# Hi\n\na [b](/b)\n");
    }

    #[test]
    fn a_page_made_to_exhaust_the_stack_is_refused() {
        assert!(to_markdown(&"<div>".repeat(100_000), Part::Whole).is_err());
        assert!(to_markdown(&"<b><p>".repeat(100_000), Part::Whole).is_err());
        let page = "<script>'<b>'</script><div><p>one<p>two<br></div>".repeat(2_000);
        assert!(to_markdown(&page, Part::Whole).is_ok_and(|text| text.contains("one")));
    }
}
