//! The pages of the book that are made from the program: `UPDATE=1 cargo test -p masque --test it reference` writes
//! them.

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use crate::support::Masque;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src");

#[test]
fn the_page_of_commands_is_up_to_date() {
    let masque = Masque::new();
    let mut page =
        "# Commands\n\nThis page is made from the program: `masque <command> --help` says the same.\n".to_owned();
    add_command(&masque, &mut page, "masque");
    compare("cli-reference.md", &page);
}

/// The help of a command, then of the commands below it.
fn add_command(masque: &Masque, page: &mut String, command: &str) {
    let output = masque.shell(&format!("{command} --help"));
    assert!(output.status.success(), "{command}");
    let help = String::from_utf8(output.stdout).unwrap();
    let about = help.lines().next().unwrap();
    let usage: String = help.lines().skip(2).map(|line| format!("{}\n", line.trim_end())).collect();
    let level = "#".repeat(command.split(' ').count() + 1);
    write!(page, "\n{level} `{command}`\n\n{about}.\n\n```text\n{}\n```\n", usage.trim_end()).unwrap();
    for below in commands(&help) {
        add_command(masque, page, &format!("{command} {below}"));
    }
}

/// The names in the list of commands of a help.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_page_of_options_is_up_to_date() {
    let mut masque = Masque::new();
    masque.unset("MASQUE_MODEL_DEFAULT");
    masque.unset("MASQUE_MODEL_PROBE_LOCAL");
    let options = masque.json("masque config show --json");
    let mut page = HEAD.to_owned();
    for option in options.as_array().unwrap() {
        let text = |field: &str| option[field].as_str().unwrap();
        let default = if text("value").is_empty() { "none".to_owned() } else { format!("`{}`", text("value")) };
        let project = match text("project") {
            "free" => "set it",
            "tighten" => "make it smaller",
            _ => "nothing",
        };
        writeln!(page, "\n## `{}`\n\n{}.\n", text("key"), text("doc")).unwrap();
        writeln!(page, "| value | default | variable | a project may |\n|---|---|---|---|").unwrap();
        writeln!(page, "| {} | {default} | `{}` | {project} |", text("takes"), text("variable")).unwrap();
    }
    compare("configuration.md", &page);
}

const HEAD: &str = "\
# Options

This page is made from the program: `masque config show` prints each option with its value and the layer that set it.

Layers, later wins: built-in values, `/etc/masque/config.toml`, `~/.config/masque/config.toml` of the user,
`.masque/config.toml` of the project, variables of the environment, arguments. `--set run.steps=20` sets any option for one
command. A project's file comes with a repository: it may make limits smaller, and nothing else.

In files, an option is a key of its section:

```toml
[run]
steps = 20
usd = \"0.50\"
```

Providers of models are [sections of their own](models.md#providers).
";

#[test]
fn the_page_of_the_manifest_is_up_to_date() {
    let masque = Masque::new();
    let schema = masque.json("masque fleet schema");
    let mut page = MANIFEST.to_owned();
    add_keys(&mut page, "The file", &schema);
    for (name, part) in schema["$defs"].as_object().unwrap() {
        match part["oneOf"].as_array() {
            Some(values) => add_values(&mut page, name, part, values),
            None => add_keys(&mut page, name, part),
        }
    }
    compare("fleet-manifest.md", &page);
}

const MANIFEST: &str = "\
# The manifest of a fleet

This page is made from the program: `masque fleet schema` prints the same as a JSON Schema for editors. [Fleets](fleet.md) says
what it is all for.

A **duration** is written `250ms`, `2s`, `1m30s`; a **size** `512MiB`, `1.5GB`, or a number of bytes. Texts may hold
`${name}` of `[variables]`, `${name:-default}`, `${env:NAME}`; `$$` is one `$`. Instead of a number or `true` a text with a
variable may stand. Keys in **bold** are needed.
";

fn add_keys(page: &mut String, name: &str, part: &Value) {
    let about = part["description"].as_str().unwrap();
    writeln!(page, "\n## {name}\n\n{about}\n\n| key | value | meaning |\n|---|---|---|").unwrap();
    let needed = |key: &str| part["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key));
    for (key, value) in part["properties"].as_object().unwrap() {
        let shown = if needed(key) { format!("**`{key}`**") } else { format!("`{key}`") };
        let meaning = value["description"].as_str().unwrap_or_default().replace('|', "\\|");
        writeln!(page, "| {shown} | {} | {meaning} |", kinds(value).join(" or ")).unwrap();
    }
}

fn add_values(page: &mut String, name: &str, part: &Value, values: &[Value]) {
    let about = part["description"].as_str().unwrap();
    writeln!(page, "\n## {name}\n\n{about}\n\n| value | meaning |\n|---|---|").unwrap();
    for value in values {
        let text = |field: &str| value[field].as_str().unwrap();
        writeln!(page, "| `{}` | {} |", text("const"), text("description")).unwrap();
    }
}

/// What a value may be, in words. That a text with a variable may stand for it is said once, above.
fn kinds(schema: &Value) -> Vec<String> {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path.trim_start_matches("#/$defs/");
        return vec![format!("[{name}](#{})", name.to_lowercase())];
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let mut all = Vec::new();
        for kind in any.iter().flat_map(kinds) {
            if !all.contains(&kind) {
                all.push(kind);
            }
        }
        return all;
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let of = |inner: &Value| match inner.is_object() {
        true => format!(" of {}", kinds(inner).join(" or ")),
        false => String::new(),
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let word = |kind: &str| match kind {
        "null" => None,
        "string" if pattern == r"\$\{" => None,
        "string" if pattern.contains("µs") => Some("duration".to_owned()),
        "string" if pattern.contains("[A-Za-z]*") => Some("size".to_owned()),
        "string" if pattern.contains("[0-9]+") => Some("number".to_owned()),
        "string" => Some("text".to_owned()),
        "integer" | "number" => Some("number".to_owned()),
        "boolean" => Some("`true` or `false`".to_owned()),
        "array" => Some(format!("list{}", of(&schema["items"]))),
        "object" => Some(format!("table{}", of(&schema["additionalProperties"]))),
        other => Some(other.to_owned()),
    };
    match types.is_empty() {
        true => vec!["any value".to_owned()],
        false => types.into_iter().filter_map(word).collect(),
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether the page is to be written")]
fn compare(name: &str, page: &str) {
    let path = Path::new(BOOK).join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs_err::write(&path, page).unwrap();
    }
    let written = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{name} is out of date: UPDATE=1 cargo test -p masque --test it reference");
}
