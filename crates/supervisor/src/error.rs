//! What can go wrong in a supervisor and its clients.

use std::{io, net::SocketAddr, path::PathBuf};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a socket or a process could not be used; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something of the sandbox's side: a program, a control group.
    #[error(transparent)]
    Sandbox(#[from] masque_sandbox::Error),
    /// Something of the container engine's side: an image, a container.
    #[error(transparent)]
    Container(#[from] masque_container::Error),
    /// Another supervisor has this state directory.
    #[error("process {process} supervises {} already", .directory.display())]
    Running {
        /// The state directory.
        directory: PathBuf,
        /// The other supervisor.
        process: u32,
    },
    /// Nobody answers in this state directory.
    #[error("no supervisor runs for {}", .directory.display())]
    NotRunning {
        /// The state directory.
        directory: PathBuf,
    },
    /// The supervisor does not do what was asked; its own sentence.
    #[error("{0}")]
    Refused(String),
    /// The other side of a socket said something that is no message of this version.
    #[error("the supervisor's answer cannot be read: {0}; is it of another version of Masque?")]
    Answer(String),
    /// The supervisor went away in the middle of an answer.
    #[error("the supervisor ended before it had answered")]
    Gone,
    /// The supervisor runs and says nothing, for example because it was stopped by a signal.
    #[error("process {process}, the supervisor, does not answer")]
    Silent {
        /// The supervisor.
        process: u32,
    },
    /// A file of the state directory was written by a newer version.
    #[error("{}: cannot be read by this version of Masque: {why}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A text is no public key of a host.
    #[error(
        "`{place}` is `{text}`: expected `ed25519:` and 64 hexadecimal digits, as `masque fleet key show` prints them on that host"
    )]
    HostKey {
        /// Which field says it.
        place: String,
        /// What it says.
        text: String,
    },
    /// A host that others are to be linked with has no key.
    #[error("`hosts.{host}.key` is missing: put there what `masque fleet key show` prints on {host}")]
    NoHostKey {
        /// The host.
        host: String,
    },
    /// The manifest says another key than this machine has.
    #[error(
        "this machine's key is {own}, but `hosts.{host}.key` says {told}: run this on {host}, or put this machine's key there"
    )]
    OtherHostKey {
        /// The host that this machine is to be.
        host: String,
        /// The key that it has.
        own: String,
        /// The key that the manifest says.
        told: String,
    },
    /// Two hosts have the same key.
    #[error(
        "`hosts.{first}.key` and `hosts.{second}.key` are the same: each host needs its own, made by `masque fleet key new`"
    )]
    SameHostKey {
        /// One of them.
        first: String,
        /// The other one.
        second: String,
    },
    /// Neither of two hosts can be dialled.
    #[error(
        "neither `hosts.{own}.link` nor `hosts.{peer}.link` is set: give one an address and port such as 192.0.2.1:7400"
    )]
    NoLinkAddress {
        /// This host.
        own: String,
        /// The other one.
        peer: String,
    },
    /// The link's address cannot be listened on.
    #[error(
        "cannot listen for other supervisors on {place}: {source}; another program may have it, or it is not of this machine"
    )]
    LinkListen {
        /// The address, or the socket's file.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// Others than this user may write in the directory of the sockets.
    #[error("{} is open to others: only this user and its group may write there (chmod o-w)", directory.display())]
    SharedDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// A connection to another supervisor was ended, and why.
    #[error("{0}")]
    Talk(String),
    /// A text is no loopback address and port.
    #[error("metrics cannot be told on `{address}`: expected a loopback address and port such as 127.0.0.1:9090")]
    MetricsAddress {
        /// The text.
        address: String,
    },
    /// The address for metrics cannot be listened on.
    #[error("cannot tell metrics on {address}: {source}; another program may have it")]
    MetricsListen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}
