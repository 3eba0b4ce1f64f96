//! Network namespaces joined by a cable, and what runs in them. They are gone with the value, and all their processes.

#![expect(clippy::disallowed_methods, reason = "tests start the programs that make networks")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

/// Namespaces by the names of their hosts.
#[derive(Debug)]
pub(crate) struct Network {
    namespaces: BTreeMap<String, String>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Network {
    /// A namespace for each host; of two, each has its address at its end of a cable.
    pub(crate) fn make(hosts: &[(&str, &str)]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces are made by root".to_owned());
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |host: &str| format!("mq{}-{number}-{host}", std::process::id());
        let mut network = Self { namespaces: BTreeMap::new() };
        for (host, _) in hosts {
            ip(&format!("netns add {}", name(host)))?;
            network.namespaces.insert((*host).to_owned(), name(host));
            ip(&format!("-n {} link set lo up", name(host)))?;
        }
        if let [(first, _), (second, _)] = hosts {
            ip(&format!("-n {} link add cable type veth peer name cable netns {}", name(first), name(second)))?;
            for (host, address) in hosts {
                ip(&format!("-n {} address add {address}/24 dev cable", name(host)))?;
                ip(&format!("-n {} link set cable up", name(host)))?;
            }
        }
        Ok(network)
    }

    /// The words before a command that is to run in the namespace of a host.
    pub(crate) fn inside(&self, host: &str) -> Vec<OsString> {
        let path = format!("--net=/run/netns/{}", self.namespaces[host]);
        ["/usr/bin/nsenter".to_owned(), path, "--".to_owned()].map(OsString::from).into()
    }

    /// Runs a command in the namespace of a host to its end.
    pub(crate) fn run(&self, host: &str, words: &[&str]) {
        let inside = self.inside(host);
        let done = Command::new(&inside[0]).args(&inside[1..]).args(words).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// The processes in all namespaces.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let listed = self.namespaces.values().filter_map(|name| output(&format!("netns pids {name}")).ok());
        listed.flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for pid in self.pids().into_iter().filter_map(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        for name in self.namespaces.values() {
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(line: &str) -> Result<(), String> {
    output(line).map(drop)
}

fn output(line: &str) -> Result<String, String> {
    let done: Output = Command::new("ip").args(line.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("`ip {line}` failed: {}", String::from_utf8_lossy(&done.stderr).trim()))
}
