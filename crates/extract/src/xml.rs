//! XML with limits: no document type, so no entities; bounded nodes and depth. Leaves out what the elements mean.

use roxmltree::{Document, Node, ParsingOptions};

use crate::{Error, Format, Limits};

/// Parses an XML text of a document.
///
/// # Errors
/// When it is not well-formed, declares entities, or is beyond a limit.
pub(crate) fn parse<'t>(text: &'t str, format: Format, limits: &Limits) -> Result<Document<'t>, Error> {
    if deepest(text) > limits.depth {
        return Err(Error::Excessive { what: "elements within elements", limit: limits.depth as u64 });
    }
    let options = ParsingOptions { nodes_limit: limits.nodes, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => Error::Excessive { what: "elements", limit: limits.nodes.into() },
        error => Error::broken(format, error),
    })
}

/// How many elements are open at once, by a glance at the tags; at least as deep as the tree that a parser makes.
fn deepest(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for tag in text.split('<').skip(1) {
        let is_end = tag.starts_with('/');
        let tag = tag.split('>').next().unwrap_or_default();
        if is_end {
            open = open.saturating_sub(1);
        } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open += 1;
            most = most.max(open);
        }
    }
    most
}

/// Whether it is an element with this local name; office formats name theirs apart enough without namespaces.
pub(crate) fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The first child element with this name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| is(*child, name))
}

/// The element at a path of child elements.
pub(crate) fn descend<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

/// The value of an attribute by its local name.
pub(crate) fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|attribute| attribute.name() == name).map(|attribute| attribute.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attacks_parsers_is_refused() {
        let limits = Limits { nodes: 1000, ..Limits::default() };
        let check = |text: &str| parse(text, Format::Docx, &limits).unwrap_err().to_string();
        let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        assert!(check(laughs).contains("DTD"), "{}", check(laughs));
        assert!(check(&"<a>".repeat(100_000)).contains("elements within elements"));
        assert!(check(&format!("<a>{}</a>", "<b/>".repeat(2000))).contains("1000 elements"));
        assert!(check("<a><b></a>").contains("Word document is broken"));
        assert!(parse("<a><!-- < --><b/>x</a>", Format::Docx, &limits).is_ok());
    }
}
