//! A fleet on the whole screen, in a real terminal: a person looks, searches, restarts a service, and leaves.

use rustix::process::Signal;

use crate::{
    support::Stage,
    terminal::{Terminal, has_tmux},
};

const FLEET: &str = r#"
name = "shop"

[services.database]
group = "stores"
command = "echo database is open; exec sleep 600"
ready = { log = "database is open" }

[services.web]
command = "echo web began as $MASQUE_INSTANCE; exec sleep 600"
dependencies = ["database"]

[services.broken]
command = "exit 3"
required = false
restart = { policy = "never" }
dependencies = ["web"]

[groups.stores]
"#;

/// A fleet that runs, and ends with this.
struct Fleet(Stage);

impl Fleet {
    fn new() -> Self {
        let mut stage = Stage::new();
        stage.variable("TERM", "xterm-256color");
        stage.file("project/fleet.toml", FLEET);
        Self(stage)
    }

    fn start() -> Self {
        let fleet = Self::new();
        fleet.0.masque(&["fleet", "up", "--detach", "--wait"]).expect(0);
        fleet
    }

    fn instance(&self) -> String {
        let printed = self.0.masque(&["fleet", "logs", "web", "-n", "1"]).expect(0).stdout;
        printed.trim().to_owned()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.0.masque(&["fleet", "down"]);
    }
}

#[test]
fn a_person_looks_searches_restarts_and_leaves() {
    if !has_tmux() {
        return;
    }
    let fleet = Fleet::start();
    let first = fleet.instance();
    let terminal = Terminal::start(&fleet.0, "tmux", (110, 30), "fleet top");
    terminal.shows("● database");
    terminal.shows("✗ broken");
    terminal.shows("q quit");

    terminal.presses("/");
    terminal.tmux(&["send-keys", "-l", "web"]);
    terminal.until("the filtered tree", |screen| screen.contains("/web▏") && !screen.contains("database  "));
    terminal.presses("Enter");
    terminal.shows("logs of web");
    terminal.shows("web began as");
    terminal.presses("r");
    terminal.shows("restart ");
    terminal.presses("y");
    terminal.until("the log of another instance", |screen| screen.matches("web began as").count() > 1);
    assert_ne!(fleet.instance(), first);

    terminal.presses("l");
    terminal.shows("esc: back");
    // The last line is cut off until the screen is drawn anew.
    terminal.resize(60, 24);
    terminal.shows("esc: back");
    terminal.presses("Escape");
    terminal.presses("?");
    terminal.shows("another one stands in");
    terminal.presses("?");
    terminal.presses("q");
    let left = terminal.shows("[left 0]");
    assert!(!left.contains("logs of web"), "the usual screen is back:\n{left}");
}

#[test]
fn a_signal_gives_the_terminal_back_and_a_fleet_that_ends_is_told() {
    if !has_tmux() {
        return;
    }
    let fleet = Fleet::start();
    let terminal = Terminal::start(&fleet.0, "tmux", (80, 24), "fleet top");
    terminal.shows("● database");
    fleet.0.masque(&["fleet", "down"]).expect(0);
    terminal.shows("is not up on host");
    terminal.signals(Signal::TERM);
    let left = terminal.shows("[left 0]");
    assert!(!left.contains("● database"), "the usual screen is back:\n{left}");
    let refused = fleet.0.masque(&["fleet", "top"]).expect(2);
    assert!(refused.stderr.contains("the full screen needs a terminal"), "{refused:?}");
}

#[test]
fn without_colours_a_start_has_none_and_a_watched_status_keeps_its_place() {
    if !has_tmux() {
        return;
    }
    let mut fleet = Fleet::new();
    fleet.0.variable("NO_COLOR", "1");
    let up = Terminal::start(&fleet.0, "up", (110, 30), "fleet up");
    up.shows("what decided the");
    let raw = String::from_utf8(up.tmux(&["capture-pane", "-e", "-p"]).stdout).unwrap();
    assert!(!raw.contains("\u{1b}[3"), "{raw}");
    let watch = Terminal::start(&fleet.0, "watch", (110, 30), "fleet status --watch");
    let is_later =
        |screen: &str| screen.contains("● database") && ![" 0s,", " 1s,"].iter().any(|age| screen.contains(age));
    watch.until("a later status", is_later);
    assert_eq!(watch.screen().matches("broken").count(), 1);
    for terminal in [watch, up] {
        terminal.presses("C-c");
        terminal.shows("[left 0]");
    }
}
