//! [`Model`]: everything that the screen shows, and what is selected in it. Plain data.

use std::collections::{BTreeSet, VecDeque};

use masque_app::fleet::{
    LogLine, Target,
    model::ServiceId,
    status::{FleetStatus, HostStatus, ServiceStatus},
};

/// Lines of a service that are kept for looking back.
const MOST_LINES: usize = 5_000;

/// What the screen shows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The last status; none before the first.
    pub(crate) status: Option<FleetStatus>,
    /// Why the supervisor does not answer, when it does not.
    pub(crate) away: Option<String>,
    /// What is folded: hosts and groups.
    pub(crate) folded: BTreeSet<Spot>,
    /// What is selected.
    pub(crate) selected: Option<Spot>,
    /// Only services with this in their name, group or state.
    pub(crate) filter: String,
    /// What keys mean now.
    pub(crate) mode: Mode,
    /// What the selected service prints.
    pub(crate) logs: Logs,
    /// What was done last, or why it was not.
    pub(crate) message: Option<String>,
    /// Whether there are colours.
    pub(crate) is_coloured: bool,
}

/// A place in the tree. It stays the same whatever is told anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    /// A host.
    Host(String),
    /// A group of a host.
    Group(String, String),
    /// A service.
    Service(ServiceId),
}

/// What keys mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// They move and do.
    #[default]
    Tree,
    /// They are letters of the filter.
    Filter,
    /// They say yes or no.
    Confirm(Step),
    /// Any of them ends the help.
    Help,
    /// They move in the logs, which fill the screen.
    Logs,
}

/// Something to be done with services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What.
    pub(crate) verb: Verb,
    /// With which.
    pub(crate) target: Target,
    /// Their name for people.
    pub(crate) name: String,
}

/// What can be done with services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Start them, and what they need.
    Start,
    /// End them.
    Stop,
    /// Start them anew.
    Restart,
}

impl Verb {
    /// As in a question: `restart`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// What a service prints.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Which service.
    pub(crate) of: Option<ServiceId>,
    /// Its last lines.
    pub(crate) lines: VecDeque<LogLine>,
    /// Lines that were left out.
    pub(crate) missed: u64,
    /// How many lines above the last one the view ends; 0 follows.
    pub(crate) back: usize,
    /// Why there are none.
    pub(crate) trouble: Option<String>,
}

impl Logs {
    /// Forgets what was told, which is told again.
    pub(crate) fn begin(&mut self) {
        *self = Self { of: self.of.take(), ..Self::default() };
    }

    /// Adds a line. Whoever looks back keeps looking at the same lines.
    pub(crate) fn push(&mut self, line: LogLine) {
        self.lines.push_back(line);
        if self.lines.len() > MOST_LINES {
            self.lines.pop_front();
        }
        if self.back > 0 {
            self.back = (self.back + 1).min(self.lines.len());
        }
    }
}

/// A line of the tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a> {
    /// A host, and whether it is folded.
    Host(&'a HostStatus, bool),
    /// A group of a host: its name, its services, whether it is folded.
    Group(&'a HostStatus, &'a str, bool),
    /// A service.
    Service(&'a ServiceStatus),
}

impl Row<'_> {
    /// Which one.
    pub(crate) fn spot(&self) -> Spot {
        match self {
            Self::Host(host, _) => Spot::Host(host.host.clone()),
            Self::Group(host, group, _) => Spot::Group(host.host.clone(), (*group).to_owned()),
            Self::Service(service) => Spot::Service(service.id.clone()),
        }
    }
}

impl Model {
    /// The lines of the tree, as far as they are unfolded and pass the filter.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for host in self.status.iter().flat_map(|status| &status.hosts) {
            let passing: Vec<&ServiceStatus> = host.services.iter().filter(|service| self.passes(service)).collect();
            if passing.is_empty() && !self.filter.is_empty() {
                continue;
            }
            let is_folded = self.is_folded(&Spot::Host(host.host.clone()));
            rows.push(Row::Host(host, is_folded));
            if !is_folded {
                self.rows_of(host, &passing, &mut rows);
            }
        }
        rows
    }

    /// Services without a group first, then group by group.
    fn rows_of<'a>(&self, host: &'a HostStatus, passing: &[&'a ServiceStatus], rows: &mut Vec<Row<'a>>) {
        let groups: BTreeSet<Option<&str>> = passing.iter().map(|service| service.group.as_deref()).collect();
        for group in groups {
            if let Some(group) = group {
                let is_folded = self.is_folded(&Spot::Group(host.host.clone(), group.to_owned()));
                rows.push(Row::Group(host, group, is_folded));
                if is_folded {
                    continue;
                }
            }
            rows.extend(passing.iter().filter(|service| service.group.as_deref() == group).map(|it| Row::Service(it)));
        }
    }

    /// Whoever searches sees what is folded, too.
    fn is_folded(&self, spot: &Spot) -> bool {
        self.filter.is_empty() && self.folded.contains(spot)
    }

    fn passes(&self, service: &ServiceStatus) -> bool {
        let wanted = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || has(&service.id.name)
            || service.group.as_deref().is_some_and(has)
            || has(service.state.word())
    }

    /// The place of what is selected among the rows.
    pub(crate) fn place(&self, rows: &[Row<'_>]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        rows.iter().position(|row| row.spot() == *selected)
    }

    /// The service that is selected.
    pub(crate) fn service(&self) -> Option<&ServiceStatus> {
        let Some(Spot::Service(id)) = &self.selected else { return None };
        self.status.iter().flat_map(|status| &status.hosts).flat_map(|host| &host.services).find(|it| it.id == *id)
    }
}
