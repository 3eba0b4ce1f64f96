//! The protocol's official conformance suite: against the server with the suite's fixtures, against the server as people
//! run it, and with Masque as the client. Skipped, with its reason, where the suite is not installed.

#![expect(clippy::disallowed_methods, reason = "the suite is a program")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Packages, Stage};

/// The revisions whose required scenarios have to pass.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// The suite calls as a page of this machine would.
const LOCAL_PAGES: [&str; 4] = ["--allow-origin", "http://127.0.0.1:*", "--allow-origin", "http://localhost:*"];
/// Scenarios that need none of the suite's fixtures.
const PLAIN: [&str; 8] = [
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-session-lifecycle",
    "dns-rebinding-protection",
    "sep-2164-resource-not-found",
];
/// The same of the newer revision.
const PLAIN_MODERN: [&str; 4] = ["tools-list", "caching", "dns-rebinding-protection", "http-header-validation"];

/// Where the suite and its Node are.
struct Suite {
    node: PathBuf,
    program: PathBuf,
}

impl Suite {
    fn find() -> Option<Self> {
        let Packages { node, modules } = Packages::find()?;
        Some(Self { node, program: modules.join("@modelcontextprotocol/conformance/dist/index.js") })
    }

    /// Runs a part of the suite in a directory; what it says.
    fn run(&self, directory: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Verdict {
        let mut command = Command::new(&self.node);
        command.arg(&self.program).args(arguments).current_dir(directory).envs(environment);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Verdict { said }
    }
}

/// Which scenarios have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Those that a revision requires.
    Required,
    /// Also those that the suite runs beside them.
    All,
}

/// What the suite says.
struct Verdict {
    said: String,
}

impl Verdict {
    /// The lines of the summary: one for each scenario, with how many of its checks passed and failed.
    fn scenarios(&self) -> Vec<&str> {
        let lines = self.said.lines().map(str::trim);
        lines
            .filter(|line| line.contains(" passed, ") && line.contains(" failed") && !line.starts_with("Total"))
            .collect()
    }

    /// Scenarios that fail and that the suite does not count: extensions, and what came after the revision.
    fn not_counted(&self) -> Vec<&str> {
        let marks = [" (extension)", " (added-after-release)", " (pending)"];
        let lines = self.said.lines().map(str::trim);
        lines.filter_map(|line| marks.iter().find_map(|mark| line.strip_prefix("✗ ")?.strip_suffix(mark))).collect()
    }

    #[track_caller]
    fn assert_clean(&self, counted: Counted, least: usize) {
        let scenarios = self.scenarios();
        let skipped = if counted == Counted::Required { self.not_counted() } else { Vec::new() };
        let is_counted = |line: &&&str| !skipped.iter().any(|name| line.contains(&format!(" {name}:")));
        let failed: Vec<&&str> =
            scenarios.iter().filter(|line| !line.contains(" 0 failed")).filter(is_counted).collect();
        assert!(failed.is_empty(), "{failed:#?}\n{}", self.failures());
        assert!(scenarios.len() >= least, "only {} scenarios ran:\n{}", scenarios.len(), self.said);
    }

    /// What is said around failures.
    fn failures(&self) -> String {
        let wanted = |line: &&str| ["FAILURE", "rror", "xpected", "MUST"].iter().any(|word| line.contains(word));
        self.said.lines().filter(wanted).take(60).collect::<Vec<_>>().join("\n")
    }
}

/// A persona that does what its script says.
fn persona(stage: &Stage, name: &str, script: &str) {
    let script = stage.write(&format!("scripts/{name}.yaml"), script);
    let text = format!(
        "---\nname: {name}\ndescription: Does what the suite wants of it.\ntools: [shell.exec, human.ask]\nmasque:\n  \
         callable: true\n  model: {{ prefer: [\"scripted/{}\"] }}\n---\nYou do what you are told.\n",
        script.display()
    );
    stage.write(&format!("project/.agents/agents/{name}.md"), &text);
}

