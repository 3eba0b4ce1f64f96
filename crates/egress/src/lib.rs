//! The only way out of a sandbox: a broker with a network stack of its own that lets programs reach listed hosts and
//! puts secrets in on the way.
//!
//! Owns: rules and names, the stack behind the sandbox's network device, DNS for programs, the checks on names, addresses,
//! TLS greetings and HTTP requests, certificates for bound hosts, replacing placeholders and scrubbing answers. Leaves out
//! making the sandbox and its network device, and which persona may reach what.
//!
//! How a connection goes: a program asks for a listed name and gets an address that stands for this name and exists
//! nowhere. It connects to it; the stack answers. The broker checks name and port, reads the name in the TLS greeting or
//! the HTTP request where there is one, resolves the name once, checks what kind of address that is, and dials that very
//! address. Bytes are passed on as they are, unless a secret is bound to the host: then TLS ends in the broker, which puts
//! the value in for the placeholder and opens TLS to the host itself.
//!
//! What cannot be seen: behind a right TLS greeting to a host without secrets, what a program asks that host for. What
//! cannot be found in answers: a value that the host compressed, encrypted, or sent in parts of separate answers.

mod address;
mod authority;
mod broker;
mod context;
mod counters;
mod device;
mod dial;
mod dns;
mod error;
mod event;
mod flow;
mod greeting;
mod http;
mod intercept;
mod meter;
mod name;
mod names;
mod observer;
mod packet;
mod port;
mod program;
mod quota;
mod relay;
mod resolver;
mod rules;
mod scrub;
mod secrets;
mod serve;
mod spec;
mod stack;
mod watch;
mod wire;

pub use address::forbidden_class;
pub use broker::Broker;
pub use counters::Counters;
pub use device::{CERTIFICATE_VARIABLES, DEVICE, DeviceSettings};
pub use error::Error;
pub use event::{Event, Quota, Refusal};
pub use name::{HostName, NameError};
pub use port::PacketPort;
pub use resolver::{Resolver, SystemResolver};
pub use rules::Rules;
pub use spec::{AddressPolicy, BrokerSpec, Limits, SecretRule, Trust};
