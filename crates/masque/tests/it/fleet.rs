//! `masque fleet`: small fleets of shell lines.

use insta::assert_snapshot;
use regex::Regex;

use crate::support::Masque;

const SHOP: &str = r#"
name = "shop"

[services.database]
command = "echo listening; exec sleep 1000"
ready = { log = "^listening$" }

[services.api]
command = "echo told of $MASQUE_DEP_DATABASE_SERVICE; exec sleep 1000"
dependencies = ["database"]
ready = { log = "^told" }

[services.front]
command = "exec sleep 1000"
dependencies = ["api"]
stop = { grace = "5s" }
"#;

/// A fleet in the project, ended with the test.
struct Fleet(Masque);

impl Fleet {
    fn new(manifest: &str) -> Self {
        let masque = Masque::new();
        masque.write("project/fleet.toml", manifest);
        Self(masque)
    }

    fn session(&self, lines: &str) -> String {
        let mut text = self.0.session(lines);
        for (pattern, replacement) in [
            (r"pid \d+", "pid [pid]"),
            (r"process \d+", "process [pid]"),
            (r"\d+\.\d MiB", "[memory]"),
            (r"(?m)^! +\[time\] ", "! [time] "),
            (r"@\[time\] +\+\[time\] +", "@[time] +[time] "),
            (r"in (9 min \[time\]|10 min)", "in [time]"),
            (r"(ready|stopped|blocked|failed|starting)( +)\d+[smh]", "$1$2[age]"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
        }
        text
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // It may be down already.
        self.0.shell("masque fleet down");
    }
}

#[test]
fn a_fleet_is_started_looked_at_steered_and_ended() {
    let fleet = Fleet::new(SHOP);
    assert_snapshot!(fleet.session(
        "masque fleet check
         masque fleet graph
         masque fleet status
         masque fleet up -d --wait
         masque fleet status
         masque fleet up -d
         masque fleet logs api -n 1
         masque fleet stop database
         masque fleet status --healthy
         masque fleet why databse
         masque fleet start database
         masque fleet restart --rolling api
         masque fleet down
         masque fleet down
         masque audit tail | grep -o 'fleet[.][a-z]*'"
    ));
}

#[test]
fn what_cannot_work_is_refused_and_explained() {
    let fleet = Fleet::new(
        "name = \"shop\"\n\n[services.a]\ncommand = \"true\"\ndependencies = [\"b\"]\n\n[services.b]\ncommand = \"true\"\n\
         dependencies = [\"a\"]\n",
    );
    assert_snapshot!(fleet.session(
        "masque fleet up -d
         masque fleet graph
         masque fleet check --host mars
         masque fleet -f nothing.toml check
         masque fleet check --file nothing.toml
         masque fleet status"
    ));
}

#[test]
fn a_fleet_in_the_foreground_ends_with_its_supervisor_and_a_failure_is_told() {
    let fleet = Fleet::new(
        "name = \"shop\"\n\n[services.good]\ncommand = \"exec sleep 1000\"\n\n[services.bad]\ncommand = \"exit 3\"\n\
         restart = { policy = \"always\", limit = 1 }\ndependencies = [\"good\"]\n",
    );
    let mut running = fleet.0.start(&["fleet", "up"]);
    running.await_error("1/2 ready");
    running.signal(rustix::process::Signal::TERM);
    let (code, _, errors) = running.end();
    assert_eq!(code, Some(0), "{errors}");
    assert_snapshot!(fleet.session("masque fleet up -d --wait"));
}
