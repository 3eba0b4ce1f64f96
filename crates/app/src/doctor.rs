//! What this machine can enforce, which models can be asked, and whether store and configuration are in order.

use masque_sandbox::State;
use masque_types::diagnostic::Severity;

use crate::{App, Error, containers::can_serve, host::Host};

/// One line of the examination.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    /// What it belongs to: `sandbox`, `models`, `memory`, `store`, `configuration`, `personas`.
    pub section: &'static str,
    /// What was looked at.
    pub name: String,
    /// What was found.
    pub state: Health,
    /// In words.
    pub detail: String,
}

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Works.
    Good,
    /// Not there, and nothing depends on it.
    Absent,
    /// Something that is needed does not work.
    Bad,
}

impl App {
    /// Examines everything that Masque stands on.
    ///
    /// # Errors
    /// When the configuration of the models is wrong.
    pub async fn doctor(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = self.sandbox_findings();
        findings.push(self.container_finding().await);
        for provider in self.providers().await? {
            let state = if provider.usable { Health::Good } else { Health::Absent };
            findings.push(Finding { section: "models", name: provider.name, state, detail: provider.state });
        }
        findings.push(self.embedder_finding().await);
        findings.push(self.store_finding().await);
        findings.extend(self.configuration_findings());
        findings.extend(self.persona_findings());
        Ok(findings)
    }

    fn sandbox_findings(&self) -> Vec<Finding> {
        let finding = |mechanism: masque_sandbox::Mechanism| {
            let (state, how) = match mechanism.state {
                State::Enforced(how) => (Health::Good, how),
                State::Missing(why) if mechanism.required => (Health::Bad, why),
                State::Missing(why) => (Health::Absent, why),
            };
            let detail = format!("{}; {how}", mechanism.enforces);
            Finding { section: "sandbox", name: mechanism.name.to_owned(), state, detail }
        };
        self.launcher.mechanisms().into_iter().map(finding).collect()
    }

    async fn container_finding(&self) -> Finding {
        let (state, detail) = match self.containers.engine().await {
            Ok(engine) => (Health::Good, format!("containers as a place for programs; {engine}")),
            Err(_) if can_serve(&self.host, &self.settings) => {
                let how = "containers as a place for programs; Podman, whose service is started when one is needed";
                (Health::Good, how.to_owned())
            }
            Err(error) => (Health::Absent, format!("containers as a place for programs; {error}")),
        };
        Finding { section: "sandbox", name: "container engine".to_owned(), state, detail }
    }

    async fn embedder_finding(&self) -> Finding {
        let view = self.embedder_view().await;
        let (state, detail) = match (view.model, view.dimension) {
            (Some(model), Some(dimension)) => (Health::Good, format!("{model}, {dimension} numbers per vector")),
            _ if matches!(view.setting.as_str(), "auto" | "none") => (Health::Absent, view.note.unwrap_or_default()),
            _ => (Health::Bad, view.note.unwrap_or_default()),
        };
        Finding { section: "memory", name: "embeddings".to_owned(), state, detail }
    }

    async fn store_finding(&self) -> Finding {
        let (state, detail) = match self.store.audit_verify().await {
            Ok(report) if report.broken.is_none() => {
                (Health::Good, format!("audit chain of {} entries is unbroken", report.entries))
            }
            Ok(report) => {
                let broken = report.broken.map(|broken| format!(" at entry {}: {}", broken.entry, broken.what));
                (Health::Bad, format!("the audit chain is broken{}", broken.unwrap_or_default()))
            }
            Err(error) => (Health::Bad, error.to_string()),
        };
        Finding { section: "store", name: "audit".to_owned(), state, detail }
    }

    fn configuration_findings(&self) -> Vec<Finding> {
        let finding = |(name, detail): (&str, String)| Finding {
            section: "configuration",
            name: name.to_owned(),
            state: Health::Good,
            detail,
        };
        let bad = |detail| Finding { state: Health::Bad, ..finding(("file", detail)) };
        let places = [("home", self.host.home.display()), ("user's file", self.host.config.display())];
        let places = places.map(|(name, path)| finding((name, path.to_string())));
        let wrong = self.settings.diagnostics.iter().map(|diagnostic| bad(diagnostic.to_string()));
        places.into_iter().chain(wrong).collect()
    }

    fn persona_findings(&self) -> Vec<Finding> {
        let catalog = crate::personas::catalog(&self.host, &Host::project(&self.host.directory));
        let usable = catalog.personas.iter().filter(|loaded| !loaded.shadowed).count();
        let summary = Finding {
            section: "personas",
            name: "found".to_owned(),
            state: Health::Good,
            detail: format!("{usable} personas, {} files that cannot be used", catalog.broken.len()),
        };
        let errors = catalog.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let errors = errors.map(|found| Finding {
            name: "broken".to_owned(),
            state: Health::Bad,
            detail: found.to_string(),
            ..summary.clone()
        });
        std::iter::once(summary.clone()).chain(errors).collect()
    }
}
