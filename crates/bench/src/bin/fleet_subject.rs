//! A service of the fleet benchmark: small, ready after the time that it is told, and honest about when.
//!
//! Reads `SUBJECT_DELAY_MS` and `SUBJECT_DIRECTORY`; its name is its argument. Writes `stamps/NAME` (the
//! monotonic clock in nanoseconds when it began and when it was ready, and its processor time until then), tells
//! `NOTIFY_SOCKET`, and makes `ready/NAME` for those who look for a file. With `PORT` it listens there by then. It waits
//! to be ended.

use std::{
    io::Write as _,
    os::{linux::net::SocketAddrExt as _, unix::net},
    path::Path,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// A variable that the benchmark sets.
#[expect(clippy::disallowed_methods, reason = "this program is told by its environment, as services are")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn nanoseconds(clock: ClockId) -> i128 {
    let now = clock_gettime(clock);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

fn notify(socket: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => net::SocketAddr::from_abstract_name(name)?,
        None => net::SocketAddr::from_pathname(socket)?,
    };
    net::UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

fn main() -> std::io::Result<()> {
    let began = nanoseconds(ClockId::Monotonic);
    let name = std::env::args().nth(1).unwrap_or_default();
    let delay = told("SUBJECT_DELAY_MS").and_then(|delay| delay.parse().ok()).unwrap_or(0);
    let directory = told("SUBJECT_DIRECTORY").unwrap_or_default();
    let directory = Path::new(&directory);
    std::thread::sleep(Duration::from_millis(delay));
    let port = told("PORT").and_then(|port| port.parse::<u16>().ok());
    let listener = port.map(|port| std::net::TcpListener::bind(("127.0.0.1", port))).transpose()?;
    let used = nanoseconds(ClockId::ProcessCPUTime);
    let mut stamps = fs_err::OpenOptions::new().create(true).append(true).open(directory.join("stamps").join(&name))?;
    writeln!(stamps, "{began} {} {used}", nanoseconds(ClockId::Monotonic))?;
    if let Some(socket) = told("NOTIFY_SOCKET") {
        notify(&socket)?;
    }
    fs_err::write(directory.join("ready").join(&name), "")?;
    let Some(listener) = listener else {
        loop {
            std::thread::park();
        }
    };
    // Whoever asks is let in and let go.
    listener.incoming().for_each(drop);
    Ok(())
}
