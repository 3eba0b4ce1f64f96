//! Entering a server in a JSON file, with or without comments: everything else stays as it is written.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstRootNode},
};

use super::Server;

/// The text with the server below an object of that name. The error begins with the line, as `:3: …`.
pub(super) fn entered(text: &str, servers: &str, typed: bool, server: &Server) -> Result<String, String> {
    let blank = text.trim().is_empty();
    let text = if blank { "{\n}\n" } else { text };
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        ..ParseOptions::default()
    };
    let root = CstRootNode::parse(text, &options)
        .map_err(|error| format!(":{}: it is no JSON: {}", error.line_display(), error.kind()))?;
    let object = root.object_value().ok_or_else(|| ": it holds no object".to_owned())?;
    let all = object.object_value_or_create(servers).ok_or_else(|| format!(": `{servers}` is no object"))?;
    let entry = match all.get(&server.name) {
        Some(entry) => entry.object_value().ok_or_else(|| format!(": `{servers}.{}` is no object", server.name))?,
        None => all.append(&server.name, CstInputValue::Object(Vec::new())).object_value_or_set(),
    };
    let kind = typed.then(|| ("type", CstInputValue::from("stdio")));
    let wanted = kind.into_iter().chain([
        ("command", CstInputValue::from(server.command.as_str())),
        ("args", CstInputValue::from(server.arguments.clone())),
    ]);
    for (key, value) in wanted {
        match entry.get(key) {
            Some(known) if says(&known, key, server) => {}
            Some(known) => known.set_value(value),
            None => {
                entry.append(key, value);
            }
        }
    }
    Ok(root.to_string())
}

/// Whether a key says already what it should: then its writing stays.
fn says(known: &jsonc_parser::cst::CstObjectProp, key: &str, server: &Server) -> bool {
    let Some(value) = known.value() else { return false };
    match key {
        "args" => value.as_array().is_some_and(|array| {
            let elements: Vec<Option<String>> = array
                .elements()
                .iter()
                .map(|element| element.as_string_lit().and_then(|text| text.decoded_value().ok()))
                .collect();
            elements.len() == server.arguments.len()
                && elements.iter().zip(&server.arguments).all(|(one, two)| one.as_ref() == Some(two))
        }),
        key => {
            let wanted = if key == "type" { "stdio" } else { server.command.as_str() };
            value.as_string_lit().and_then(|text| text.decoded_value().ok()).as_deref() == Some(wanted)
        }
    }
}
