//! What a server returned as content for a model.

use masque_types::{message::Part, tool::ToolOutput};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// The result as content: texts and images as they are, what a model cannot read as a remark about it.
pub(crate) fn output(result: CallToolResult) -> ToolOutput {
    let is_error = result.is_error.unwrap_or(false);
    let mut content: Vec<Part> = result.content.into_iter().map(part).collect();
    let has_text = content.iter().any(|part| part.as_text().is_some_and(|text| !text.trim().is_empty()));
    // Servers repeat structured content as text for clients that do not know it; it is needed only without.
    if let Some(structured) = result.structured_content.filter(|_| !has_text) {
        content.push(Part::text(serde_json::to_string_pretty(&structured).unwrap_or_else(|_| structured.to_string())));
    }
    if content.is_empty() {
        content.push(Part::text(if is_error { "[failed without a message]" } else { "[no output]" }));
    }
    ToolOutput { content, is_error }
}

fn part(block: ContentBlock) -> Part {
    match block {
        ContentBlock::Text(text) => Part::text(text.text),
        ContentBlock::Image(image) => Part::Image { media_type: image.mime_type, data: image.data },
        ContentBlock::Audio(audio) => Part::text(format!("[sound, {}: not shown]", audio.mime_type)),
        ContentBlock::Resource(embedded) => resource(embedded.resource),
        ContentBlock::ResourceLink(link) => Part::text(format!("[resource {}: {}]", link.name, link.uri)),
        _ => Part::text("[content of an unknown kind: not shown]"),
    }
}

fn resource(contents: ResourceContents) -> Part {
    match contents {
        ResourceContents::TextResourceContents { uri, text, .. } => Part::text(format!("[resource {uri}]\n{text}")),
        ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => match mime_type {
            Some(media_type) if media_type.starts_with("image/") => Part::Image { media_type, data: blob },
            media_type => {
                let media_type = media_type.as_deref().unwrap_or("unknown type");
                Part::text(format!("[resource {uri}, {media_type}, {} bytes: not shown]", blob.len() / 4 * 3))
            }
        },
        _ => Part::text("[a resource of an unknown kind: not shown]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(value: serde_json::Value) -> ToolOutput {
        output(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn structured_content_is_shown_when_there_is_no_text() {
        assert_eq!(parsed(json!({"content": [], "structuredContent": {"a": 1}})), ToolOutput::text("{\n  \"a\": 1\n}"));
        let both = json!({"content": [{"type": "text", "text": "x"}], "structuredContent": {"a": 1}});
        assert_eq!(parsed(both), ToolOutput::text("x"));
        assert_eq!(parsed(json!({"content": [], "isError": true})), ToolOutput::error("[failed without a message]"));
    }

    #[test]
    fn every_kind_of_content_becomes_a_part() {
        let all = json!({"content": [
            {"type": "image", "data": "AA==", "mimeType": "image/png"},
            {"type": "audio", "data": "AA==", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "hello"}},
            {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "image/gif", "blob": "AA=="}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
        ]});
        assert_eq!(
            parsed(all).content,
            [
                Part::Image { media_type: "image/png".into(), data: "AA==".into() },
                Part::text("[sound, audio/wav: not shown]"),
                Part::text("[resource file:///a]\nhello"),
                Part::Image { media_type: "image/gif".into(), data: "AA==".into() },
                Part::text("[resource c: file:///c]"),
            ]
        );
    }
}
