//! [`Report`]: what a check found, and who would stand in for whom.

use std::{collections::BTreeMap, fmt};

use masque_types::diagnostic::Severity;
use serde::{Deserialize, Serialize};

use crate::model::ServiceId;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Services wait for each other for ever.
    Cycle,
    /// They would, if some service stood in for another one.
    CycleByFallback,
    /// A need for a service that does not exist, and nobody stands in.
    UndefinedDependency,
    /// A need for a service that cannot be started, and nobody stands in.
    UnmetDependency,
    /// A need that never comes true.
    ImpossibleCondition,
    /// A need that is said twice.
    RepeatedDependency,
    /// Two services of one name on one host.
    DuplicateName,
    /// A host that is not described.
    UnknownHost,
    /// A group that is not described.
    UnknownGroup,
    /// A group on several hosts.
    DividedGroup,
    /// A service that cannot be started on this machine.
    MissingProgram,
    /// Services that a container engine starts and no supervisor.
    OnlyDeployed,
    /// A working directory that is not there.
    MissingDirectory,
    /// A user or group that is not there.
    MissingAccount,
    /// An image that the engine does not have.
    MissingImage,
    /// A device that is not there.
    MissingDevice,
    /// A file for an image that is not there.
    MissingFile,
    /// A fallback that is missing itself.
    MissingFallback,
    /// Fallbacks that lead back to where they started.
    FallbackCycle,
    /// A standby that nobody names.
    UnusedStandby,
    /// Two services on one port.
    PortClash,
    /// A port that somebody else holds on this machine.
    PortTaken,
    /// A port that only root may use.
    PrivilegedPort,
    /// An address that cannot be meant.
    Address,
    /// A host that others have to reach, and cannot.
    UnreachableHost,
    /// A service with a port whose readiness nobody sees.
    NoProbe,
    /// A probe that stands for a whole group.
    OneProbeForGroup,
    /// A probe that asks somebody else.
    ForeignProbe,
    /// A probe on a port that nobody declares.
    UndeclaredProbe,
    /// More memory than the machine has.
    Memory,
    /// A limit that cannot be enforced.
    Limit,
}

impl Rule {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub rule: Rule,
    /// The service, when it is one's.
    pub service: Option<ServiceId>,
    /// What is wrong, in one sentence without full stop.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: ")?;
        if let Some(service) = &self.service {
            write!(f, "{service}: ")?;
        }
        write!(f, "{}; {}", self.message, self.hint)
    }
}

/// Who takes the place of a service that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandIn {
    /// Another service.
    Service(ServiceId),
    /// Nothing runs; dependants are told by these variables.
    Environment(BTreeMap<String, String>),
    /// Nobody, and dependants start without.
    Nobody,
}

/// A service that is missing, and what happens instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitution {
    /// Who is missing.
    pub missing: ServiceId,
    /// Why.
    pub why: String,
    /// Who takes its place.
    pub by: StandIn,
    /// For whom.
    pub dependants: Vec<ServiceId>,
}

impl fmt::Display for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.missing, self.why)?;
        match &self.by {
            StandIn::Service(id) => write!(f, " → {id}")?,
            StandIn::Environment(variables) => {
                let names: Vec<_> = variables.keys().map(String::as_str).collect();
                write!(f, " → told by {}", names.join(", "))?;
            }
            StandIn::Nobody => f.write_str(" → left out")?,
        }
        let dependants: Vec<_> = self.dependants.iter().map(ToString::to_string).collect();
        if dependants.is_empty() { Ok(()) } else { write!(f, " for {}", dependants.join(", ")) }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Report {
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Who would stand in for whom.
    pub substitutions: Vec<Substitution>,
}

impl Report {
    /// Whether the fleet can start: there may be warnings.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.errors() == 0
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    pub(super) fn error(
        &mut self,
        rule: Rule,
        service: Option<&ServiceId>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, rule, service, (message.into(), hint.into()));
    }

    pub(super) fn warning(
        &mut self,
        rule: Rule,
        service: Option<&ServiceId>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Warning, rule, service, (message.into(), hint.into()));
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        rule: Rule,
        service: Option<&ServiceId>,
        (message, hint): (String, String),
    ) {
        self.findings.push(Finding { severity, rule, service: service.cloned(), message, hint });
    }

    /// Errors first; otherwise in the order in which they were found.
    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
}
