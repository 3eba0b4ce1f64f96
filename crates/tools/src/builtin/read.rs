//! `fs.read`: the lines of a text file, or an image.

use std::{io::BufReader, io::Read as _, io::Seek as _, path::Path};

use base64::Engine as _;
use masque_types::{
    message::Part,
    tool::{EffectClass, ToolOutput},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Builtin, Call, Run, schema_of};
use crate::{
    failure::{Failure, Outcome, arguments},
    lines::{self, Numbering, Wanted},
};

/// Bytes that are looked at to tell text from other files.
const SNIFF_BYTES: u64 = 8 * 1024;
/// The largest image that is handed to a model.
const IMAGE_BYTES: u64 = 5 * 1024 * 1024;

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.read",
    description: "Reads a text file of the workspace, by default its first 2000 lines. Choose other lines with \
                  `offset_line` and `lines`; the answer says how many lines there are and how to read on. Very long \
                  lines are cut. PNG, JPEG, GIF and WebP images are returned as images; other binary files are \
                  refused with what they seem to be. Use fs.search to find something in many files.",
    effect: EffectClass::Pure,
    schema: schema_of::<Arguments>,
    run: Run::Blocking(run),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, relative to the workspace.
    path: String,
    /// The first line to return, from 1.
    #[serde(default)]
    offset_line: Option<u64>,
    /// How many lines to return.
    #[serde(default)]
    lines: Option<u64>,
    /// Whether each line begins with its number and a tab.
    #[serde(default)]
    numbered: Option<bool>,
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let relative = call.workspace.relative(&asked.path)?;
    let (mut file, stat) = call.workspace.open_file(&relative)?;
    let failed = |error: std::io::Error| Failure::new(format!("`{}`: {error}", asked.path));
    let mut head = Vec::new();
    (&mut file).take(SNIFF_BYTES).read_to_end(&mut head).map_err(failed)?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if let Some(media_type) = image_type(&head) {
        return image(file, head, media_type, size).map_err(failed);
    }
    if head.contains(&0) {
        return Err(binary(&relative, &head, size));
    }
    file.rewind().map_err(failed)?;
    let first = asked.offset_line.unwrap_or(1).max(1);
    let numbered = if asked.numbered.unwrap_or(false) { Numbering::Numbered } else { Numbering::Plain };
    let wanted = Wanted { first, count: asked.lines.unwrap_or(lines::DEFAULT_LINES).max(1), numbered };
    let window = lines::window(&mut BufReader::new(file), wanted, &call.stop)?;
    Ok(ToolOutput::text(window.with_remark(first)))
}

fn image(mut file: std::fs::File, mut bytes: Vec<u8>, media_type: &str, size: u64) -> std::io::Result<ToolOutput> {
    if size > IMAGE_BYTES {
        let text = format!("an image ({media_type}) of {size} bytes; images over {IMAGE_BYTES} bytes are not shown");
        return Ok(ToolOutput::error(text));
    }
    (&mut file).take(IMAGE_BYTES).read_to_end(&mut bytes)?;
    let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let content = vec![
        Part::text(format!("[{media_type}, {} bytes]", bytes.len())),
        Part::Image { media_type: media_type.to_owned(), data },
    ];
    Ok(ToolOutput { content, is_error: false })
}

fn image_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn binary(relative: &Path, head: &[u8], size: u64) -> Failure {
    let kind = match head {
        [0x7f, b'E', b'L', b'F', ..] => "a program or library (ELF)",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive or office document",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [b'S', b'Q', b'L', b'i', b't', b'e', ..] => "an SQLite database",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16",
        _ => "a binary file",
    };
    Failure::new(format!(
        "`{}` is {kind} of {size} bytes, not text; use a program for that format, for example with shell.exec",
        relative.display()
    ))
}
