//! The secrets of one environment: which program gets which placeholder or value, and the removal of values from what
//! programs say.
//!
//! Leaves out where values are stored and who granted them, and the replacement on the way out, which is the broker's.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use masque_types::{
    message::Part,
    persona::{Injection, Persona, SecretGrant},
    secret::Secret,
    tool::ToolOutput,
};
use rand::Rng as _;

/// Shorter values are not searched for in what programs say: they would be found everywhere.
const SHORTEST_SCRUBBED: usize = 6;

/// A secret that the user granted to the persona.
#[derive(Debug, Clone)]
pub struct HeldSecret {
    /// What the persona's file says about it.
    pub grant: SecretGrant,
    /// Its value.
    pub value: Secret,
}

/// A placeholder that means a secret at the border of the sandbox.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) placeholder: String,
    pub(super) held: HeldSecret,
}

/// Whose environment a secret stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Consumer {
    /// The tool server, and with it every command of the model.
    ToolServer,
    /// An MCP server, by name.
    Server(String),
}

/// Which program has what in its environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets {
    variables: BTreeMap<Consumer, BTreeMap<String, String>>,
    pub(super) bound: Vec<Bound>,
    values: Vec<(String, Secret)>,
}

impl Secrets {
    /// Deals the secrets out: to the servers that name them, and those that no server names to the tool server. Every
    /// program gets a placeholder of its own.
    pub(super) fn deal(persona: &Persona, held: Vec<HeldSecret>) -> Self {
        let claimed: BTreeSet<&str> =
            persona.mcp_servers.values().flat_map(|server| server.secrets.iter().map(String::as_str)).collect();
        let mut secrets = Self::default();
        for held in held {
            let name = held.grant.name.clone();
            let servers = persona.mcp_servers.iter().filter(|(_, server)| server.secrets.contains(&name));
            for (server, _) in servers {
                secrets.give(Consumer::Server(server.clone()), &held);
            }
            if !claimed.contains(name.as_str()) {
                secrets.give(Consumer::ToolServer, &held);
            }
            secrets.values.push((name, held.value));
        }
        secrets
    }

    fn give(&mut self, consumer: Consumer, held: &HeldSecret) {
        let text = match held.grant.inject {
            Injection::Environment => held.value.expose().to_owned(),
            Injection::Header => {
                let placeholder = placeholder();
                self.bound.push(Bound { placeholder: placeholder.clone(), held: held.clone() });
                placeholder
            }
        };
        self.variables.entry(consumer).or_default().insert(held.grant.name.clone(), text);
    }

    /// Takes away what needs the broker, where there is none; gives the names of what is lost.
    pub(super) fn without_broker(&mut self) -> Vec<String> {
        let lost: BTreeSet<String> = self.bound.drain(..).map(|bound| bound.held.grant.name).collect();
        for variables in self.variables.values_mut() {
            variables.retain(|name, _| !lost.contains(name));
        }
        lost.into_iter().collect()
    }

    /// What a program has in its environment.
    pub(super) fn variables(&self, consumer: &Consumer) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.get(consumer).into_iter().flatten().map(|(name, text)| (name.into(), text.into()))
    }

    /// The names of the secrets whose values programs see.
    pub(super) fn exposed(&self) -> BTreeSet<String> {
        let bound: BTreeSet<&str> = self.bound.iter().map(|bound| bound.held.grant.name.as_str()).collect();
        let given = self.variables.values().flat_map(BTreeMap::keys);
        given.filter(|name| !bound.contains(name.as_str())).cloned().collect()
    }

    /// The text without values: a program may say what it was given, and that must not get into the journal.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.values {
            let value = value.expose();
            if value.len() >= SHORTEST_SCRUBBED && text.contains(value) {
                text = text.replace(value, &format!("[secret {name}]"));
            }
        }
        text
    }

    /// The output without values.
    pub(super) fn scrub_output(&self, output: ToolOutput) -> ToolOutput {
        if self.values.is_empty() {
            return output;
        }
        let scrub = |part| match part {
            Part::Text { text } => Part::text(self.scrub(&text)),
            part @ Part::Image { .. } => part,
        };
        ToolOutput { content: output.content.into_iter().map(scrub).collect(), ..output }
    }
}

/// A text that nobody can guess, and that is no value.
fn placeholder() -> String {
    let random: [u8; 20] = rand::rng().random();
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("mq_{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::persona::{McpServer, McpTransport};

    fn held(name: &str, inject: Injection) -> HeldSecret {
        let hosts = if inject == Injection::Header { vec!["example.org".to_owned()] } else { Vec::new() };
        let grant = SecretGrant { name: name.to_owned(), inject, hosts };
        HeldSecret { grant, value: Secret::new(format!("value-of-{name}")) }
    }

    fn server(secrets: &[&str]) -> McpServer {
        let transport =
            McpTransport::Stdio { command: "x".into(), args: Vec::new(), env: std::collections::BTreeMap::new() };
        let secrets = secrets.iter().map(|name| (*name).to_owned()).collect();
        McpServer { secrets, ..McpServer::new(transport) }
    }

    #[test]
    fn every_program_has_only_its_own() {
        let persona = Persona {
            mcp_servers: [("a".to_owned(), server(&["A", "BOTH"])), ("b".to_owned(), server(&["BOTH", "RAW"]))].into(),
            ..Persona::new("p")
        };
        let names = [
            ("A", Injection::Header),
            ("BOTH", Injection::Header),
            ("RAW", Injection::Environment),
            ("REST", Injection::Header),
        ];
        let mut secrets = Secrets::deal(&persona, names.into_iter().map(|(name, inject)| held(name, inject)).collect());
        let of = |secrets: &Secrets, consumer| -> BTreeMap<String, String> {
            let text = |text: OsString| text.into_string().unwrap();
            secrets.variables(&consumer).map(|(name, value)| (text(name), text(value))).collect()
        };
        let (a, b) = (of(&secrets, Consumer::Server("a".into())), of(&secrets, Consumer::Server("b".into())));
        assert_eq!(a.keys().collect::<Vec<_>>(), ["A", "BOTH"]);
        assert_eq!(b.keys().collect::<Vec<_>>(), ["BOTH", "RAW"]);
        assert_eq!(of(&secrets, Consumer::ToolServer).keys().collect::<Vec<_>>(), ["REST"]);
        assert_ne!(a["BOTH"], b["BOTH"], "each program has its own placeholder");
        assert!(a.values().all(|text| text.starts_with("mq_") && text.len() == 43));
        assert_eq!(b["RAW"], "value-of-RAW");
        assert_eq!(secrets.exposed().into_iter().collect::<Vec<_>>(), ["RAW"]);
        assert_eq!(secrets.scrub("x value-of-RAW y"), "x [secret RAW] y");
        assert_eq!(secrets.without_broker(), ["A", "BOTH", "REST"]);
        assert_eq!(of(&secrets, Consumer::Server("b".into())).keys().collect::<Vec<_>>(), ["RAW"]);
        assert!(secrets.bound.is_empty());
    }
}
