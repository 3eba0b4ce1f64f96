//! Pages of documentation as Markdown, cut into sections. Leaves out which pages there are.

use anyhow::Context as _;
use htmd::{Element, HtmlToMarkdown, element_handler::Handlers};

/// What a piece of HTML says, as Markdown. Links become their text: an address often holds the heading that it leads to.
pub(crate) fn of_html(html: &str) -> anyhow::Result<String> {
    let text_only = |handlers: &dyn Handlers, element: Element<'_>| Some(handlers.walk_children(element.node));
    let converter = HtmlToMarkdown::builder()
        .skip_tags(vec!["script", "style", "button", "svg", "img"])
        .add_handler(vec!["a"], text_only)
        .build();
    converter.convert(html).context("HTML cannot be read")
}

/// A text between two others.
pub(crate) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

/// A text without Markdown's marks, on one line.
pub(crate) fn plain(text: &str) -> String {
    let marks = |c: &char| !matches!(c, '`' | '*' | '\\' | '§');
    let plain: String = text.chars().filter(marks).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands below one heading, to the next heading of any level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its heading, plain.
    pub(crate) heading: String,
    /// The headings above it, outermost first.
    pub(crate) above: Vec<String>,
    /// What stands below it, without the heading.
    pub(crate) text: String,
    /// Whether sections stand below it.
    pub(crate) is_parent: bool,
}

/// Cuts Markdown at its headings. What stands before the first is left out.
pub(crate) fn sections(markdown: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    // Levels and places of the sections that are open.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut in_code = false;
    for line in markdown.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let heading = if in_code { None } else { heading(line) };
        let Some((level, heading)) = heading else {
            if let Some(section) = sections.last_mut() {
                section.text.push_str(line);
                section.text.push('\n');
            }
            continue;
        };
        open.retain(|(other, _)| *other < level);
        for (_, place) in &open {
            if let Some(parent) = sections.get_mut(*place) {
                parent.is_parent = true;
            }
        }
        let above = open.iter().filter_map(|(_, place)| sections.get(*place)).map(|section| section.heading.clone());
        let above = above.collect();
        open.push((level, sections.len()));
        sections.push(Section { heading, above, text: String::new(), is_parent: false });
    }
    sections
}

fn heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let text = line.get(level..)?.strip_prefix(' ')?;
    (1..=6).contains(&level).then(|| (level, plain(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_loses_its_links_and_keeps_its_text() {
        let html = r##"<h2 id="a"><a class="header" href="#a">The <code>Box</code></a></h2><p>See <a href="x.html">there</a>.</p>"##;
        assert_eq!(of_html(html).unwrap(), "## The `Box`\n\nSee there.");
    }

    #[test]
    fn sections_know_what_stands_above_them() {
        let text = "before\n# Page\n\nintro\n```\n# not a heading\n```\n## `One`\ntext\n### Deep\nd\n## Two\n";
        let cut = sections(text);
        let headings: Vec<_> = cut.iter().map(|section| section.heading.as_str()).collect();
        assert_eq!(headings, ["Page", "One", "Deep", "Two"]);
        assert_eq!(cut[2].above, ["Page", "One"]);
        assert_eq!(cut.iter().map(|section| section.is_parent).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(cut[0].text.contains("# not a heading"), "{}", cut[0].text);
    }
}
