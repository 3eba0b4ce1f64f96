//! The machine in a simulated world: whatever programs, people, supervisors and the link do, what must hold holds, and
//! once they stop everything comes to where it belongs.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by a panic")]

mod cases;
mod expected;
mod plan;
mod world;

use std::time::Duration;

use masque_fleet::{
    model::{Condition, Dependency, Kind, Service, ServiceId, Start},
    status::State,
};
use masque_supervisor::machine::{Input, RollingSpec, Selection};
use proptest::{collection::vec, prelude::*};

use expected::Expected;
use plan::{Plan, has_circle, ms, plans};
use world::World;

/// Enough for every day; `PROPTEST_CASES` asks for more.
fn cases(count: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(count), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn one_host_converges(plan in plans(1, true)) {
        check_convergence(&plan);
    }

    #[test]
    fn two_hosts_converge(plan in plans(2, true).prop_filter("a circle over both hosts", |plan| !has_circle(plan))) {
        check_convergence(&plan);
    }

    #[test]
    fn the_start_takes_the_critical_path(plan in plans(1, false)) {
        check_critical_path(&plan);
    }

    #[test]
    fn what_harms_is_put_back(plan in plans(1, false), bad in vec(any::<bool>(), 8), at_once in 1..4_usize) {
        check_rolling(&plan, &bad, at_once);
    }
}

fn check_convergence(plan: &Plan) {
    let mut world = World::new(plan);
    world.run_until(ms(3000));
    world.heal();
    for host in 0..world.hosts.len() {
        world.up(host);
    }
    world.run_until(ms(60_000));
    check_states(&world);
    for host in 0..world.hosts.len() {
        world.tell(host, Input::Down(Selection::All));
    }
    world.run_until(ms(70_000));
    check_rest(&world);
}

/// Everything is where it belongs.
fn check_states(world: &World) {
    let expected = Expected::of(&world.fleet, |id| world.is_missing(id));
    for service in &world.fleet.services {
        let host = world.hosts.iter().find(|host| host.is_of(&service.id)).expect("a host");
        let view = host.board.as_ref().expect("a board").view(&service.id).expect("a view");
        let (id, state) = (&service.id, view.state);
        let context = || format!("{id} is {state:?}: {:?}", view.why);
        if service.start == Start::Standby {
            if expected.is_needed(id) && expected.is_usable(id) {
                assert!(matches!(state, State::Ready | State::Degraded), "{}", context());
            }
            assert!(state.is_settled() || expected.is_needed(id) || !expected.is_usable(id), "{}", context());
            continue;
        }
        if expected.is_usable(id) {
            let good = if service.kind == Kind::Task { State::Completed } else { State::Ready };
            let may_be_stale = expected.has_fallbacks();
            assert!(state == good || (may_be_stale && state == State::Degraded), "{}", context());
        } else if world.is_missing(id) {
            // It is tried from time to time.
            let is_given_up = matches!(state, State::Failed | State::Substituted);
            assert!(is_given_up || state == State::Blocked, "{}", context());
        } else if !((view.pid.is_some() || state == State::Completed)
            && may_run_nevertheless(world, &expected, service))
        {
            let is_given_up = matches!(state, State::Failed | State::Substituted);
            assert!(is_given_up || state == State::Blocked, "{}", context());
            assert!(!view.blocked_on.is_empty(), "{}", context());
        }
        let is_running = world.processes.values().any(|process| process.id == *id);
        assert_eq!(is_running, view.pid.is_some(), "{}", context());
    }
}

/// What a person stopped does not stand in: a service may have been started on what comes after it, and a task may have
/// come to its end. And one that
/// needs no more than the start of another host's may have been started when that was tried.
fn may_run_nevertheless(world: &World, expected: &Expected<'_>, service: &Service) -> bool {
    let is_early = |it: &Dependency| it.condition == Condition::Started && it.on.host != service.id.host;
    (world.was_stopped_by_hand() && expected.has_fallbacks()) || service.dependencies.iter().any(is_early)
}

/// Nothing runs, and nothing will.
fn check_rest(world: &World) {
    assert!(world.processes.is_empty(), "{:?}", world.processes);
    for host in &world.hosts {
        let board = host.board.as_ref().expect("a board");
        assert_eq!(board.next_timer(), None);
        for (id, view) in board.views() {
            assert_eq!(view.state, State::Stopped, "{id}: {:?}", view.why);
        }
    }
}

/// Without mishaps each service starts at the very time when the last of what it needs is there.
fn check_critical_path(plan: &Plan) {
    let mut world = World::new(plan);
    world.run_until(ms(60_000));
    let mut ready: Vec<Duration> = Vec::new();
    for (number, (service, plan)) in world.fleet.services.iter().zip(&plan.services).enumerate() {
        let there_at = |on: &ServiceId| {
            let index = world.fleet.services.iter().position(|it| it.id == *on).expect("a service");
            (ready[index], world.starts[on])
        };
        let needs = service.dependencies.iter().map(|it| match it.condition {
            Condition::Started => there_at(&it.on).1,
            _ => there_at(&it.on).0,
        });
        let begun = needs.max().unwrap_or_default();
        assert_eq!(world.starts[&service.id], begun, "{}", service.id);
        let takes = if service.kind == Kind::Task || service.ready.is_some() { plan.start_ms } else { 0 };
        ready.push(begun + ms(takes));
        assert_eq!(ready.len(), number + 1);
    }
    assert_eq!(world.start_count, plan.services.len());
}

/// All services are replaced; some of the new definitions are bad.
fn check_rolling(plan: &Plan, bad: &[bool], at_once: usize) {
    let mut world = World::new(plan);
    world.run_until(ms(10_000));
    let replacements = world.fleet.services.iter().zip(bad).map(|(service, is_bad)| Service {
        description: Some(if *is_bad { "bad" } else { "good" }.to_owned()),
        ..service.clone()
    });
    let report = world.roll(RollingSpec {
        current: world.fleet.services.clone(),
        restart: Vec::new(),
        replacements: replacements.collect(),
        max_unavailable: at_once,
        patience: ms(1000),
    });
    world.run_until(world.now + ms(10_000));
    let harms =
        |(service, is_bad): (&Service, &bool)| *is_bad && (service.ready.is_some() || service.kind == Kind::Task);
    let is_harmful = world.fleet.services.iter().zip(bad).any(harms);
    assert_eq!(report.halted.is_some(), is_harmful, "{report:?}");
    assert!(report.waves.iter().all(|wave| wave.len() <= at_once));
    let mut position: Vec<&ServiceId> = report.waves.iter().flatten().collect();
    if is_harmful {
        assert_eq!(report.rolled_back.iter().collect::<Vec<_>>(), position, "all that was changed is put back");
        assert!(world.definitions.values().all(|it| it.description.is_none()));
    } else {
        assert_eq!(position.len(), world.fleet.services.len());
        position.reverse();
        let at = |id: &ServiceId| position.iter().position(|it| *it == id);
        for service in &world.fleet.services {
            let needs = service.dependencies.iter().map(|it| at(&it.on));
            assert!(needs.into_iter().all(|on| on < at(&service.id)), "a dependant is replaced first");
        }
    }
    check_states(&world);
}
