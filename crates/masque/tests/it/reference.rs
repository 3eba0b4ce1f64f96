//! The pages of the book that are made from the program: `UPDATE=1 cargo test -p masque --test it reference` writes
//! them.

use std::{fmt::Write as _, path::Path};

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

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether the page is to be written")]
fn compare(name: &str, page: &str) {
    let path = Path::new(BOOK).join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs_err::write(&path, page).unwrap();
    }
    let written = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{name} is out of date: UPDATE=1 cargo test -p masque --test it reference");
}
