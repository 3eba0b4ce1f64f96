//! Several processes on one home: runs at once, workers, runs in the background.

use crate::support::{Stage, can_confine, finished, of_kind, result_texts};

const WRITES: &str = "
replies:
  - calls: [{ tool: fs.write, arguments: { path: 'NAME.txt', content: NAME } }]
  - calls: [{ label: back, tool: fs.read, arguments: { path: 'NAME.txt' } }]
  - text: '{{ results.back.text }}'
";

#[test]
fn twenty_runs_at_once_on_one_home_complete() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let children: Vec<_> = (0..20)
        .map(|number| {
            // Two share each project.
            let project = format!("projects/{}", number / 2);
            let name = format!("run-{number}");
            stage.file(&format!("{project}/.git/HEAD"), "");
            let script = stage.file(&format!("scripts/{name}.yaml"), &WRITES.replace("NAME", &name));
            let model = format!("scripted/{}", script.display());
            let directory = stage.root().join(project).display().to_string();
            let run =
                ["-C", &directory, "run", "engineer", "-p", "go", "-m", &model, "--approve", "*", "--output", "json"];
            (name, stage.start(&run))
        })
        .collect();
    for (name, child) in children {
        let result = finished(child).expect(0).json();
        assert!(result["text"].as_str().unwrap().contains(&name), "{result}");
    }
    let runs = stage.masque(&["runs", "list", "-n", "100", "--status", "completed", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 20);
    for number in 0..10 {
        let entries = fs_err::read_dir(stage.root().join(format!("projects/{number}"))).unwrap();
        assert_eq!(entries.count(), 3, "two files and .git");
    }
    stage.masque(&["audit", "verify"]).expect(0);
}

const ASKS: &str = "
replies:
  - calls: [{ tool: shell.exec, arguments: { command: 'echo ran >> ran.txt' } }]
  - text: done
";

#[test]
fn a_worker_drains_what_can_go_on_and_passes_over_what_cannot() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let model = stage.script(ASKS);
    let waiting = stage.masque(&["run", "engineer", "-p", "go", "-m", &model, "--output", "json"]).expect(4).json();
    let parent = waiting["run"].as_str().unwrap().to_owned();
    let fork = stage.masque(&["runs", "fork", &parent, "-p", "again", "--at", "2", "--no-drive"]).expect(0);
    let fork = fork.stdout.trim().to_owned();
    // The script of this one is gone: it must not stand in the way of the others.
    let gone = stage.file("gone.yaml", ASKS);
    let lost = format!("scripted/{}", gone.display());
    let lost = stage.masque(&["runs", "fork", &parent, "--at", "2", "-p", "x", "-m", &lost, "--no-drive"]).expect(0);
    let lost = lost.stdout.trim().to_owned();
    fs_err::remove_file(gone).unwrap();

    let drained = stage.masque(&["worker", "--drain"]).expect(0);
    assert!(drained.stderr.contains(&format!("{fork}: waits for a human")), "{drained:#?}");
    assert!(drained.stderr.contains(&format!("{lost} cannot be driven here")), "{drained:#?}");
    let open = stage.masque(&["approvals", "list", "--json"]).expect(0).json();
    let open = open.as_array().unwrap().clone();
    assert_eq!(open.len(), 2, "{open:#?}");
    for approval in &open {
        stage.masque(&["approvals", "approve", approval["id"].as_str().unwrap()]).expect(0);
    }
    stage.masque(&["worker", "--drain"]).expect(0);
    for run in [&parent, &fork] {
        assert_eq!(of_kind(&stage.events(run), "run_completed").len(), 1, "{run}");
    }
    assert_eq!(fs_err::read_to_string(stage.project().join("ran.txt")).unwrap(), "ran\nran\n");
    stage.masque(&["runs", "cancel", &lost]).expect(0);
    assert_eq!(of_kind(&stage.events(&lost), "run_cancelled").len(), 1, "it can be ended all the same");
}

#[test]
fn a_run_in_the_background_goes_on_with_the_same_settings() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let model = stage.script(ASKS);
    let store = format!("store.url={}", stage.root().join("elsewhere.db").display());
    let run = ["-c", &store, "run", "engineer", "-p", "go", "-m", &model, "--detach", "--output", "json"];
    let detached = stage.masque(&run).expect(0).json();
    let run = detached["run"].as_str().unwrap().to_owned();
    let asked = |all: &str| -> serde_json::Value { serde_json::from_str(all).unwrap() };
    let start = std::time::Instant::now();
    let approval = loop {
        let open = asked(&stage.masque(&["-c", &store, "approvals", "list", "--json"]).expect(0).stdout);
        if let Some(id) = open[0]["id"].as_str() {
            break id.to_owned();
        }
        assert!(start.elapsed().as_secs() < 240, "the background process asked nothing");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    stage.masque(&["-c", &store, "approvals", "approve", &approval]).expect(0);
    stage.masque(&["-c", &store, "runs", "watch", &run]).expect(0);
    let export = stage.masque(&["-c", &store, "runs", "export", &run]).expect(0).stdout;
    let events: Vec<serde_json::Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(result_texts(&events).len(), 1);
    assert_eq!(of_kind(&events, "run_completed").len(), 1);
}

#[test]
fn a_question_of_an_ended_run_takes_no_answer() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new();
    let model = stage.script(ASKS);
    let waiting = stage.masque(&["run", "engineer", "-p", "go", "-m", &model, "--output", "json"]).expect(4).json();
    let approval = waiting["approvals"][0]["id"].as_str().unwrap();
    stage.masque(&["runs", "cancel", "last"]).expect(0);
    let refused = stage.masque(&["approvals", "approve", approval]).expect(3);
    assert!(refused.stderr.contains("cancelled already"), "{refused:#?}");
    assert_eq!(stage.masque(&["approvals", "list", "--json"]).expect(0).json(), serde_json::json!([]));
}
