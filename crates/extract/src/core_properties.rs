//! What an office document says of itself, in `docProps/core.xml`. Leaves out its content.

use crate::{Error, Format, Found, Limits, archive::Archive, xml};

/// Puts title, author and dates into what was found. A document without them, or with broken ones, has none.
///
/// # Errors
/// When the archive is beyond a limit.
pub(crate) fn add(archive: &mut Archive<'_>, format: Format, limits: &Limits, found: &mut Found) -> Result<(), Error> {
    let Some(text) = archive.text("docProps/core.xml")? else { return Ok(()) };
    let Ok(tree) = xml::parse(&text, format, limits) else { return Ok(()) };
    let value = |name: &str| {
        let text = tree.root_element().children().find(|child| xml::is(*child, name))?.text()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    found.title = value("title").or_else(|| found.title.take());
    for (name, key) in [("creator", "author"), ("created", "created"), ("modified", "modified")] {
        if let Some(value) = value(name) {
            found.metadata.insert(key.to_owned(), value.into());
        }
    }
    Ok(())
}
