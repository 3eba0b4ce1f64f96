//! Random fleets, and what their programs do wrong. Leaves out running them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use masque_fleet::model::{
    Backoff, Check, Command, Condition, Dependency, Fallback, Fleet, Kind, Limits, Logs, OnLoss, Probe, Program,
    Restart, RestartPolicy, Service, ServiceId, Start, Stop,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// A whole test case.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) services: Vec<ServicePlan>,
    /// What happens from outside, and when.
    pub(crate) chaos: Vec<(u64, Chaos)>,
}

/// A service and its program.
#[derive(Debug, Clone)]
pub(crate) struct ServicePlan {
    pub(crate) host: usize,
    pub(crate) is_task: bool,
    pub(crate) is_standby: bool,
    pub(crate) is_missing: bool,
    pub(crate) needs: Vec<Need>,
    pub(crate) fallback: Vec<StandIn>,
    pub(crate) is_probed: bool,
    pub(crate) reloads: bool,
    pub(crate) start_ms: u64,
    pub(crate) stop_ms: u64,
    pub(crate) limit: u32,
    /// What its first instances do; those after them are good.
    pub(crate) mishaps: Vec<Mishap>,
}

/// A dependency on an earlier service.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    /// Counted among the services before it.
    pub(crate) on: usize,
    pub(crate) is_early: bool,
    pub(crate) is_required: bool,
    pub(crate) on_loss: OnLoss,
    pub(crate) grace_ms: u64,
    pub(crate) fallback: Vec<StandIn>,
}

#[derive(Debug, Clone)]
pub(crate) enum StandIn {
    Nothing,
    Service(usize),
}

/// What one instance does wrong.
#[derive(Debug, Clone)]
pub(crate) enum Mishap {
    None,
    CannotStart,
    NeverReady,
    Crash {
        after_ms: u64,
        code: i32,
    },
    /// It stops to answer.
    Hang {
        after_ms: u64,
    },
    /// It says that it is not well, and later that it is.
    Lie {
        after_ms: u64,
    },
    /// It does not listen to the signal.
    Deaf,
}

/// What happens from outside.
#[derive(Debug, Clone)]
pub(crate) enum Chaos {
    Kill(usize),
    Restart(usize),
    Down(usize),
    Up(usize),
    DownAll(usize),
    UpAll(usize),
    Partition,
    Heal,
    /// The supervisor dies, and another one takes over after this time.
    Supervisor {
        host: usize,
        gap_ms: u64,
    },
}

pub(crate) fn plans(hosts: usize, with_chaos: bool) -> impl Strategy<Value = Plan> {
    let chaos = if with_chaos { 0..8_usize } else { 0..1 };
    (vec(services(hosts, with_chaos), 1..8), vec((0..3000_u64, chaos_of(hosts)), chaos))
        .prop_map(|(services, chaos)| Plan { services, chaos })
}

fn services(hosts: usize, with_chaos: bool) -> impl Strategy<Value = ServicePlan> {
    let mishaps = if with_chaos { 0..5_usize } else { 0..1 };
    let kind = (0..hosts, prop::bool::weighted(0.15), prop::bool::weighted(0.25), prop::bool::weighted(0.1));
    let edges = (vec(needs(), 0..3), vec(stand_ins(), 0..3));
    let program = (prop::bool::weighted(0.8), any::<bool>(), 0..300_u64, 0..80_u64, 1..4_u32);
    (kind, edges, program, vec(mishap(), mishaps)).prop_map(move |(kind, (needs, fallback), program, mishaps)| {
        let (host, is_task, is_standby, is_missing) = kind;
        let (is_probed, reloads, start_ms, stop_ms, limit) = program;
        let is_standby = is_standby && !is_task && with_chaos;
        let is_missing = is_missing && with_chaos;
        ServicePlan {
            host,
            is_task,
            is_standby,
            is_missing,
            needs,
            fallback,
            is_probed,
            reloads,
            start_ms,
            stop_ms,
            limit,
            mishaps,
        }
    })
}

fn needs() -> impl Strategy<Value = Need> {
    let losses = select(vec![OnLoss::Ignore, OnLoss::Restart, OnLoss::Stop]);
    let grace = select(vec![0, 0, 30, 500_u64]);
    ((0..8_usize), prop::bool::weighted(0.2), prop::bool::weighted(0.7), losses, grace, vec(stand_ins(), 0..2))
        .prop_map(|(on, is_early, is_required, on_loss, grace_ms, fallback)| Need {
            on,
            is_early,
            is_required,
            on_loss,
            grace_ms,
            fallback,
        })
}

fn stand_ins() -> impl Strategy<Value = StandIn> {
    prop_oneof![3 => (0..8_usize).prop_map(StandIn::Service), 1 => Just(StandIn::Nothing)]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::None),
        Just(Mishap::CannotStart),
        Just(Mishap::NeverReady),
        (0..600_u64, 0..2_i32).prop_map(|(after_ms, code)| Mishap::Crash { after_ms, code }),
        (0..600_u64).prop_map(|after_ms| Mishap::Hang { after_ms }),
        (0..600_u64).prop_map(|after_ms| Mishap::Lie { after_ms }),
        Just(Mishap::Deaf),
    ]
}

fn chaos_of(hosts: usize) -> impl Strategy<Value = Chaos> {
    let index = || 0..8_usize;
    prop_oneof![
        3 => index().prop_map(Chaos::Kill),
        2 => index().prop_map(Chaos::Restart),
        1 => index().prop_map(Chaos::Down),
        1 => index().prop_map(Chaos::Up),
        1 => (0..hosts).prop_map(Chaos::DownAll),
        1 => (0..hosts).prop_map(Chaos::UpAll),
        1 => Just(Chaos::Partition),
        1 => Just(Chaos::Heal),
        2 => (0..hosts, 0..400_u64).prop_map(|(host, gap_ms)| Chaos::Supervisor { host, gap_ms }),
    ]
}

