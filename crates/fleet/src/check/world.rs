//! [`World`]: what there is on a machine, as far as a fleet asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use super::network::ports;
use crate::model::{Command, Fleet, Service};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Whether anybody may execute it.
        executable: bool,
        /// The program that its first line asks for.
        interpreter: Option<String>,
    },
    /// A device, a socket or the like.
    Other,
}

/// A program that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Who: `nginx (process 812)`; absent when it cannot be seen.
    pub owner: Option<String>,
    /// Whether it belongs to this very fleet, which runs already.
    pub is_of_fleet: bool,
}

/// What there is on a machine. Absent values are not known, and nothing is found wrong about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Which of the fleet's hosts this machine is.
    pub host: Option<String>,
    /// The groups that are to run here; empty for all of the host.
    pub groups_here: BTreeSet<String>,
    /// What is at the paths that the fleet names.
    pub entries: BTreeMap<PathBuf, Entry>,
    /// Where programs are, by the value of `PATH` and their name.
    pub programs: BTreeMap<(String, String), Option<PathBuf>>,
    /// `PATH` of services that set none.
    pub path: String,
    /// Names of users.
    pub users: Option<BTreeSet<String>>,
    /// Names of groups of users.
    pub groups: Option<BTreeSet<String>>,
    /// Whether the supervisor is root.
    pub is_root: bool,
    /// The first port that everybody may use.
    pub first_unprivileged_port: u16,
    /// Who listens.
    pub listeners: Vec<Listener>,
    /// Addresses of the machine.
    pub addresses: Option<BTreeSet<IpAddr>>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Limits that can be enforced: `memory`, `cpus`, `processes`.
    pub enforceable: Option<BTreeSet<String>>,
    /// Images that the container engine has.
    pub images: Option<BTreeSet<String>>,
}

impl World {
    /// Looks at this machine. `host` says which of the fleet's hosts it is; without it, the only one, or the one whose
    /// address it has. `path` is the value of `PATH` for services that set none. Images are left to the caller, who may
    /// know an engine.
    #[must_use]
    pub fn of_this_machine(fleet: &Fleet, host: Option<&str>, path: &str) -> Self {
        let addresses = addresses();
        let host = host.map(str::to_owned).or_else(|| host_of(fleet, addresses.as_ref()));
        let mut world = Self {
            path: path.to_owned(),
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
            is_root: rustix::process::geteuid().is_root(),
            first_unprivileged_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or(1024),
            memory_bytes: memory(),
            enforceable: Some(enforceable()),
            addresses,
            host,
            ..Self::default()
        };
        let services: Vec<_> = fleet.services.iter().filter(|service| world.is_here(service)).collect();
        let wanted: BTreeSet<u16> = services.iter().flat_map(|service| ports(service).into_keys()).collect();
        world.listeners = listeners(&wanted, &fleet.name);
        for service in services {
            world.look_at(service);
        }
        for path in container_paths(fleet) {
            world.see(path);
        }
        world
    }

    /// Whether a service is to run here, as far as anybody knows.
    #[must_use]
    pub fn is_here(&self, service: &Service) -> bool {
        let in_group = || service.group.as_ref().is_some_and(|group| self.groups_here.contains(group));
        let on_host = self.host.as_ref().is_none_or(|host| service.id.host == *host);
        on_host && (self.groups_here.is_empty() || in_group())
    }

    /// What is at a path; none when nobody looked.
    #[must_use]
    pub fn entry(&self, path: &Path) -> Option<Entry> {
        self.entries.get(path).cloned()
    }

    /// Where a program of a service is; the outer none when nobody looked.
    #[must_use]
    pub fn program(&self, service: &Service, name: &str) -> Option<Option<PathBuf>> {
        self.programs.get(&(self.path_of(service), name.to_owned())).cloned()
    }

    /// Whether a service may use the ports that are kept for root.
    #[must_use]
    pub fn may_bind_low_ports(&self, service: &Service) -> bool {
        let account = service.program.account.as_ref();
        account.map_or(self.is_root, |account| matches!(account.user.as_str(), "root" | "0"))
    }

    fn path_of(&self, service: &Service) -> String {
        service.program.environment.get("PATH").unwrap_or(&self.path).clone()
    }

    fn look_at(&mut self, service: &Service) {
        let program = &service.program;
        self.see(program.directory.clone());
        if let Some(script) = program.script_file.clone() {
            self.see(script);
        }
        let Command::Exec(words) = &program.command else { return };
        match words.first() {
            Some(word) if word.contains('/') => self.see(program.directory.join(word)),
            Some(word) => {
                let path = self.path_of(service);
                let found = find_program(&path, word);
                self.programs.insert((path, word.clone()), found);
            }
            None => {}
        }
    }

    fn see(&mut self, path: PathBuf) {
        let entry = entry(&path);
        if let Entry::File { interpreter: Some(interpreter), .. } = &entry {
            let interpreter = PathBuf::from(interpreter);
            self.entries.insert(interpreter.clone(), self::entry(&interpreter));
        }
        self.entries.insert(path, entry);
    }
}

fn host_of(fleet: &Fleet, addresses: Option<&BTreeSet<IpAddr>>) -> Option<String> {
    if fleet.hosts.len() == 1 {
        return fleet.hosts.keys().next().cloned();
    }
    let addresses = addresses?;
    let own = |address: &Option<String>| {
        let address = address.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
        address.is_some_and(|address| !address.is_loopback() && addresses.contains(&address))
    };
    fleet.hosts.iter().find(|(_, host)| own(&host.address)).map(|(name, _)| name.clone())
}

