//! `masque fleet`: small fleets of shell lines.

use insta::assert_snapshot;
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

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

    /// Starts it in the background, and says which process supervises it.
    fn up(&self, options: &str) -> Pid {
        let output = self.0.shell(&format!("masque fleet up -d --wait {options}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.supervisor()
    }

    fn supervisor(&self) -> Pid {
        let status = self.0.json("masque fleet status --json");
        Pid::from_raw(i32::try_from(status["hosts"][0]["supervisor"].as_i64().unwrap()).unwrap()).unwrap()
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
    running.signal(Signal::TERM);
    let (code, _, errors) = running.end();
    assert_eq!(code, Some(0), "{errors}");
    assert_snapshot!(fleet.session("masque fleet up -d --wait"));
}

const GROUPS: &str = r#"
name = "shop"
[services.a]
command = "echo hello; exec sleep 1000"
ready = { log = "^hello$" }
group = "g"
[services.b]
command = "exec sleep 1000"
[groups.g]
"#;

#[test]
fn no_second_supervisor_gets_services_that_one_has() {
    let fleet = Fleet::new(GROUPS);
    fleet.up("");
    assert_snapshot!(fleet.session(
        "masque fleet up -d --group g
         masque fleet up --group g
         masque fleet status --group g
         masque fleet down --group g
         masque fleet restart --rolling --group g
         masque fleet logs --group g
         masque fleet down
         masque fleet up -d --wait --group g
         masque fleet status
         masque fleet up -d
         masque fleet down --group g"
    ));
}

#[test]
fn two_manifests_of_one_directory_are_two_fleets() {
    let fleet = Fleet::new("[services.a]\ncommand = \"exec sleep 1000\"\n");
    fleet.0.write("project/other.toml", "[services.b]\ncommand = \"exec sleep 1000\"\n");
    fleet.up("");
    assert_snapshot!(fleet.session(
        "masque fleet up -d --wait --json --file other.toml | tail -n 1 | grep -o 'ready.:1'
         masque fleet status --file other.toml
         masque fleet down --file other.toml
         masque fleet status"
    ));
}

#[test]
fn a_fleet_whose_manifest_is_broken_meanwhile_is_looked_at_and_ended() {
    let fleet = Fleet::new(GROUPS);
    fleet.up("");
    fleet.0.write("project/fleet.toml", "nonsense = ");
    assert_snapshot!(fleet.session(
        "masque fleet status
         masque fleet status --healthy
         masque fleet logs a
         masque fleet stop a
         masque fleet down
         masque fleet down"
    ));
}

#[test]
fn what_a_changed_manifest_requires_and_the_supervisor_does_not_know_is_missing() {
    let fleet = Fleet::new(GROUPS);
    fleet.up("");
    fleet.0.write("project/fleet.toml", &format!("{GROUPS}[services.c]\ncommand = \"exec sleep 1000\"\n"));
    assert_snapshot!(fleet.session(
        "masque fleet status --healthy
         masque fleet up -d --wait
         masque fleet status
         masque fleet reload
         masque fleet up -d --wait
         masque fleet status --healthy"
    ));
}

#[test]
fn services_without_their_supervisor_are_told_of_adopted_and_read() {
    let fleet = Fleet::new(GROUPS);
    let mut running = fleet.0.start(&["fleet", "up"]);
    running.await_error("2/2 ready");
    running.signal(Signal::KILL);
    running.end();
    assert_snapshot!(fleet.session(
        "masque fleet status
         masque fleet down
         masque fleet logs a
         masque fleet up -d --wait
         masque fleet down
         masque fleet logs a"
    ));
}

#[test]
fn hanging_up_ends_a_fleet_in_the_foreground_only() {
    let fleet = Fleet::new(GROUPS);
    let mut running = fleet.0.start(&["fleet", "up"]);
    running.await_error("2/2 ready");
    running.signal(Signal::HUP);
    assert_eq!(running.end().0, Some(0));
    let supervisor = fleet.up("");
    fleet.0.write("project/fleet.toml", &format!("{GROUPS}[services.c]\ncommand = \"echo more; exec sleep 1000\"\n"));
    let mut follows = fleet.0.start(&["fleet", "status", "--watch", "--json"]);
    kill_process(supervisor, Signal::HUP).unwrap();
    follows.await_output("\"local/c\"");
}

#[test]
fn a_supervisor_that_does_not_answer_keeps_nobody_waiting() {
    let fleet = Fleet::new(GROUPS);
    let supervisor = fleet.up("");
    kill_process(supervisor, Signal::STOP).unwrap();
    let told = fleet.session(
        "masque fleet status
         masque fleet logs -f a",
    );
    kill_process(supervisor, Signal::CONT).unwrap();
    assert_eq!(told.matches("[exit 5]").count(), 2, "{told}");
    assert_eq!(told.matches("the supervisor, does not answer").count(), 2, "{told}");
}

#[test]
fn who_follows_sees_the_next_supervisor_and_the_end() {
    let fleet =
        Fleet::new(&GROUPS.replace(
            "echo hello;",
            "trap 'echo woken' USR1; echo $$$$ > pid; echo hello; while :; do sleep 0.05; done;",
        ));
    let supervisor = fleet.up("");
    let mut logs = fleet.0.start(&["fleet", "logs", "-f", "a"]);
    let watch = fleet.0.start(&["fleet", "status", "-w", "--json"]);
    logs.await_output("hello");
    kill_process(supervisor, Signal::KILL).unwrap();
    while test_kill_process(supervisor).is_ok() {
        std::thread::yield_now();
    }
    assert!(fleet.0.shell("kill -USR1 $(cat pid)").status.success());
    logs.await_output("woken");
    assert!(fleet.0.shell("masque fleet down").status.success());
    for running in [logs, watch] {
        let (code, output, errors) = running.end();
        assert_eq!((code, errors.trim()), (Some(0), "fleet shop is down on local"));
        assert!(!output.contains("hello"), "told twice: {output}");
    }
}

#[test]
fn secrets_are_neither_in_arguments_nor_in_open_files() {
    let mut fleet = Fleet::new(
        "name = \"shop\"\n[variables]\ntoken = \"\"\n[services.a]\nready = { log = \"^got\" }\ncommand = \"echo got $TOKEN; exec sleep 1000\"\n\
         environment = { TOKEN = \"${token}\", KEY = \"${env:API_KEY}\" }\n\
         [groups.g]\ncontainer = { image = \"x\" }\n[services.b]\ncommand = \"exec sleep 1000\"\ngroup = \"g\"\n",
    );
    fleet.0.set("API_KEY", "sesame-two");
    fleet.up("--var token=sesame-one -c fleet.metrics=127.0.0.1:0 --no-check");
    assert_snapshot!(fleet.session(
        "grep -l s[e]same /proc/[0-9]*/cmdline 2>/dev/null | wc -l
         masque fleet logs a --var token=sesame-one
         masque fleet render --to dockerfiles -o out --var token=sesame-one > /dev/null
         grep -rl sesame out | xargs stat -c %a | sort -u
         masque fleet render --to dockerfiles -o out --group g"
    ));
}

#[test]
fn every_answer_has_a_form_for_programs() {
    let fleet = Fleet::new(GROUPS);
    assert_snapshot!(fleet.session(
        "masque fleet up -d --json
         masque fleet up -d --json
         masque fleet up -d --wait --json
         masque fleet down --json
         masque fleet key new --json | tr -d '[:xdigit:]'
         masque fleet key show --json | tr -d '[:xdigit:]'
         masque fleet check --group nope
         masque fleet graph --group g
         masque fleet graph --group nope"
    ));
    fleet.0.write("project/fleet.toml", "[services.a]\ncommand = \"true\"\ndependencies = [\"a\"]\n");
    let refused = fleet.0.shell("masque fleet up --json");
    let report: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), report["report"]["findings"].as_array().unwrap().len()), (Some(3), 1));
}
