//! [`warnings`]: what of a fleet another tool does not do, and needs that containers cannot see met: [`crossings`].

use std::{collections::BTreeSet, fmt};

use super::{
    names::one_line,
    units::{Content, Origin, Unit, units},
};
use crate::{
    graph::Graph,
    model::{Fleet, ServiceId},
};

/// A tool that a fleet is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Compose.
    Compose,
    /// Podman's generator of systemd units.
    Quadlet,
    /// Kubernetes.
    Kube,
}

impl Tool {
    /// Its name on the command line.
    const fn name(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Quadlet => "quadlet",
            Self::Kube => "kube",
        }
    }
}

/// A need of a service in a container for one of another host. The supervisors in containers hear those of their own host
/// only, so it would wait for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crossing {
    /// Who needs.
    pub from: ServiceId,
    /// Who is needed.
    pub to: ServiceId,
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` needs `{}` of another host, which its supervisor in a container never hears of: start host `{}` without \
             containers (`masque fleet up`), or give both services one host",
            self.from, self.to, self.from.host
        )
    }
}

/// The needs of services in containers for services of other hosts.
#[must_use]
pub fn crossings(fleet: &Fleet) -> Vec<Crossing> {
    let alone = |id: &ServiceId| fleet.service(id).is_some_and(|service| service.program.image.is_some());
    let graph = Graph::of(fleet);
    let crossing = graph.edges().iter().filter(|edge| edge.from.host != edge.to.host && !alone(&edge.from));
    let found: BTreeSet<_> = crossing.map(|edge| Crossing { from: edge.from.clone(), to: edge.to.clone() }).collect();
    found.into_iter().collect()
}

/// Something that is not as in the fleet where another tool runs it: a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The container.
    unit: String,
    text: String,
}

impl Warning {
    pub(super) fn is_about(&self, unit: &Unit<'_>) -> bool {
        self.unit == unit.name
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is not as in the fleet where that tool runs it.
#[must_use]
pub fn warnings(fleet: &Fleet, tool: Tool) -> Vec<Warning> {
    let crossings = crossings(fleet);
    let of_unit = |unit: &Unit<'_>| {
        let own = |crossing: &&Crossing| unit.services.iter().any(|service| service.id == crossing.from);
        let crossing = crossings.iter().filter(own).map(ToString::to_string);
        let own = (tool == Tool::Kube).then(|| of_kube(unit)).into_iter().flatten();
        let texts = crossing.chain(without_masque(unit)).chain(own);
        texts.map(|text| Warning { unit: unit.name.clone(), text }).collect::<Vec<_>>()
    };
    units(fleet).iter().flat_map(of_unit).collect()
}

/// Only `masque fleet deploy` can show a program to an image that lacks it.
fn without_masque(unit: &Unit<'_>) -> Option<String> {
    (unit.content == Content::Supervised && unit.origin() == Origin::Elsewhere).then(|| {
        let (name, image) = (unit.own_group(), &unit.image);
        format!("group `{name}`: its image `{image}` is not built here and must hold `masque`, or name it as `base`")
    })
}

fn of_kube(unit: &Unit<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let passed: Vec<_> = unit.passed().into_iter().map(|name| format!("`{name}`")).collect();
    if !passed.is_empty() {
        let names = passed.join(", ");
        found.push(format!("container `{}`: nobody passes {names} on: add values to its `env`", unit.name));
    }
    for service in &unit.services {
        let account = service.program.account.as_ref().filter(|_| unit.content == Content::Alone);
        let named = account.into_iter().flat_map(|account| std::iter::once(&account.user).chain(&account.group));
        for name in named.filter(|name| name.parse::<u32>().is_err()) {
            let id = &service.id;
            found
                .push(format!("`{id}` runs as the user of its image and not as `{name}`: give the number of `{name}`"));
        }
    }
    found
}

/// What stands at the top of a file of a tool.
pub(super) fn head<'a>(tool: Tool, warnings: impl IntoIterator<Item = &'a Warning>) -> String {
    let made = format!(
        "# Made by `masque fleet render --to {}`. `masque fleet render --to dockerfiles` makes the images.\n",
        tool.name()
    );
    let lines = warnings.into_iter().map(|warning| format!("# Warning: {}\n", one_line(&warning.to_string())));
    std::iter::once(made).chain(lines).collect()
}
