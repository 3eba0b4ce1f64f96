//! The keys of `fleet.toml`: the structures that it is read into, and that its JSON Schema is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{Condition, Kind, OnLoss, RestartPolicy, Start};

use super::{
    shapes::{Placed, Short},
    units::{Bytes, Mask, Port, Span},
};

/// A text, also written as a number or a boolean.
type Texts = BTreeMap<String, String>;

/// A fleet: hosts, groups, and services with their dependencies.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fleet")]
pub(super) struct FleetKeys {
    /// Name of the fleet: letters, digits, `-`, `_`, `.`. The directory's name when absent.
    pub(super) name: Option<Placed<String>>,
    /// Where relative paths begin, from this file on; its own directory when absent.
    pub(super) directory: Option<Placed<String>>,
    /// Directories in which scripts are looked for, in this order.
    pub(super) roots: Option<Vec<String>>,
    /// Further manifests: `fleet.toml` has the last word about the services that they declare.
    pub(super) include: Option<Vec<Placed<Short<String, IncludeKeys>>>>,
    /// Values for `${name}`.
    #[expect(dead_code, reason = "read before everything else, which it changes")]
    #[schemars(with = "Option<BTreeMap<String, Scalar>>")]
    pub(super) variables: Option<Value>,
    /// Added to every port of the fleet, so that several copies can run on one machine.
    pub(super) port_offset: Option<u16>,
    /// What holds for every service that does not say otherwise.
    #[expect(dead_code, reason = "put below each service before it is read")]
    #[schemars(with = "Option<ServiceKeys>")]
    pub(super) defaults: Option<Value>,
    /// Machines by name.
    pub(super) hosts: Option<BTreeMap<String, HostKeys>>,
    /// Groups by name.
    pub(super) groups: Option<BTreeMap<String, GroupKeys>>,
    /// Volumes of containers that are not called after the fleet.
    pub(super) volumes: Option<BTreeMap<String, SharedKeys>>,
    /// Networks of containers that are not called after the fleet.
    pub(super) networks: Option<BTreeMap<String, SharedKeys>>,
    /// Services by name, or by `host/name`.
    #[expect(dead_code, reason = "read one by one, with what stands below each")]
    #[schemars(with = "Option<BTreeMap<String, ServiceKeys>>")]
    pub(super) services: Option<Value>,
}

