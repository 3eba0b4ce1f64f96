//! [`opens`]: when somebody begins to listen at a port, so that a starting service is asked at that moment and not at the
//! next turn of its rhythm.
//!
//! However many wait, one of them looks for all, every few milliseconds; when nobody waits, nobody looks. Leaves out
//! who listens: that is what the check finds.

mod diag;

use std::{collections::BTreeSet, future::pending, sync::LazyLock, time::Duration};

use tokio::sync::{Mutex, watch};

use self::diag::Diagnosis;

/// How often is looked while anybody waits.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// The ports of this process's network: there is one, so there is one of these.
static PORTS: LazyLock<Ports> = LazyLock::new(|| Ports { looking: Mutex::new(None), open: watch::Sender::default() });

struct Ports {
    /// Held by the one who looks; the socket is made with the first look.
    looking: Mutex<Option<Diagnosis>>,
    /// What was seen last.
    open: watch::Sender<BTreeSet<u16>>,
}

/// Waits until somebody begins to listen at a port. For ever where the kernel does not say who listens.
pub(super) async fn opens(port: u16) {
    let mut seen = PORTS.open.subscribe();
    loop {
        tokio::select! {
            mut socket = PORTS.looking.lock() => return look(&mut socket, port).await,
            changed = seen.changed() => {
                if changed.is_ok() && seen.borrow_and_update().contains(&port) {
                    return;
                }
            }
        }
    }
}

/// Looks for all who wait, until the own port is open.
async fn look(socket: &mut Option<Diagnosis>, port: u16) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(ports) = ports(socket) else { return pending().await };
        let is_open = ports.contains(&port);
        PORTS.open.send_if_modified(|seen| {
            let is_new = *seen != ports;
            *seen = ports;
            is_new
        });
        if is_open {
            return;
        }
    }
}

fn ports(socket: &mut Option<Diagnosis>) -> Option<BTreeSet<u16>> {
    if socket.is_none() {
        *socket = Diagnosis::open().ok();
    }
    socket.as_ref()?.listening().ok()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Duration};

    use super::opens;

    #[tokio::test]
    async fn everybody_who_waits_is_told_when_the_port_opens() {
        // Found by listening there for a moment.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let mut waiting = tokio::task::JoinSet::new();
        for port in [ports[0], ports[1], ports[1]] {
            waiting.spawn(opens(port));
        }
        let mut listeners = Vec::new();
        for port in ports {
            listeners.push(TcpListener::bind(("127.0.0.1", port)).unwrap());
        }
        let all = async { while waiting.join_next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    }
}
