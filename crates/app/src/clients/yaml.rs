//! Entering a server in Goose's YAML file: the lines of its own entry are replaced or put in, no other one is touched.

use std::fmt::Write as _;

use serde_json::Value;

use super::Server;

const EXTENSIONS: &str = "extensions";
/// Seconds that Goose waits for an answer: a call may wait for a job.
const TIMEOUT: u64 = 300;

/// The text with the server below `extensions`. The error begins with the line where it is known, as `:3: …`.
pub(super) fn entered(text: &str, server: &Server) -> Result<String, String> {
    let before = parsed(text)?;
    if before.get(EXTENSIONS).and_then(|all| all.get(&server.name)).is_some_and(|entry| says(entry, server)) {
        return Ok(text.to_owned());
    }
    let after = edited(text, &before, server)?;
    // What was edited as lines is read as YAML: it must say what it should, and of all else the same.
    let read = parsed(&after)?;
    let entry = read.get(EXTENSIONS).and_then(|all| all.get(&server.name));
    if entry.is_some_and(|entry| says(entry, server)) && without(&read, server) == without(&before, server) {
        return Ok(after);
    }
    Err(": its form is not one that can be edited: write `extensions` as a block, one extension below the other"
        .to_owned())
}

fn parsed(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| format!(": it is no YAML: {error}"))?;
    match value {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        Value::Object(_) => Ok(value),
        _ => Err(": it holds no mapping".to_owned()),
    }
}

fn says(entry: &Value, server: &Server) -> bool {
    entry.get("cmd").and_then(Value::as_str) == Some(&server.command)
        && entry.get("args") == Some(&Value::from(server.arguments.clone()))
        && entry.get("type").and_then(Value::as_str) == Some("stdio")
        && entry.get("enabled") == Some(&Value::Bool(true))
}

/// All that the file says beside this entry.
fn without(value: &Value, server: &Server) -> Value {
    let mut value = value.clone();
    if let Some(all) = value.get_mut(EXTENSIONS).and_then(Value::as_object_mut) {
        all.remove(&server.name);
    }
    let is_empty = |all: &Value| all.is_null() || all.as_object().is_some_and(serde_json::Map::is_empty);
    if value.get(EXTENSIONS).is_some_and(is_empty)
        && let Some(map) = value.as_object_mut()
    {
        map.remove(EXTENSIONS);
    }
    value
}

fn edited(text: &str, before: &Value, server: &Server) -> Result<String, String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_head = |line: &&str| line.strip_prefix(EXTENSIONS).is_some_and(|rest| rest.trim_start().starts_with(':'));
    let Some(head) = lines.iter().position(is_head) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{text}{end}{EXTENSIONS}:\n{}", block(server, 2)));
    };
    let is_empty = before.get(EXTENSIONS).is_none_or(|all| all.as_object().is_none_or(serde_json::Map::is_empty));
    let (above, rest) = lines.split_at(head);
    let below = rest.get(1..).unwrap_or_default();
    if is_empty {
        return Ok(format!("{}{EXTENSIONS}:\n{}{}", above.concat(), block(server, 2), below.concat()));
    }
    let indent = below.iter().find(|line| is_content(line)).map_or(0, |line| depth(line));
    if indent == 0 {
        return Err(": `extensions` is not written as a block".to_owned());
    }
    let (kept, dropped) = own_lines(below, indent, &server.name);
    let head = rest.first().copied().unwrap_or_default();
    let place = dropped.unwrap_or(0);
    let (first, last) = kept.split_at(place);
    Ok(format!("{}{head}{}{}{}", above.concat(), first.concat(), block(server, indent), last.concat()))
}

/// The lines without those of the entry, and where that stood.
fn own_lines<'a>(lines: &[&'a str], indent: usize, name: &str) -> (Vec<&'a str>, Option<usize>) {
    let is_own = |line: &str| {
        depth(line) == indent
            && line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    let ends = |line: &&str| is_content(line) && depth(line) <= indent;
    // Only within `extensions`.
    let until = lines.iter().position(|line| is_content(line) && depth(line) == 0).unwrap_or(lines.len());
    let Some(start) = lines.iter().take(until).position(|line| is_own(line)) else { return (lines.to_vec(), None) };
    let after = lines.iter().skip(start + 1).position(ends).map_or(lines.len(), |more| start + 1 + more);
    let kept = lines.iter().take(start).chain(lines.iter().skip(after)).copied().collect();
    (kept, Some(start))
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn block(server: &Server, indent: usize) -> String {
    let (outer, inner) = (" ".repeat(indent), " ".repeat(indent * 2));
    let mut block = format!("{outer}{}:\n{inner}name: {}\n", server.name, server.name);
    let _ = write!(
        block,
        "{inner}type: stdio\n{inner}enabled: true\n{inner}cmd: {}\n{inner}args:\n",
        scalar(&server.command)
    );
    for argument in &server.arguments {
        let _ = writeln!(block, "{inner}  - {}", scalar(argument));
    }
    let _ = writeln!(block, "{inner}timeout: {TIMEOUT}");
    block
}

/// Plain where nothing in it could mean something, else quoted as in JSON, which YAML reads the same.
fn scalar(text: &str) -> String {
    let plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
    let begins = text.chars().next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '/');
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if plain && (begins || text.starts_with("--")) && !is_word {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
