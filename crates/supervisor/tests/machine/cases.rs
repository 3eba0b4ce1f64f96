//! Single courses of events, told step by step: what random plans meet too seldom, and what is said about it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use masque_fleet::{
    model::{Condition, Dependency, Fallback, Fleet, OnLoss, Service, ServiceId, Start},
    status::State,
};
use masque_supervisor::machine::{
    Action, Board, End, Input, Outcome, Resolved, Rolling, RollingReport, RollingSpec, RollingStep, Selection, Which,
};

use crate::plan::{ms, plain, probe};

const HOST: &str = "here";

/// A board whose services run and end at once as they are told; some end by themselves as soon as they were started.
struct Hand {
    board: Board,
    now: Duration,
    broken: BTreeSet<&'static str>,
    /// What was started and ended, in that order.
    acts: Vec<String>,
}

impl Hand {
    fn of(services: Vec<Service>) -> Self {
        let fleet = Fleet { services, ..Fleet::default() };
        let board = Board::new(&fleet, |service| service.id.host == HOST, 7);
        Self { board, now: ms(0), broken: BTreeSet::new(), acts: Vec::new() }
    }

    fn tell(&mut self, input: Input) {
        let mut work = VecDeque::from([input]);
        while let Some(input) = work.pop_front() {
            let actions = self.board.handle(self.now, input);
            work.extend(actions.into_iter().flat_map(|action| self.act(action)));
        }
    }

    fn act(&mut self, action: Action) -> Vec<Input> {
        match action {
            Action::Start { id, instance, .. } => {
                self.acts.push(format!("start {}", id.name));
                let ended = Input::Ended { id: id.clone(), instance, end: End::Code(1) };
                let is_broken = self.broken.contains(id.name.as_str());
                let started = Input::Started { id, instance, pid: 1 };
                std::iter::once(started).chain(is_broken.then_some(ended)).collect()
            }
            Action::Signal { id, instance, .. } | Action::Kill { id, instance } => {
                self.acts.push(format!("end {}", id.name));
                vec![Input::Ended { id, instance, end: End::Signal(15) }]
            }
            _ => Vec::new(),
        }
    }

    fn up(&mut self) {
        self.tell(Input::Up(Selection::All));
    }

    /// Lets time pass, with all timers that end meanwhile.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(timer) = self.board.next_timer().filter(|timer| *timer <= end) {
            self.now = timer.max(self.now);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    /// A service that an earlier supervisor started, and told that somebody meets what it asks for.
    fn adopt(&mut self, name: &str, told: &[(&str, &str)]) {
        let resolved = |(asked, actual): &(&str, &str)| Resolved {
            asked: id(asked),
            actual: Some(id(actual)),
            environment: BTreeMap::new(),
        };
        let told = Some(told.iter().map(resolved).collect());
        self.tell(Input::Adopted { id: id(name), instance: 1, pid: 1, ready: true, told });
    }

    fn checked(&mut self, name: &str, outcome: Outcome) {
        let instance = self.board.view(&id(name)).and_then(|view| view.instance).expect("it was started");
        self.tell(Input::Probed { id: id(name), instance, which: Which::Ready, outcome, took: ms(1) });
    }

    fn roll(&mut self, current: Vec<Service>, restart: &[&str], replacements: Vec<Service>) -> RollingReport {
        let restart = restart.iter().map(|name| id(name)).collect();
        let spec = RollingSpec { current, restart, replacements, max_unavailable: 1, patience: ms(100) };
        let mut rolling = Rolling::new(spec, &self.board.views());
        loop {
            match rolling.step(self.now, &self.board.views()) {
                RollingStep::Done(report) => return report,
                RollingStep::Tell(inputs) if inputs.is_empty() => self.wait(ms(10)),
                RollingStep::Tell(inputs) => inputs.into_iter().for_each(|input| self.tell(input)),
            }
        }
    }

    fn state(&self, name: &str) -> State {
        self.board.view(&id(name)).expect("a service").state
    }

    fn why(&self, name: &str) -> String {
        self.board.view(&id(name)).expect("a service").why.join("; ")
    }
}

fn id(name: &str) -> ServiceId {
    ServiceId::new(HOST, name)
}

fn service(name: &str) -> Service {
    plain(id(name))
}

fn needing(name: &str, on: &ServiceId) -> Service {
    Service { dependencies: vec![Dependency::on(on.clone())], ..service(name) }
}

fn with_stand_in(name: &str, stand_in: &str) -> Service {
    Service { fallback: vec![Fallback::Service(id(stand_in))], ..service(name) }
}

fn standby(name: &str) -> Service {
    Service { start: Start::Standby, ..service(name) }
}

#[test]
fn what_a_service_needs_since_it_was_replaced_ends_after_it() {
    let current = vec![service("base"), service("user")];
    let mut hand = Hand::of(current.clone());
    hand.up();
    let report = hand.roll(current, &[], vec![needing("user", &id("base"))]);
    assert_eq!(report.halted, None);
    hand.acts.clear();
    hand.tell(Input::Down(Selection::All));
    assert_eq!(hand.acts, ["end user", "end base"]);
}

