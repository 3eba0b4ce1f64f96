//! The sessions that the book shows, run for real.
//!
//! Every block marked `console` is run, all blocks of a page in one home and project. Lines that begin with `$` are
//! commands; the lines below one, if any, are what it prints, where `[..]` stands for anything within a line and a line
//! `...` for any lines. A block that ends with another code than 0 is marked, for example `console exit=4`.

use std::{fmt::Write as _, path::Path};

use regex::Regex;

use crate::support::Masque;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What the model answers in the book: it looks around, asks to write, and says what came of it.
const SCRIPT: &str = r##"
replies:
  - text: I look at what is here.
    calls:
      - { label: list, tool: fs.list, arguments: { path: . } }
  - text: I have what the report needs.
    calls:
      - { label: report, tool: fs.write, arguments: { path: review.md, content: "# Review\n\n{{ results.list.text }}\n" } }
  - text: "The review is in review.md."
"##;

/// A block of a page.
struct Block {
    line: usize,
    kind: Kind,
}

enum Kind {
    /// Commands, each with what it prints, and the code that the last one ends with.
    Session { exit: i32, commands: Vec<(String, Vec<String>)> },
    /// A file's name and text.
    File { name: String, text: String },
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((place, line)) = lines.next() {
        // Blocks of lists are indented.
        let depth = line.len() - line.trim_start().len();
        let Some(mark) = line.trim_start().strip_prefix("```") else { continue };
        let inside = lines.by_ref().map(|(_, line)| line.get(depth..).unwrap_or_default());
        let inside: Vec<&str> = inside.take_while(|line| *line != "```").collect();
        let kind = match (mark.strip_prefix("console"), mark.split_once(" file=")) {
            (Some(rest), _) => session(&inside, rest, place),
            (None, Some((_, name))) => Kind::File { name: name.to_owned(), text: inside.join("\n") + "\n" },
            (None, None) => continue,
        };
        blocks.push(Block { line: place + 1, kind });
    }
    blocks
}

fn session(lines: &[&str], mark: &str, place: usize) -> Kind {
    let exit = mark.trim().strip_prefix("exit=").map_or(0, |code| code.parse().unwrap());
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, shown))) => shown.push((*line).to_owned()),
            (None, None) => panic!("line {}: a session begins with a command", place + 2),
        }
    }
    Kind::Session { exit, commands }
}

/// Whether the output is what the page shows.
fn matches(shown: &[String], output: &str) -> bool {
    let mut pattern = "^".to_owned();
    for line in shown {
        if line == "..." {
            pattern.push_str("(?:.*\n)*?");
        } else {
            let parts: Vec<String> = line.split("[..]").map(regex::escape).collect();
            writeln!(pattern, "{}", parts.join(".*")).unwrap();
        }
    }
    Regex::new(&(pattern + "$")).unwrap().is_match(output)
}

/// Ends the fleet that a page started, also when the page is wrong.
struct Ended<'a>(&'a Masque);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if self.0.path("project/fleet.toml").exists() {
            self.0.shell("masque fleet down");
        }
    }
}

fn check(name: &str, page: &str) {
    let masque = Masque::with_script(SCRIPT);
    let _ended = Ended(&masque);
    for block in blocks(page) {
        match block.kind {
            Kind::File { name, text } => fs_err::write(masque.path("project").join(name), text).unwrap(),
            Kind::Session { exit, commands } => {
                let last = commands.len().saturating_sub(1);
                for (place, (command, shown)) in commands.iter().enumerate() {
                    let at = format!("{name}, block at line {}: $ {command}", block.line);
                    run(&masque, &at, command, shown, if place == last { exit } else { 0 });
                }
            }
        }
    }
}

fn run(masque: &Masque, at: &str, command: &str, shown: &[String], exit: i32) {
    let output = masque.shell(&format!("{{ {command}\n}} 2>&1"));
    let text =
        String::from_utf8_lossy(&output.stdout).replace(&masque.path("project").display().to_string(), "/project");
    assert_eq!(output.status.code(), Some(exit), "{at}\n{text}");
    assert!(shown.is_empty() || matches(shown, &text), "{at}\nprints\n{text}\nand not\n{}", shown.join("\n"));
}

#[test]
fn every_session_of_the_book_is_true() {
    let book = Path::new(ROOT).join("docs/src");
    let mut pages: Vec<_> = fs_err::read_dir(book).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.push(Path::new(ROOT).join("README.md"));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md") && page.exists());
    std::thread::scope(|scope| {
        for page in &pages {
            scope.spawn(move || {
                check(&page.file_name().unwrap().to_string_lossy(), &fs_err::read_to_string(page).unwrap())
            });
        }
    });
}

#[test]
fn a_page_that_shows_something_else_is_found() {
    let shown = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(matches(&shown(&["a [..] c", "...", "z"]), "a b c\nmore\nmore\nz\n"));
    assert!(matches(&shown(&["...", "z"]), "z\n"));
    assert!(!matches(&shown(&["a [..] c"]), "a b d\n"));
    assert!(!matches(&shown(&["a"]), "a\nb\n"));
}
