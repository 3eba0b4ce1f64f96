//! What a Markdown document says of itself. Leaves out cutting it into chunks.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

/// Its title: that of its front matter, else its first heading of the highest level that there is, which must be the
/// first or second.
pub(crate) fn title(text: &str) -> Option<String> {
    let mut first: Option<(HeadingLevel, String)> = None;
    let mut open: Option<(HeadingLevel, String)> = None;
    let mut in_front_matter = false;
    for event in Parser::new_ext(text, Options::ENABLE_YAML_STYLE_METADATA_BLOCKS) {
        match event {
            Event::Start(Tag::MetadataBlock(MetadataBlockKind::YamlStyle)) => in_front_matter = true,
            Event::End(TagEnd::MetadataBlock(_)) => in_front_matter = false,
            Event::Text(yaml) if in_front_matter => {
                if let Some(title) = of_front_matter(&yaml) {
                    return Some(title);
                }
            }
            Event::Start(Tag::Heading { level, .. }) => open = Some((level, String::new())),
            Event::Text(words) | Event::Code(words) => {
                if let Some((_, title)) = &mut open {
                    title.push_str(&words);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let heading = open.take().filter(|(level, _)| *level <= HeadingLevel::H2);
                match heading {
                    Some((HeadingLevel::H1, title)) if !title.trim().is_empty() => return Some(title),
                    Some(heading) if first.is_none() => first = Some(heading),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    first.map(|(_, title)| title)
}

/// The line `title:` of front matter.
fn of_front_matter(yaml: &str) -> Option<String> {
    let value = yaml.lines().find_map(|line| line.strip_prefix("title:"))?.trim();
    let quoted = |mark: char| value.strip_prefix(mark).and_then(|value| value.strip_suffix(mark));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    (!value.is_empty() && !value.starts_with(['|', '>'])).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_markdown() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(title(text).as_deref(), expected, "{text}");
        check("# One `two`\n# Three", Some("One two"));
        check("```\n# no\n```\n## Second\n", Some("Second"));
        check("---\ntitle: \"Named: so\"\n---\n# Other", Some("Named: so"));
        check("---\ntags: [a]\n---\nTitle\n=====\n", Some("Title"));
        check("### deep only\ntext", None);
        check("", None);
    }
}