/// The definition that a plan means.
pub(crate) fn fleet(plan: &Plan) -> Fleet {
    let ids: Vec<ServiceId> = plan.services.iter().enumerate().map(|(number, service)| id(number, service)).collect();
    let services = plan.services.iter().enumerate().map(|(number, it)| service(number, it, &ids, &plan.services));
    Fleet { name: "test".to_owned(), services: services.collect(), ..Fleet::default() }
}

/// Whether services of two hosts stand in for each other, over others perhaps. No supervisor sees the whole of such a
/// circle: its services may restart each other for ever where the loss of one restarts the next.
pub(crate) fn has_circle(plan: &Plan) -> bool {
    let fleet = fleet(plan);
    let reach: BTreeMap<&ServiceId, BTreeSet<ServiceId>> =
        fleet.services.iter().map(|service| (&service.id, reachable(&fleet, &service.id))).collect();
    let is_circle = |one: &ServiceId, other: &ServiceId| one.host != other.host && reach[other].contains(one);
    reach.iter().any(|(one, others)| others.iter().any(|other| is_circle(one, other)))
}

/// All that a service needs, or that may stand in for what it needs, over others too.
fn reachable(fleet: &Fleet, from: &ServiceId) -> BTreeSet<ServiceId> {
    let services = |list: &[Fallback]| -> Vec<ServiceId> {
        list.iter().filter_map(|it| if let Fallback::Service(id) = it { Some(id.clone()) } else { None }).collect()
    };
    let mut seen = BTreeSet::new();
    let mut work = vec![from.clone()];
    while let Some(service) = work.pop().and_then(|id| fleet.service(&id)) {
        let needs = service.dependencies.iter().flat_map(|it| {
            let mut all = services(&it.fallback);
            all.push(it.on.clone());
            all
        });
        let next = needs.chain(services(&service.fallback)).filter(|id| seen.insert(id.clone()));
        work.extend(next.collect::<Vec<_>>());
    }
    seen
}

pub(crate) fn id(number: usize, plan: &ServicePlan) -> ServiceId {
    ServiceId::new(format!("host{}", plan.host), format!("s{number}"))
}

fn service(number: usize, plan: &ServicePlan, ids: &[ServiceId], all: &[ServicePlan]) -> Service {
    let stand_ins = |list: &[StandIn]| -> Vec<Fallback> {
        let to_fallback = |it: &StandIn| match it {
            StandIn::Nothing => Fallback::Environment(BTreeMap::from([("ALONE".to_owned(), "1".to_owned())])),
            StandIn::Service(index) => Fallback::Service(ids[index % ids.len()].clone()),
        };
        list.iter().map(to_fallback).collect()
    };
    let dependency = |need: &Need| {
        let on = need.on % number;
        let condition = match (all[on].is_task, need.is_early) {
            (true, _) => Condition::Completed,
            (false, true) => Condition::Started,
            (false, false) => Condition::Ready,
        };
        Dependency {
            condition,
            required: need.is_required,
            on_loss: need.on_loss,
            grace: ms(need.grace_ms),
            fallback: stand_ins(&need.fallback),
            ..Dependency::on(ids[on].clone())
        }
    };
    let needs: &[Need] = if number == 0 { &[] } else { &plan.needs };
    let mut dependencies: Vec<Dependency> = needs.iter().map(dependency).collect();
    dependencies.sort_by(|a, b| a.on.cmp(&b.on));
    dependencies.dedup_by(|a, b| a.on == b.on);
    Service {
        kind: if plan.is_task { Kind::Task } else { Kind::Service },
        start: if plan.is_standby { Start::Standby } else { Start::Always },
        dependencies,
        ready: (plan.is_probed && !plan.is_task).then(probe),
        live: (plan.is_probed && !plan.is_task).then(probe),
        fallback: stand_ins(&plan.fallback),
        reload_signal: plan.reloads.then(|| "HUP".to_owned()),
        restart: Restart { limit: Some(plan.limit), ..plain(ids[number].clone()).restart },
        ..plain(ids[number].clone())
    }
}

/// A service without anything special.
pub(crate) fn plain(id: ServiceId) -> Service {
    Service {
        id,
        group: None,
        description: None,
        kind: Kind::Service,
        start: Start::Always,
        program: Program {
            command: Command::Exec(vec!["true".to_owned()]),
            script: None,
            script_file: None,
            directory: PathBuf::from("/"),
            environment: BTreeMap::new(),
            pass: Vec::new(),
            account: None,
            umask: None,
            image: None,
        },
        listen: None,
        port: None,
        ports: BTreeMap::new(),
        dependencies: Vec::new(),
        ready: None,
        ready_within: ms(1000),
        live: None,
        restart: Restart {
            policy: RestartPolicy::Always,
            backoff: Backoff { first: ms(10), max: ms(200), stable_after: ms(2000) },
            limit: Some(3),
            window: ms(2000),
            retry_after: Some(ms(1000)),
        },
        stop: Stop { signal: "TERM".to_owned(), grace: ms(100) },
        limits: Limits::default(),
        logs: Logs::default(),
        required: true,
        fallback: Vec::new(),
        reload_signal: None,
    }
}

pub(crate) fn probe() -> Probe {
    Probe { failures: 2, successes: 1, ..Probe::new(Check::Tcp("127.0.0.1:1".to_owned())) }
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