/// A project with the personas that the suite's tasks are jobs of.
fn stage_of_the_suite() -> Stage {
    let mut stage = Stage::new("Nothing.");
    stage.set("MASQUE_APPROVALS_DECIDE", "elicitation");
    stage.set("MASQUE_RUN_MODE", "auto");
    // Each persona has a model of its own.
    stage.set("MASQUE_MODEL_DEFAULT", "");
    // Slow ones of an earlier scenario must not keep the next one waiting.
    stage.set("MASQUE_JOBS_PARALLEL", "64");
    persona(
        &stage,
        "slow-compute",
        "replies:\n  - calls:\n      - { tool: shell.exec, arguments: { command: \"sleep {{ task }}\" } }\n  - text: Computed.\n",
    );
    persona(&stage, "greeter", "replies:\n  - text: \"Hello, {{ task }}!\"\n    delay_ms: 200\n");
    persona(
        &stage,
        "confirm-delete",
        "replies:\n  - calls:\n      - { tool: human.ask, arguments: { question: \"Delete {{ task }}?\" } }\n  - text: Done.\n",
    );
    persona(
        &stage,
        "multi-input",
        "replies:\n  - calls:\n      - { tool: human.ask, arguments: { question: \"One?\" } }\n      - { tool: human.ask, \
         arguments: { question: \"Two?\" } }\n  - text: Done.\n",
    );
    persona(
        &stage,
        "failing-job",
        "replies:\n  - delay_ms: 500\n    failure: { kind: bad_request, message: It does not want to. }\n",
    );
    stage
}

#[test]
fn the_server_passes_what_each_revision_requires_and_what_tasks_need() {
    let Some(suite) = Suite::find() else { return };
    let stage = stage_of_the_suite();
    let server = stage.listen(&[&LOCAL_PAGES[..], &["--no-token", "--conformance-fixtures"]].concat());
    let url = server.url();
    for (revision, least) in REVISIONS.into_iter().zip([33, 50]) {
        let verdict =
            suite.run(&stage.path(""), &["server", "--url", &url, "--requirements", revision], &BTreeMap::new());
        verdict.assert_clean(Counted::All, least);
    }
}

#[test]
fn the_server_that_people_run_passes_what_needs_no_fixtures() {
    let Some(suite) = Suite::find() else { return };
    let stage = Stage::new("Nothing.");
    let server = stage.listen(&[&LOCAL_PAGES[..], &["--no-token"]].concat());
    let url = server.url();
    let run = |revision: &str, scenario: &str| {
        let arguments = ["server", "--url", &url, "--spec-version", revision, "--scenario", scenario];
        suite.run(&stage.path(""), &arguments, &BTreeMap::new())
    };
    for scenario in PLAIN {
        let revision = if scenario.starts_with("sep-") { REVISIONS[1] } else { REVISIONS[0] };
        let verdict = run(revision, scenario);
        assert!(verdict.said.contains("0 failed"), "{scenario}: {}", verdict.said);
    }
    for scenario in PLAIN_MODERN {
        let verdict = run(REVISIONS[1], scenario);
        assert!(verdict.said.contains("0 failed"), "{scenario}: {}", verdict.said);
    }
}

/// The suite starts the client again and again, each time with another server that it may have to log in to. The
/// person's browser follows the address that it is given, and consents.
#[test]
fn the_client_passes_what_each_revision_requires() {
    let Some(suite) = Suite::find() else { return };
    let stage = Stage::new("Nothing.");
    let browser = stage.write(
        "browser.py",
        "#!/usr/bin/env python3\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=20).read()\n",
    );
    make_executable(&browser);
    let client = format!("{} mcp conformance-client", env!("CARGO_BIN_EXE_masque"));
    let mut environment = stage.environment().clone();
    environment.insert("BROWSER".to_owned(), browser.display().to_string());
    for (revision, least) in REVISIONS.into_iter().zip([18, 32]) {
        let arguments = ["client", "--command", &client, "--requirements", revision];
        let verdict = suite.run(&stage.path("project"), &arguments, &environment);
        verdict.assert_clean(Counted::Required, least);
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