/// What may stand where a text is meant.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "never filled: only its schema is used")]
enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// Further manifests, and where what they declare belongs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Include")]
pub(super) struct IncludeKeys {
    /// Files, also as patterns: `config/*.yaml`.
    pub(super) files: OneOrMany,
    /// The host of their services.
    pub(super) host: Option<Placed<String>>,
    /// The group of their services.
    pub(super) group: Option<Placed<String>>,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
#[schemars(inline)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// A machine.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Host")]
pub(super) struct HostKeys {
    /// Address at which services of other hosts reach its services.
    pub(super) address: Option<String>,
    /// Port, or address with port, at which its supervisor answers other supervisors.
    #[schemars(with = "Option<Scalar>")]
    pub(super) link: Option<Placed<String>>,
    /// Public key of its supervisor: `ed25519:` and 64 hexadecimal digits.
    pub(super) key: Option<Placed<String>>,
    /// Memory of the machine, for hosts that the check cannot see.
    pub(super) memory: Option<Bytes>,
    /// Variables that its services get.
    #[schemars(with = "Option<BTreeMap<String, Scalar>>")]
    pub(super) environment: Option<Texts>,
}

/// Services that belong together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Group")]
pub(super) struct GroupKeys {
    /// What it is for.
    pub(super) description: Option<String>,
    /// Its host.
    pub(super) host: Option<Placed<String>>,
    /// What holds for each of its services that does not say otherwise.
    #[expect(dead_code, reason = "put below each service before it is read")]
    #[schemars(with = "Option<ServiceKeys>")]
    pub(super) defaults: Option<Value>,
    /// The container that it runs in, when it is to run in one.
    pub(super) container: Option<ContainerKeys>,
}

/// A volume or a network that has a name of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Shared")]
pub(super) struct SharedKeys {
    /// What the engine calls it; its key when absent.
    pub(super) name: Option<String>,
    /// Whether somebody else makes it: it must be there, and stays when the fleet goes.
    pub(super) external: Option<bool>,
}

/// How a group becomes a container.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Container")]
pub(super) struct ContainerKeys {
    /// Name of the image; made from the group's name when absent.
    pub(super) image: Option<String>,
    /// Image that it is built from.
    pub(super) base: Option<String>,
    /// A directory with a file that the image is built by.
    pub(super) build: Option<Short<String, BuildKeys>>,
    /// What replaces the entry point of the image.
    pub(super) entrypoint: Option<Vec<String>>,
    /// Debian packages to install.
    pub(super) packages: Option<Vec<String>>,
    /// Python requirements file.
    pub(super) requirements: Option<String>,
    /// Files and directories that are copied in: from the fleet's directory, to the image.
    pub(super) copy: Option<Texts>,
    /// Symbolic links made in the image: link, target.
    pub(super) links: Option<Texts>,
    /// Volumes: `./logs:/app/logs`, `~/models:/models`, `data:/app/data:ro`.
    pub(super) volumes: Option<Vec<Placed<String>>>,
    /// Network that it joins; `host` is the machine's own.
    pub(super) network: Option<String>,
    /// Further names by which others in that network find it.
    pub(super) aliases: Option<Vec<String>>,
    /// Address in that network.
    pub(super) address: Option<String>,
    /// Devices of the machine: `/dev/nvidia0`, `nvidia.com/gpu=all`.
    pub(super) devices: Option<Vec<String>>,
    /// Ports that the machine passes on: `8080:80`, `127.0.0.1:53:53/udp`, `8000-8003:9000-9003`.
    pub(super) publish: Option<Vec<Placed<String>>>,
}

/// How an image is built.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Build")]
pub(super) struct BuildKeys {
    /// The directory that is sent.
    pub(super) context: String,
    /// The file, from that directory on.
    pub(super) file: Option<String>,
}

/// A service. Texts may hold `${service.name}`, `${service.port}`, `${host.address}` beside the fleet's variables.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(super) struct ServiceKeys {
    /// What it is for.
    pub(super) description: Option<String>,
    /// What is executed: a line for the shell, or a list of words.
    pub(super) command: Option<CommandKeys>,
    /// The script that is executed, looked for in the roots.
    pub(super) script: Option<Placed<String>>,
    /// What executes the script: `python3 -u` for `.py`, `/bin/sh` for `.sh` when absent.
    pub(super) interpreter: Option<OneOrMany>,
    /// Arguments of the script.
    pub(super) args: Option<OneOrMany>,
    /// The image of a container that it runs in alone.
    pub(super) image: Option<String>,
    /// Working directory; the fleet's directory when absent.
    pub(super) directory: Option<String>,
    /// Its host.
    #[expect(dead_code, reason = "read before everything else of a service")]
    pub(super) host: Option<Placed<String>>,
    /// Its group.
    #[expect(dead_code, reason = "read before everything else of a service")]
    pub(super) group: Option<Placed<String>>,
    /// `service` runs on; `task` comes to its end.
    pub(super) kind: Option<Kind>,
    /// `always` with the fleet, or as a `standby` when it has to stand in.
    pub(super) start: Option<Start>,
    /// The address that it listens on.
    pub(super) listen: Option<String>,
    /// Its port.
    pub(super) port: Option<Port>,
    /// Further ports by name; `health` is the one that probes ask.
    pub(super) ports: Option<BTreeMap<String, Port>>,
    /// The port that probes ask is that much above its port.
    pub(super) health_port_offset: Option<u16>,
    /// Variables of its environment.
    #[schemars(with = "Option<BTreeMap<String, Scalar>>")]
    pub(super) environment: Option<Texts>,
    /// Variables of the supervisor that it gets too.
    pub(super) pass: Option<Vec<String>>,
    /// As whom it runs: `user` or `user:group`.
    pub(super) user: Option<Placed<String>>,
    /// Mask of new files' permissions: `"022"`.
    pub(super) umask: Option<Mask>,
    /// What it needs.
    pub(super) dependencies: Option<Vec<Placed<Short<String, DependencyKeys>>>>,
    /// When it is ready; `false`: as soon as it was started.
    pub(super) ready: Option<Placed<Short<bool, ProbeKeys>>>,
    /// How long it may take to become ready.
    pub(super) ready_within: Option<Span>,
    /// Whether it still works; `false`: as long as it runs.
    pub(super) live: Option<Placed<Short<bool, ProbeKeys>>>,
    /// When it is started again.
    pub(super) restart: Option<Short<RestartPolicy, RestartKeys>>,
    /// How it is ended.
    pub(super) stop: Option<StopKeys>,
    /// What it may use.
    pub(super) limits: Option<LimitKeys>,
    /// What is kept of what it prints.
    pub(super) logs: Option<LogKeys>,
    /// Whether the fleet cannot do without it.
    pub(super) required: Option<bool>,
    /// What stands in when it is missing or was given up, in this order.
    pub(super) fallback: Option<Vec<Placed<Short<String, FallbackKeys>>>>,
    /// The signal that tells it that its dependencies changed.
    pub(super) reload_signal: Option<Placed<String>>,
}

