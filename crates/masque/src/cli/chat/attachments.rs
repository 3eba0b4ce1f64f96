//! Files that are named in what a person says: `@src/main.rs` sends the file's text along.
//!
//! Only files of the workspace are sent; any other `@word` is a word. Leaves out completion of the names.

use std::path::Path;

use base64::Engine as _;
use masque_types::message::Part;

/// The largest text in bytes that is sent along; a larger file is read by the persona's tools.
const TEXT_BYTES: u64 = 64 << 10;
/// The largest image in bytes.
const IMAGE_BYTES: u64 = 5 << 20;

/// The words, then the files that they name; and notes about those that are not sent.
pub(crate) fn parts(words: &str, workspace: &Path) -> (Vec<Part>, Vec<String>) {
    let (mut parts, mut notes) = (vec![Part::text(words)], Vec::new());
    let mut seen = Vec::new();
    for name in words.split_whitespace().filter_map(|word| word.strip_prefix('@')) {
        let name = name.trim_end_matches([',', ';', ':', '?', '!', ')']);
        let name = if workspace.join(name).is_file() { name } else { name.trim_end_matches('.') };
        if name.is_empty() || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        match attached(name, workspace) {
            Ok(Some(part)) => parts.push(part),
            Ok(None) => {}
            Err(note) => notes.push(format!("@{name} is not sent along: {note}")),
        }
    }
    (parts, notes)
}

/// A file as a part; none when no such file is in the workspace.
fn attached(name: &str, workspace: &Path) -> Result<Option<Part>, String> {
    let Ok(path) = workspace.join(name).canonicalize() else { return Ok(None) };
    if !path.is_file() {
        return Ok(None);
    }
    if !path.starts_with(workspace) {
        return Err("it lies outside of the workspace".to_owned());
    }
    let bytes = path.metadata().map_err(|error| error.to_string())?.len();
    if let Some(media_type) = media_type(&path) {
        if bytes > IMAGE_BYTES {
            return Err(format!("it has {bytes} bytes; an image may have {IMAGE_BYTES}"));
        }
        let data = fs_err::read(&path).map_err(|error| error.to_string())?;
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        return Ok(Some(Part::Image { media_type: media_type.to_owned(), data }));
    }
    if bytes > TEXT_BYTES {
        return Err(format!("it has {bytes} bytes, more than {TEXT_BYTES}; the persona can read it in parts"));
    }
    let text = fs_err::read(&path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    Ok(Some(Part::text(format!("<file path=\"{name}\">\n{text}\n</file>"))))
}

fn media_type(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()?.to_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_workspace_are_sent_along() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let workspace = root.join("work");
        fs_err::create_dir(&workspace).unwrap();
        fs_err::write(workspace.join("a.rs"), "fn a() {}").unwrap();
        fs_err::write(workspace.join("b.png"), [1, 2, 3]).unwrap();
        fs_err::write(workspace.join("c.bin"), [0xff, 0xfe]).unwrap();
        fs_err::write(root.join("secret"), "x").unwrap();
        let (parts, notes) = parts("what is @a.rs, (@b.png) @c.bin @../secret @ada @a.rs?", &workspace);
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!(parts[1].as_text(), Some("<file path=\"a.rs\">\nfn a() {}\n</file>"));
        assert_eq!(
            notes,
            [
                "@c.bin is not sent along: it is not text",
                "@../secret is not sent along: it lies outside of the workspace"
            ]
        );
        assert!(matches!(super::parts("look: @b.png.", &workspace).0[1], Part::Image { .. }));
    }
}
