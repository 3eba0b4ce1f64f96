//! What of the host's system every sandbox may read: an allow-list, looked up once.
//!
//! Programs and libraries, the few files of `/etc` that they need, and the harmless devices. Names, users and hosts
//! are written anew, so that nothing of the host's accounts is visible.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::profile::Network;

/// Directories of programs and libraries; on most systems all but the first are links into it.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Files and directories of `/etc` without secrets.
const CONFIGURATION: &[&str] = &[
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
];

/// Read with network only.
const NETWORK_CONFIGURATION: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf"];

/// Devices without state.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Files of `/proc` that only their mode keeps from others, which is no obstacle for a caller that is root. What needs a
/// capability besides, as `kcore` and `kmsg`, is refused anyway, and each cover costs time.
const MACHINE: &[&str] = &[
    "/proc/key-users",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/slabinfo",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];

/// Paths that no workspace, readable or writable directory may contain or be: the sandbox has its own there.
const RESERVED: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc/ssl/certs",
    "/home",
    "/lib",
    "/proc",
    "/root/.ssh",
    "/run/masque",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var/lib",
];
/// Trees in which nothing may be granted.
const FORBIDDEN: &[&str] = &["/dev", "/proc", "/sys", "/run/masque"];

/// How a path of the system looks.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A file; where it really is.
    File { path: PathBuf, real: PathBuf },
    /// A directory.
    Directory { path: PathBuf },
    /// A link that leads into a directory of programs; its target as written.
    Link { path: PathBuf, target: PathBuf },
}

/// The allow-list as it is on this machine.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) entries: Vec<Entry>,
    pub(crate) network_entries: Vec<Entry>,
    pub(crate) devices: Vec<PathBuf>,
    /// Files and directories of `/proc` to cover.
    pub(crate) machine: Vec<(PathBuf, crate::plan::Cover)>,
}

impl System {
    /// Looks the allow-list up.
    pub(crate) fn detect() -> Self {
        let list = |paths: &[&str]| paths.iter().filter_map(|path| entry(Path::new(path))).collect::<Vec<_>>();
        let mut entries = list(PROGRAMS);
        entries.extend(list(CONFIGURATION));
        let existing = |paths: &'static [&str]| paths.iter().map(PathBuf::from).filter(|path| path.exists());
        // For others than root the mode is enough, where it keeps others out.
        let root = rustix::process::geteuid().is_root();
        let open =
            |path: &PathBuf| fs_err::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0);
        let machine = existing(MACHINE).filter(|path| root || open(path)).map(|path| {
            let cover = if path.is_dir() { crate::plan::Cover::Directory } else { crate::plan::Cover::File };
            (path, cover)
        });
        Self {
            entries,
            network_entries: list(NETWORK_CONFIGURATION),
            devices: existing(DEVICES).collect(),
            machine: machine.collect(),
        }
    }

    /// Small files that are written instead of shown.
    pub(crate) fn written(network: &Network) -> Vec<(&'static str, String)> {
        let names = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";
        let mut files = vec![
            ("/etc/passwd", PASSWD.to_owned()),
            ("/etc/group", GROUP.to_owned()),
            ("/etc/nsswitch.conf", names.to_owned()),
            ("/etc/hostname", "sandbox\n".to_owned()),
        ];
        if *network != Network::Host {
            files.push(("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()));
        }
        files.extend(
            network.device().map(|device| ("/etc/resolv.conf", format!("nameserver {}\n", device.name_server))),
        );
        files
    }
}

/// The user inside, a name for foreign files, and the name that programs look for.
const PASSWD: &str = "root:x:0:0:root:/:/usr/sbin/nologin\nmasque:x:1000:1000:masque:/tmp/home:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nmasque:x:1000:\nnogroup:x:65534:\n";

fn entry(path: &Path) -> Option<Entry> {
    let kind = fs_err::symlink_metadata(path).ok()?.file_type();
    if kind.is_symlink() {
        let real = fs_err::canonicalize(path).ok()?;
        let path = path.to_path_buf();
        if real.starts_with("/usr") {
            return Some(Entry::Link { target: fs_err::read_link(&path).ok()?, path });
        }
        return real.is_file().then_some(Entry::File { path, real });
    }
    let path = path.to_path_buf();
    if kind.is_dir() {
        return Some(Entry::Directory { path });
    }
    kind.is_file().then(|| Entry::File { real: path.clone(), path })
}

/// Why a directory may not be granted, if so.
pub(crate) fn refusal(path: &Path) -> Option<&'static str> {
    if RESERVED.iter().any(|reserved| Path::new(reserved).starts_with(path)) {
        return Some("is or contains a directory of the system; name a directory below it");
    }
    FORBIDDEN
        .iter()
        .any(|forbidden| path.starts_with(forbidden))
        .then_some("belongs to the kernel; it cannot be granted")
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use std::path::Path;

    #[test]
    fn system_directories_cannot_be_granted_as_a_whole() {
        for path in ["/", "/usr", "/etc", "/etc/ssl", "/tmp", "/proc/1", "/dev/shm", "/run", "/home", "/root", "/var"] {
            assert!(refusal(Path::new(path)).is_some(), "{path}");
        }
        for path in ["/home/someone/project", "/tmp/x", "/usr/src/app", "/srv", "/root/project", "/etc/fonts"] {
            assert!(refusal(Path::new(path)).is_none(), "{path}");
        }
    }
}