/// What is executed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a line for the shell or a list of words")]
#[schemars(inline)]
pub(super) enum CommandKeys {
    /// A line for the shell.
    Shell(String),
    /// A program and its arguments.
    Exec(Vec<String>),
}

/// What a service needs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Dependency")]
pub(super) struct DependencyKeys {
    /// The service: `name`, or `host/name`.
    pub(super) on: String,
    /// When it is met.
    pub(super) condition: Option<Condition>,
    /// Whether the service cannot do without.
    pub(super) required: Option<bool>,
    /// What stands in, before what the needed service itself declares.
    pub(super) fallback: Option<Vec<Short<String, FallbackKeys>>>,
    /// What happens when it is lost.
    pub(super) on_loss: Option<OnLoss>,
    /// How long it may be away before it counts as lost.
    pub(super) grace: Option<Span>,
}

/// Nothing runs in its place; the dependant is told by variables.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fallback")]
pub(super) struct FallbackKeys {
    /// What the dependant gets into its environment.
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub(super) environment: Texts,
}

/// A check, its rhythm, and how often it must agree. Addresses are `127.0.0.1` and the health port when absent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Probe")]
pub(super) struct ProbeKeys {
    /// A JSON request over ZeroMQ; `true`: `{"action": "health_check"}`, answered with a good `status`.
    pub(super) zmq: Option<Placed<Short<bool, ZmqKeys>>>,
    /// An HTTP request: a path, or more.
    pub(super) http: Option<Placed<Short<String, HttpKeys>>>,
    /// A connection is accepted: `true`, a port, or an address with port.
    pub(super) tcp: Option<Placed<TargetKeys>>,
    /// The gRPC health service says SERVING: `true`, a port, an address with port, or more.
    pub(super) grpc: Option<Placed<Short<TargetKeys, GrpcKeys>>>,
    /// A command ends with 0.
    pub(super) exec: Option<CommandKeys>,
    /// The service says `READY=1` on the socket named by `NOTIFY_SOCKET`.
    pub(super) notify: Option<bool>,
    /// The service writes to, or closes, the descriptor whose number is in `READY_FD`.
    pub(super) fd: Option<bool>,
    /// A file exists.
    pub(super) file: Option<String>,
    /// A line that the service prints matches this regular expression.
    pub(super) log: Option<String>,
    /// Time between two checks once the service is ready; 10 s when absent.
    pub(super) period: Option<Span>,
    /// How long one check may take; 2 s when absent.
    pub(super) timeout: Option<Span>,
    /// Failures in a row that make it unhealthy; 3 when absent.
    pub(super) failures: Option<u32>,
    /// Successes in a row that make it healthy; 1 when absent.
    pub(super) successes: Option<u32>,
}

/// The checks among the keys of a probe: one of them is needed.
pub(super) const CHECKS: [&str; 9] = ["zmq", "http", "tcp", "grpc", "exec", "notify", "fd", "file", "log"];

/// Whom a check asks.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `true`, a port, or an address with port")]
#[schemars(inline)]
pub(super) enum TargetKeys {
    /// The health port of the service.
    Own(bool),
    /// Another port of it.
    Port(Port),
    /// An address with port.
    Address(String),
}

/// A JSON request over ZeroMQ.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Zmq")]
pub(super) struct ZmqKeys {
    /// The port that is asked.
    pub(super) port: Option<Port>,
    /// The address with port that is asked.
    pub(super) address: Option<String>,
    /// What is sent; `{"action": "health_check"}` when absent.
    pub(super) request: Option<Value>,
    /// Good values by their path in the reply: `status`, `health.state`.
    pub(super) expect: Option<BTreeMap<String, Values>>,
    /// Values that mean that it answers, but not well. Where `expect` says nothing of the same path, every other one is good.
    pub(super) degraded: Option<BTreeMap<String, Values>>,
    /// Paths that the reply need not have.
    pub(super) optional: Option<Vec<String>>,
}

