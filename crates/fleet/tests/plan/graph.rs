//! Order, circles, critical path, drawings.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::Duration,
};

use masque_fleet::{
    graph::{Graph, Measured, lower_bound, measured_by_changes},
    model::{Condition, Fallback, Fleet, ServiceId, Start},
    status::{Change, State},
};
use masque_testkit::fleets::{Shape, fleets, plain_fleet};
use masque_types::time::Timestamp;
use proptest::prelude::*;

fn names(ids: &[ServiceId]) -> String {
    ids.iter().map(|id| id.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn id(name: &str) -> ServiceId {
    ServiceId::new("h", name)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn services_start_after_what_they_need_and_end_before_it() {
    let graph = Graph::of(&plain_fleet("web: api cache; api: db; cache; db; job"));
    assert_eq!(names(&graph.order().unwrap()), "cache db api web job");
    assert_eq!(names(&graph.stop_order().unwrap()), "job web api db cache");
    let waves: Vec<_> = graph.waves().unwrap().iter().map(|wave| names(wave)).collect();
    assert_eq!(waves, ["cache db job", "api", "web"]);
    assert_eq!(graph.dependencies(&id("web")), BTreeSet::from(["api", "cache", "db"].map(id)));
    assert_eq!(graph.dependants(&id("db")), BTreeSet::from(["api", "web"].map(id)));
}

#[test]
fn circles_are_named_one_shortest_for_each_tangle() {
    for (fleet, expected) in [
        ("a: b; b: a", &["h/a → h/b → h/a"][..]),
        ("a: a", &["h/a → h/a"]),
        ("x; d: a; a: b; b: c; c: a b", &["h/b → h/c → h/b"]),
        ("a: b; b: a; c: d; d: e; e: c", &["h/a → h/b → h/a", "h/c → h/d → h/e → h/c"]),
        ("a: b; b", &[]),
    ] {
        let graph = Graph::of(&plain_fleet(fleet));
        let found: Vec<_> = graph.cycles().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{fleet}");
        assert_eq!(graph.order().is_err(), !expected.is_empty());
    }
    assert_eq!(Graph::of(&plain_fleet("a: b; b: c; c: a b")).cycles()[0].entangled, 3);
}

/// `b` needs the missing `m`, for which `s` stands in.
fn substituted() -> Fleet {
    let mut fleet = plain_fleet("b: m; m; s; a: b");
    fleet.services[1].program.script = Some("m.py".to_owned());
    fleet.services[1].fallback = vec![Fallback::Service(id("gone")), Fallback::Service(id("s"))];
    fleet
}

#[test]
fn edges_lead_to_who_stands_in() {
    let mut fleet = substituted();
    let graph = Graph::of(&fleet);
    let edge = &graph.edges()[0];
    assert_eq!((&edge.to, &edge.asked), (&id("s"), &id("m")));
    assert!(graph.fallback_edges().is_empty());
    // What the need itself declares comes first.
    fleet.services[0].dependencies[0].fallback = vec![Fallback::Environment(BTreeMap::new())];
    assert!(Graph::of(&fleet).needs(&id("b")).next().is_none());
    // While the script is there, `s` only might stand in, and would wait for itself.
    fleet.services[1].program.script_file = Some("/srv/fleet/m.py".into());
    fleet.services[2].dependencies = vec![masque_fleet::model::Dependency::on(id("b"))];
    let graph = Graph::of(&fleet);
    assert_eq!(graph.edges()[0].to, id("m"));
    assert!(graph.cycles().is_empty());
    assert_eq!(graph.cycles_through_fallbacks()[0].to_string(), "h/b → h/s → h/b");
}

#[test]
fn the_critical_path_is_told_like_systemd_does() {
    let mut fleet = plain_fleet("app: db net; db: disk; net; disk; log");
    fleet.services[1].dependencies[0].condition = Condition::Started;
    let took = BTreeMap::from([("app", 40), ("db", 300), ("net", 80), ("disk", 9_000), ("log", 320)]);
    let took: BTreeMap<_, _> = took.into_iter().map(|(name, took)| (id(name), millis(took))).collect();
    let graph = Graph::of(&fleet);
    assert_eq!(graph.critical_path(&took).unwrap().to_string(), "h/disk @0ms +9.000s");
    fleet.services[1].dependencies[0].condition = Condition::Ready;
    let path = Graph::of(&fleet).critical_path(&took).unwrap();
    assert_eq!(path.to_string(), "h/app @9.300s +40ms\n└─h/db @9.000s +300ms\n  └─h/disk @0ms +9.000s");
    assert_eq!(path.total, millis(9_340));
    let cores = |cores| NonZeroU32::new(cores).unwrap();
    assert_eq!(lower_bound(&path, millis(20_000), cores(2)), millis(10_000));
    assert_eq!(lower_bound(&path, millis(10_000), cores(2)), path.total);
}

#[test]
fn measured_starts_show_what_was_waited_for() {
    let graph = Graph::of(&plain_fleet("h/app: p/db h/net; p/db; h/net"));
    let change = |id: &ServiceId, to, offset, at| Change {
        number: 0,
        id: id.clone(),
        from: State::Blocked,
        to,
        why: String::new(),
        offset: millis(offset),
        at: Timestamp(at),
    };
    let (app, db, net) = (id("app"), ServiceId::new("p", "db"), id("net"));
    // The supervisor of `p` was started 50 ms after that of `h`; the first start of `db` failed.
    let changes = [
        change(&net, State::Starting, 1, 1_001),
        change(&net, State::Ready, 20, 1_020),
        change(&db, State::Starting, 0, 1_050),
        change(&db, State::Waiting, 10, 1_060),
        change(&db, State::Starting, 30, 1_080),
        change(&db, State::Ready, 130, 1_180),
        change(&app, State::Starting, 185, 1_185),
        change(&app, State::Ready, 200, 1_200),
        change(&net, State::Degraded, 900, 1_900),
    ];
    let measured = measured_by_changes(&changes);
    assert_eq!(measured[&db], Measured { started: millis(80), ready: millis(180) });
    let path = graph.critical_chain(&measured, None).unwrap();
    assert_eq!(path.to_string(), "h/app @185ms +15ms (waited 5.0ms)\n└─p/db @80ms +100ms (waited 80ms)");
    assert_eq!(graph.critical_chain(&measured, Some(&net)).unwrap().links.len(), 1);
    assert!(graph.critical_chain(&BTreeMap::new(), None).is_none());
}

/// The fleet of the drawings: two hosts, groups, a stand-in, a standby.
fn drawn() -> (Fleet, BTreeMap<ServiceId, State>) {
    let mut fleet = substituted();
    fleet.services[2].start = Start::Standby;
    for service in &mut fleet.services {
        service.group = Some("core <&\"> services".to_owned());
        service.port = Some(7120);
    }
    fleet.services[3].dependencies[0].required = false;
    let states = [State::Ready, State::Substituted, State::Starting, State::Failed];
    let states = fleet.services.iter().map(|service| service.id.clone()).zip(states).collect();
    (fleet, states)
}

#[test]
fn drawings_show_states_groups_and_stand_ins() {
    let (fleet, states) = drawn();
    let graph = Graph::of(&fleet);
    insta::assert_snapshot!(graph.dot(&fleet, &states));
    insta::assert_snapshot!(graph.mermaid(&fleet, &states));
    let svg = graph.svg(&fleet, &states);
    for part in [
        "h/m: substituted",
        "h/s stands in for h/m for h/b",
        "core &lt;&amp;&quot;&gt; services",
        "✗ failed",
        "edge e3 e0 optional",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(!svg.contains("<script") && !svg.contains("href"));
}

proptest! {
    #[test]
    fn an_order_exists_exactly_when_there_is_no_circle(fleet in fleets(Shape::Any, 12)) {
        let graph = Graph::of(&fleet);
        let cycles = graph.cycles();
        for cycle in &cycles {
            for (from, to) in cycle.path.iter().zip(cycle.path.iter().cycle().skip(1)) {
                prop_assert!(graph.needs(from).any(|edge| edge.to == *to), "{}", cycle);
            }
            prop_assert!(cycle.entangled >= cycle.path.len());
        }
        match graph.order() {
            Err(told) => prop_assert!(!cycles.is_empty() && told == cycles),
            Ok(order) => {
                prop_assert!(cycles.is_empty());
                let place: BTreeMap<_, _> = order.iter().enumerate().map(|(place, id)| (id, place)).collect();
                prop_assert_eq!(place.len(), fleet.services.len());
                prop_assert!(graph.edges().iter().all(|edge| place[&edge.to] < place[&edge.from]));
            }
        }
    }

    #[test]
    fn reach_is_the_same_in_both_directions(fleet in fleets(Shape::Any, 10)) {
        let graph = Graph::of(&fleet);
        for one in graph.services() {
            for other in graph.dependencies(one) {
                prop_assert!(graph.dependants(&other).contains(one));
            }
        }
    }

    /// Whoever starts when all it needs is there is ready at the time that the path says, and the path holds together.
    #[test]
    fn no_schedule_is_faster_than_the_critical_path(fleet in fleets(Shape::Sound, 12), took in proptest::collection::vec(0..900_u64, 12)) {
        let graph = Graph::of(&fleet);
        let took: BTreeMap<_, _> = graph.services().iter().cloned().zip(took.into_iter().map(millis)).collect();
        let mut times: BTreeMap<ServiceId, Measured> = BTreeMap::new();
        for id in graph.order().unwrap() {
            let met = graph.needs(&id).map(|edge| {
                let needed = times[&edge.to];
                if edge.condition == Condition::Started { needed.started } else { needed.ready }
            });
            let started = met.max().unwrap_or_default();
            times.insert(id.clone(), Measured { started, ready: started + took[&id] });
        }
        let path = graph.critical_path(&took).unwrap();
        prop_assert_eq!(path.total, times.values().map(|times| times.ready).max().unwrap_or_default());
        for (link, next) in path.links.iter().zip(path.links.iter().skip(1)) {
            prop_assert!(graph.needs(&next.id).any(|edge| edge.to == link.id));
            prop_assert_eq!(next.offset, times[&next.id].started);
        }
        let measured = graph.critical_chain(&times, None).unwrap_or_default();
        prop_assert_eq!(measured.total, path.total);
        prop_assert!(measured.links.iter().all(|link| link.waited.is_zero()));
    }

    #[test]
    fn drawings_are_well_formed_for_every_name(fleet in fleets(Shape::Any, 8)) {
        let svg = Graph::of(&fleet).svg(&fleet, &BTreeMap::new());
        let document = roxmltree::Document::parse(&svg).map_err(|error| TestCaseError::fail(format!("{error}: {svg}")))?;
        let class = |node: &roxmltree::Node<'_, '_>| node.attribute("class").unwrap_or_default().starts_with("service");
        prop_assert_eq!(document.descendants().filter(class).count(), fleet.services.len());
    }
}