/// Paths that the containers of groups name.
fn container_paths(fleet: &Fleet) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/etc/cdi"), PathBuf::from("/var/run/cdi")];
    for container in fleet.groups.values().filter_map(|group| group.container.as_ref()) {
        let first = |text: &String| text.split(':').next().unwrap_or_default().to_owned();
        let sources = container.copy.keys().cloned().chain(container.requirements.clone());
        let mounted = container.volumes.iter().map(first).filter(|source| source.starts_with(['.', '/']));
        paths.extend(sources.chain(mounted.map(PathBuf::from)).map(|path| fleet.directory.join(path)));
        paths.extend(container.devices.iter().map(first).filter(|device| device.starts_with('/')).map(PathBuf::from));
    }
    paths
}

fn entry(path: &Path) -> Entry {
    let Ok(metadata) = fs_err::metadata(path) else { return Entry::Absent };
    if metadata.is_dir() {
        return Entry::Directory;
    }
    if !metadata.is_file() {
        return Entry::Other;
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Entry::File { executable, interpreter: if executable { interpreter(path) } else { None } }
}

/// What the first line of a script asks for.
fn interpreter(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut start = Vec::new();
    fs_err::File::open(path).ok()?.take(256).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    line.split_whitespace().next().map(str::to_owned)
}

fn find_program(path: &str, name: &str) -> Option<PathBuf> {
    let candidates = path.split(':').filter(|directory| !directory.is_empty());
    let mut candidates = candidates.map(|directory| Path::new(directory).join(name));
    candidates.find(|file| matches!(entry(file), Entry::File { executable: true, .. }))
}

/// The first fields of a file like `/etc/passwd`.
fn names(file: &str) -> Option<BTreeSet<String>> {
    let text = fs_err::read_to_string(file).ok()?;
    Some(text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect())
}

fn number(file: &str) -> Option<u16> {
    fs_err::read_to_string(file).ok()?.trim().parse().ok()
}

/// The machine's memory, or that of the cgroup when it is less.
fn memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = total.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.saturating_mul(1024);
    let bounds = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let bounds = bounds.iter().filter_map(|file| fs_err::read_to_string(file).ok()?.trim().parse().ok());
    Some(bounds.fold(total, u64::min))
}

/// Limits whose cgroup controller is there, of either version, and may be used by this user.
fn enforceable() -> BTreeSet<String> {
    let writable = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers");
    let unified = fs_err::read_to_string(unified).ok().filter(|_| writable(Path::new("/sys/fs/cgroup")));
    let unified = unified.unwrap_or_default();
    let has = |controller: &str| {
        let own = Path::new("/sys/fs/cgroup").join(controller);
        unified.split_whitespace().any(|name| name == controller) || (own.join("tasks").exists() && writable(&own))
    };
    let limits = [("memory", "memory"), ("cpus", "cpu"), ("processes", "pids")];
    limits.into_iter().filter(|(_, controller)| has(controller)).map(|(limit, _)| limit.to_owned()).collect()
}

/// The addresses of this machine, from the kernel's routes to itself.
fn addresses() -> Option<BTreeSet<IpAddr>> {
    let table = fs_err::read_to_string("/proc/net/fib_trie").ok()?;
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::from));
        }
    }
    let table = fs_err::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let address = |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok();
    found.extend(table.lines().filter_map(address).map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))));
    Some(found)
}

/// Who listens on one of these ports.
fn listeners(wanted: &BTreeSet<u16>, fleet: &str) -> Vec<Listener> {
    let mut sockets = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs_err::read_to_string(table).unwrap_or_default();
        for (address, port, inode) in text.lines().skip(1).filter_map(listening) {
            if wanted.contains(&port) {
                sockets.insert(inode, (address, port));
            }
        }
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    let owners = owners(&sockets.keys().cloned().collect());
    let listener = |(inode, (address, port)): (String, (IpAddr, u16))| {
        let process = owners.get(&inode);
        Listener {
            address,
            port,
            owner: process.map(|process| format!("{} (process {process})", program_name(*process))),
            is_of_fleet: process.is_some_and(|process| belongs_to(*process, fleet)),
        }
    };
    sockets.into_iter().map(listener).collect()
}

/// Address, port and inode of a line of `/proc/net/tcp` or `tcp6` whose socket listens (state `0A`).
fn listening(line: &str) -> Option<(IpAddr, u16, String)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != "0A" {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    // The kernel prints each 32-bit word in the order of this machine's bytes.
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?, (*inode).to_owned()))
}

/// The processes that hold these sockets, as far as they may be seen.
fn owners(inodes: &BTreeSet<String>) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let processes = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let descriptors = fs_err::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        for target in descriptors.filter_map(|descriptor| fs_err::read_link(descriptor.path()).ok()) {
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) = inode.filter(|inode| inodes.contains(*inode)) {
                found.entry(inode.to_owned()).or_insert(process);
            }
        }
    }
    found
}

fn program_name(process: u32) -> String {
    fs_err::read_to_string(format!("/proc/{process}/comm"))
        .map_or_else(|_| "a program".to_owned(), |name| name.trim().to_owned())
}

/// Whether a supervisor started a process for this fleet: it finds the fleet's name in its environment.
fn belongs_to(process: u32, fleet: &str) -> bool {
    let environment = fs_err::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let own = format!("MASQUE_FLEET={fleet}");
    environment.split(|byte| *byte == 0).any(|variable| variable == own.as_bytes())
}
