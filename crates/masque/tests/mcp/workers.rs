//! Several servers over one store, and the death of one of them: every job is driven to its end, once.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Stage, Streams, can_confine};

fn queue(server: &mut Streams, count: usize) -> Vec<Value> {
    let task = |number: usize| json!({ "task": format!("Look at part {number}"), "priority": "high" });
    (0..count).map(|number| server.call("invoke_security", task(number))["job_id"].clone()).collect()
}

/// The kinds of the events of a job.
fn kinds(stage: &Stage, job: &Value) -> Vec<String> {
    let run = stage.json(&["runs", "show", job.as_str().unwrap(), "--json"]);
    run["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn driven_once(stage: &Stage, server: &mut Streams, jobs: &[Value]) {
    for job in jobs {
        let seen = server.ended(job);
        assert_eq!((&seen["status"], &seen["result"]), (&json!("complete"), &json!("all is well")), "{seen:#}");
        let kinds = kinds(stage, job);
        let answers = kinds.iter().filter(|kind| *kind == "model_call_finished").count();
        assert_eq!((answers, kinds.last().map(String::as_str)), (1, Some("run_completed")), "{kinds:?}");
    }
}

#[test]
fn two_servers_share_one_queue() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("all is well");
    let (mut one, mut two) = (stage.serve(&[]).initialized(), stage.serve(&[]).initialized());
    let mut jobs = queue(&mut one, 4);
    jobs.extend(queue(&mut two, 4));
    driven_once(&stage, &mut two, &jobs);
    let listed = one.call("list_persona_jobs", json!({ "limit": 3, "status": "complete" }));
    assert_eq!((listed["jobs"].as_array().unwrap().len(), &listed["total_count"]), (3, &json!(8)), "{listed:#}");
}

#[test]
fn what_a_killed_server_held_goes_on_in_another_one_at_once() {
    if !can_confine() {
        return;
    }
    let mut stage = Stage::new("all is well");
    // A lease that is not taken from the dead would keep its job for longer than the test waits.
    stage.set("MASQUE_RUN_LEASE", "10m");
    let mut killed = stage.serve(&[]).initialized();
    let jobs = queue(&mut killed, 6);
    killed.signal(Signal::KILL);
    killed.wait();
    let mut next = stage.serve(&[]).initialized();
    driven_once(&stage, &mut next, &jobs);
}

#[test]
fn a_server_that_ends_leaves_its_jobs_to_the_background() {
    if !can_confine() {
        return;
    }
    let stage = Stage::new("all is well");
    let mut server = stage.serve(&[]).initialized();
    let jobs = queue(&mut server, 6);
    assert_eq!(server.end().1, Some(0));
    for job in &jobs {
        let watched = stage.masque(&["runs", "watch", job.as_str().unwrap()]);
        assert_eq!(watched.code, Some(0), "{watched:#?}");
    }
    // The process in the background ends with the last of them: then its lock is free for this one.
    let worker = stage.masque(&["worker", "--jobs"]);
    assert_eq!(worker.code, Some(0), "{worker:#?}");
}