/// One value or several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Values {
    Many(Vec<Value>),
    One(Value),
}

/// An HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Http")]
pub(super) struct HttpKeys {
    /// The port that is asked.
    pub(super) port: Option<Port>,
    /// The address with port that is asked.
    pub(super) address: Option<String>,
    /// Path with query; `/` when absent.
    pub(super) path: Option<String>,
    /// Further headers.
    pub(super) headers: Option<Texts>,
    /// Good status codes: one, or from and to; 200 to 399 when absent.
    pub(super) status: Option<StatusKeys>,
}

/// Good status codes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a status code, or two as `[from, to]`")]
#[schemars(inline)]
pub(super) enum StatusKeys {
    /// This one.
    One(u16),
    /// From, to.
    Range([u16; 2]),
}

/// A request to the gRPC health service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Grpc")]
pub(super) struct GrpcKeys {
    /// The port that is asked.
    pub(super) port: Option<Port>,
    /// The address with port that is asked.
    pub(super) address: Option<String>,
    /// Name of the service to ask about; the whole server when absent.
    pub(super) service: Option<String>,
}

/// When a service that ended is started again.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Restart")]
pub(super) struct RestartKeys {
    /// When; `always` when absent.
    pub(super) policy: Option<RestartPolicy>,
    /// Bound of the first wait, which doubles; 100 ms when absent.
    pub(super) first: Option<Span>,
    /// Bound of every wait; 30 s when absent.
    pub(super) max: Option<Span>,
    /// After this time of being ready the next failure counts as the first again; 60 s when absent.
    pub(super) stable_after: Option<Span>,
    /// Failures within `window` after which it is given up; 10 when absent, 0 for never.
    pub(super) limit: Option<u32>,
    /// The time that `limit` is counted in; 5 m when absent.
    pub(super) window: Option<Span>,
    /// After this time one more start is tried; 10 m when absent, `0s` for never.
    pub(super) retry_after: Option<Span>,
}

/// How a service is ended.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stop")]
pub(super) struct StopKeys {
    /// The signal that asks it; `TERM` when absent.
    pub(super) signal: Option<Placed<String>>,
    /// How long it may take; 10 s when absent.
    pub(super) grace: Option<Span>,
}

/// What a service and everything that it starts may use together.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitKeys {
    /// Memory: `512MiB`.
    pub(super) memory: Option<Bytes>,
    /// Processors: `1.5`.
    pub(super) cpus: Option<Placed<f64>>,
    /// Processes and threads.
    pub(super) processes: Option<u32>,
    /// Open files of each process.
    pub(super) open_files: Option<u64>,
    /// Whether it may not start where the limits cannot be enforced.
    pub(super) enforce: Option<bool>,
}

/// What is kept of what a service prints.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Logs")]
pub(super) struct LogKeys {
    /// Size at which a file is closed and a new one begun; 10 MiB when absent.
    pub(super) rotate: Option<Bytes>,
    /// How many closed files are kept; 5 when absent.
    pub(super) keep: Option<u32>,
    /// Bytes a second that are kept; what is above is dropped and told.
    pub(super) budget: Option<Bytes>,
}

/// The schema of `fleet.toml`, draft 2020-12.
pub(super) fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema: Value = settings.into_generator().into_root_schema_for::<FleetKeys>().into();
    allow_variables(&mut schema);
    if let Value::Object(keys) = &mut schema {
        keys.insert("$id".to_owned(), Value::from("urn:masque:fleet:v1"));
    }
    schema
}

/// Where a number or a boolean may stand, a text with a variable may stand too.
fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        Value::Object(keys) => {
            let plain = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
            let is_plain = keys.get("type").is_some_and(|kind| match kind {
                Value::Array(kinds) => kinds.iter().any(plain),
                kind => plain(kind),
            });
            if is_plain {
                let description = keys.remove("description");
                let own = Value::Object(std::mem::take(keys));
                let text = serde_json::json!({ "type": "string", "pattern": r"\$\{" });
                keys.insert("anyOf".to_owned(), Value::Array(vec![own, text]));
                keys.extend(description.map(|text| ("description".to_owned(), text)));
            } else {
                keys.values_mut().for_each(allow_variables);
            }
        }
        _ => {}
    }
}