#[test]
fn a_service_that_another_supervisor_has_since_a_reload_is_waited_for() {
    let far = ServiceId::new("there", "far");
    let mut hand = Hand::of(vec![service("user")]);
    hand.tell(Input::Elsewhere(Box::new(plain(far.clone()))));
    hand.tell(Input::Redefine(Box::new(needing("user", &far))));
    hand.up();
    assert_eq!(hand.state("user"), State::Blocked);
    hand.tell(Input::Remote { id: far, state: Some(State::Ready) });
    assert_eq!(hand.state("user"), State::Ready);
}

#[test]
fn a_rolling_restart_is_not_halted_by_what_was_broken_before() {
    let current = vec![service("broken"), service("missing"), service("well"), standby("rests")];
    let mut hand = Hand::of(current.clone());
    hand.broken.insert("broken");
    hand.tell(Input::Missing { id: id("missing"), why: "its script is not there".to_owned() });
    hand.up();
    hand.wait(ms(500));
    assert_eq!([hand.state("broken"), hand.state("missing")], [State::Failed, State::Failed]);
    hand.acts.clear();
    let begun = hand.now;
    let report = hand.roll(current, &["broken", "missing", "well", "rests"], Vec::new());
    assert_eq!((report.halted, report.waves.len()), (None, 4));
    assert!(hand.acts.contains(&"end well".to_owned()), "{:?}", hand.acts);
    assert!(hand.now < begun + ms(5_000), "waves in which nothing runs take no time: {:?}", hand.now - begun);
}

#[test]
fn one_that_is_tried_again_is_not_yet_what_others_start_on() {
    let mut user = needing("user", &id("main"));
    user.dependencies[0].condition = Condition::Started;
    let main = Service { ready: Some(probe()), ..with_stand_in("main", "spare") };
    let mut hand = Hand::of(vec![main, standby("spare"), user]);
    hand.broken.insert("main");
    hand.up();
    hand.wait(ms(500));
    assert_eq!(hand.state("main"), State::Substituted);
    hand.broken.clear();
    hand.wait(ms(1000));
    assert_eq!([hand.state("main"), hand.state("spare")], [State::Starting, State::Ready]);
    let view = hand.board.view(&id("main")).expect("a service");
    assert_eq!(view.substituted_by, Some(id("spare")), "also while it is tried");
}

#[test]
fn it_is_said_who_stands_in_and_what_the_last_check_found() {
    let main = Service { ready: Some(probe()), ..with_stand_in("main", "spare") };
    let mut hand = Hand::of(vec![main, standby("spare"), needing("user", &id("main"))]);
    hand.up();
    hand.checked("main", Outcome::Unhealthy("connection refused".to_owned()));
    hand.wait(ms(1000));
    let why = hand.why("main");
    assert!(why.contains("was not ready within 1 s; the last check: connection refused"), "{why}");
    hand.broken.insert("main");
    hand.wait(ms(900));
    assert_eq!((hand.state("main"), hand.state("user")), (State::Substituted, State::Ready), "{}", hand.why("main"));
    let why = hand.why("user");
    assert!(why.ends_with("uses here/spare, which stands in for here/main"), "{why}");
    hand.broken.clear();
    hand.wait(ms(1000));
    hand.checked("main", Outcome::Healthy);
    let why = hand.why("user");
    assert!(
        why.ends_with("here/main is there again; it is told at its next start, and still uses here/spare"),
        "{why}"
    );
}

#[test]
fn who_stands_in_is_not_ended_by_the_next_supervisor_as_long_as_it_is_used() {
    let mut hand = Hand::of(vec![with_stand_in("main", "spare"), standby("spare"), needing("user", &id("main"))]);
    hand.adopt("spare", &[]);
    hand.adopt("user", &[("main", "spare")]);
    hand.up();
    hand.wait(ms(5_000));
    assert_eq!(hand.acts, ["start main"]);
    assert_eq!([hand.state("spare"), hand.state("user")], [State::Ready, State::Ready]);
    hand.tell(Input::Restart(Selection::Services(vec![id("user")])));
    hand.wait(ms(100));
    hand.acts.drain(..2);
    hand.acts.sort_unstable();
    assert_eq!(hand.acts, ["end spare", "start user"], "now nobody uses it");
}

#[test]
fn a_loss_counts_that_nobody_saw() {
    for (on_loss, acts) in
        [(OnLoss::Ignore, vec!["start main"]), (OnLoss::Stop, vec!["end user", "start main", "start user"])]
    {
        let mut user = needing("user", &id("main"));
        user.dependencies[0].on_loss = on_loss;
        let mut hand = Hand::of(vec![service("main"), user]);
        hand.adopt("user", &[("main", "main")]);
        hand.up();
        hand.wait(ms(5_000));
        assert_eq!(hand.acts, acts, "{on_loss:?}");
    }
}
