//! Turns a profile into the mounts of the new root.
//!
//! Leaves out executing them. Later operations lie on top of earlier ones: system, temporary files, granted
//! directories from the shallowest to the deepest, protection, and last what is hidden.

use std::{
    collections::BTreeSet,
    ffi::CString,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, Network, Profile,
    hidden::Patterns,
    landlock::{Access, Kind, Rules},
    plan::{Cover, Operation, Source, c_string, in_root},
    protect::{Placeholder, Protection},
    system::{Entry, System, refusal},
};

const READ_ONLY: u64 = 1;
const NO_SETUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const NO_EXECUTION: u64 = 8;

/// The sources and operations of a root under construction.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) sources: Vec<Source>,
    pub(crate) operations: Vec<Operation>,
    /// What the second layer allows, when there is one.
    pub(crate) landlock: Option<Rules>,
    /// Kept until the sandbox is gone.
    pub(crate) placeholders: Vec<Arc<Placeholder>>,
    /// Bytes of the profile's files, which the root holds.
    pub(crate) own_bytes: u64,
    made: BTreeSet<PathBuf>,
    shown: Vec<PathBuf>,
}

/// A directory or file of the host that a profile grants.
#[derive(Debug)]
struct Grant {
    path: PathBuf,
    access: Access,
    identity: (u64, u64),
    kind: Kind,
}

/// Makes a path absolute, free of links and checked. Relative paths start at the workspace.
pub(crate) fn resolve(base: &Path, path: &Path) -> Result<PathBuf, Error> {
    let path = base.join(path);
    fs_err::canonicalize(&path).map_err(|error| Error::Path { problem: error.to_string(), path })
}

impl Root {
    /// The whole root of a profile whose workspace is resolved.
    pub(crate) fn assemble(
        profile: &Profile,
        workspace: &Path,
        system: &System,
        landlock: Option<Rules>,
    ) -> Result<Self, Error> {
        let mut root = Self::system_only(&profile.network, profile.limits.tmp_bytes, system, landlock)?;
        for (path, contents) in &profile.files {
            root.add_file(path, contents)?;
        }
        if let Some(masque) = &profile.masque {
            root.add_masque(&resolve(workspace, masque)?)?;
        }
        let grants = grants(profile, workspace)?;
        for grant in &grants {
            root.grant(grant)?;
        }
        root.add_protection(profile, workspace, &grants)?;
        for (path, cover) in Patterns::compiled(&profile.hidden)?.find(workspace)? {
            root.cover(&workspace.join(path), cover)?;
        }
        Ok(root)
    }

    /// A root with nothing but what every sandbox has.
    pub(crate) fn system_only(
        network: &Network,
        tmp_bytes: u64,
        system: &System,
        landlock: Option<Rules>,
    ) -> Result<Self, Error> {
        let mut root = Self { landlock, ..Self::default() };
        root.allow(Path::new("/"), Access::List, Kind::Directory)?;
        root.add_own()?;
        root.add_system(network, system)?;
        root.add_temporary(tmp_bytes)?;
        Ok(root)
    }

    /// What covers other paths, and the fixed directories.
    fn add_own(&mut self) -> Result<(), Error> {
        self.directory(Path::new("/run/masque"), 0o755)?;
        self.directory(Path::new("/run/masque/hidden-directory"), 0)?;
        self.directory(Path::new("/run/masque/nothing"), 0o555)?;
        self.file(Path::new("/run/masque/hidden-file"), b"", 0)?;
        self.allow(Path::new("/run/masque"), Access::Read, Kind::Directory)?;
        for directory in ["/etc", "/dev", "/proc"] {
            self.directory(Path::new(directory), 0o755)?;
        }
        self.allow(Path::new("/etc"), Access::Read, Kind::Directory)
    }

    fn add_system(&mut self, network: &Network, system: &System) -> Result<(), Error> {
        let online = system.network_entries.iter().filter(|_| *network == Network::Host);
        for entry in system.entries.iter().chain(online) {
            match entry {
                Entry::Link { path, target } => {
                    self.parents(path)?;
                    self.link(path, target)?;
                }
                Entry::Directory { path } => {
                    self.attach(path, path, READ_ONLY | NO_SETUID | NO_DEVICES, Kind::Directory, None)?;
                    self.allow(path, Access::Read, Kind::Directory)?;
                }
                Entry::File { path, real } => {
                    self.attach(real, path, READ_ONLY | NO_SETUID | NO_DEVICES, Kind::File, None)?;
                }
            }
        }
        for (path, text) in System::written(network) {
            self.file(Path::new(path), text.as_bytes(), 0o444)?;
        }
        for device in &system.devices {
            // Read-only is about the file, not about what is written to the device.
            self.attach(device, device, READ_ONLY | NO_SETUID | NO_EXECUTION, Kind::File, None)?;
            self.allow(device, Access::Write, Kind::File)?;
        }
        for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
            self.link(&Path::new("/dev").join(name), Path::new(&format!("/proc/self/fd{target}")))?;
        }
        self.link(Path::new("/dev/shm"), Path::new("/tmp/shm"))?;
        self.operations.push(Operation::Processes { path: in_root(Path::new("/proc"))? });
        self.allow(Path::new("/proc"), Access::Read, Kind::Directory)?;
        system.machine.iter().try_for_each(|(path, cover)| self.cover(path, *cover))
    }

    fn add_temporary(&mut self, bytes: u64) -> Result<(), Error> {
        let path = Path::new("/tmp");
        self.directory(path, 0o755)?;
        self.operations
            .push(Operation::Temporary { path: in_root(path)?, size: c_string(bytes.to_string(), "a size")? });
        self.directory(Path::new("/tmp/home"), 0o700)?;
        self.directory(Path::new("/tmp/shm"), 0o1777)?;
        self.allow(path, Access::Write, Kind::Directory)
    }

    fn add_file(&mut self, path: &Path, contents: &[u8]) -> Result<(), Error> {
        let plain = path.strip_prefix(crate::profile::FILES_DIRECTORY).is_ok_and(|below| {
            below.components().next().is_some() && below.components().all(|part| matches!(part, Component::Normal(_)))
        });
        if !plain || self.made.contains(path) {
            let problem = format!(
                "is to be a file of the sandbox, so it must be a new path below {}",
                crate::profile::FILES_DIRECTORY
            );
            return Err(Error::Path { path: path.to_path_buf(), problem });
        }
        self.own_bytes += contents.len() as u64;
        self.file(path, contents, 0o555)
    }

    fn add_masque(&mut self, executable: &Path) -> Result<(), Error> {
        let inside = crate::masque_path_inside();
        self.attach(executable, inside, READ_ONLY | NO_SETUID | NO_DEVICES, Kind::File, None)?;
        self.allow(inside, Access::Read, Kind::File)
    }

    fn grant(&mut self, grant: &Grant) -> Result<(), Error> {
        let attributes = match grant.access {
            Access::Write => NO_SETUID | NO_DEVICES,
            Access::List | Access::Read => READ_ONLY | NO_SETUID | NO_DEVICES,
        };
        self.attach(&grant.path, &grant.path, attributes, grant.kind, Some(grant.identity))?;
        self.allow(&grant.path, grant.access, grant.kind)
    }

    fn add_protection(&mut self, profile: &Profile, workspace: &Path, grants: &[Grant]) -> Result<(), Error> {
        let mut protection = Protection::default();
        for path in &profile.read_only {
            let path = relative(&[workspace, &profile.workspace], path)?;
            if is_writable(&workspace.join(&path), grants) {
                protection.protect(workspace, &path)?;
            }
        }
        // A parent outside of what is writable is pinned already, and must not become writable.
        let pinned = protection
            .pinned
            .iter()
            .filter(|path| is_inside_writable(&workspace.join(path), grants))
            .map(|path| (path, NO_SETUID | NO_DEVICES));
        let read_only = protection.read_only.iter().map(|path| (path, READ_ONLY | NO_SETUID | NO_DEVICES));
        for (path, attributes) in pinned.chain(read_only) {
            let path = workspace.join(path);
            let kind = if path.is_dir() { Kind::Directory } else { Kind::File };
            self.attach(&path, &path, attributes, kind, None)?;
        }
        for (path, cover) in &protection.covered {
            self.cover(&workspace.join(path), *cover)?;
        }
        self.placeholders = protection.placeholders;
        Ok(())
    }

    /// Shows a file or directory of the host at a path inside.
    fn attach(
        &mut self,
        from: &Path,
        to: &Path,
        attributes: u64,
        kind: Kind,
        identity: Option<(u64, u64)>,
    ) -> Result<(), Error> {
        match kind {
            Kind::Directory => self.directory(to, 0o755)?,
            Kind::File => self.file(to, b"", 0o444)?,
        }
        let source = self.sources.len();
        self.sources.push(Source { path: c_string(from, "a path")?, identity, attributes });
        self.operations.push(Operation::Attach { path: in_root(to)?, source });
        self.shown.push(to.to_path_buf());
        Ok(())
    }

    fn cover(&mut self, path: &Path, cover: Cover) -> Result<(), Error> {
        self.operations.push(Operation::Cover { path: in_root(path)?, cover });
        Ok(())
    }

    fn parents(&mut self, path: &Path) -> Result<(), Error> {
        path.parent().map_or(Ok(()), |parent| self.directory(parent, 0o755))
    }

    /// Makes a directory and its parents, except where the host's own tree is shown and has them.
    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), Error> {
        if path.parent().is_none() || self.is_shown(path) || !self.made.insert(path.to_path_buf()) {
            return Ok(());
        }
        self.parents(path)?;
        self.operations.push(Operation::Directory { path: in_root(path)?, mode });
        Ok(())
    }

    fn file(&mut self, path: &Path, contents: &[u8], mode: u32) -> Result<(), Error> {
        if self.is_shown(path) || !self.made.insert(path.to_path_buf()) {
            return Ok(());
        }
        self.parents(path)?;
        self.operations.push(Operation::File { path: in_root(path)?, contents: contents.to_vec(), mode });
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<(), Error> {
        self.operations.push(Operation::Link { path: in_root(path)?, target: c_string(target, "a path")? });
        Ok(())
    }

    fn is_shown(&self, path: &Path) -> bool {
        self.shown.iter().any(|shown| path.starts_with(shown))
    }

    fn allow(&mut self, path: &Path, access: Access, kind: Kind) -> Result<(), Error> {
        let path: CString = c_string(path, "a path")?;
        if let Some(rules) = &mut self.landlock {
            rules.allow(path, access, kind);
        }
        Ok(())
    }
}

/// What a profile grants, from the shallowest to the deepest, without what a shallower grant already contains.
fn grants(profile: &Profile, workspace: &Path) -> Result<Vec<Grant>, Error> {
    let mut wanted = vec![(workspace.to_path_buf(), Access::Read)];
    for (paths, access) in [(&profile.readable, Access::Read), (&profile.writable, Access::Write)] {
        for path in paths {
            wanted.push((resolve(workspace, path)?, access));
        }
    }
    // Writable first among equals, so that it wins.
    wanted.sort_by_key(|(path, access)| (path.components().count(), *access == Access::Read));
    let mut grants: Vec<Grant> = Vec::new();
    for (path, access) in wanted {
        let above = grants.iter().rev().find(|grant| path.starts_with(&grant.path)).map(|grant| grant.access);
        let known = above == Some(Access::Write)
            || above == Some(access)
            || (access == Access::Read && path.starts_with("/usr"));
        if !known || path == workspace && above.is_none() {
            grants.push(grant(path, access)?);
        }
    }
    Ok(grants)
}

fn grant(path: PathBuf, access: Access) -> Result<Grant, Error> {
    if let Some(problem) = refusal(&path) {
        return Err(Error::Path { path, problem: problem.into() });
    }
    let metadata = match fs_err::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(Error::Path { path, problem: error.to_string() }),
    };
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        _ => return Err(Error::Path { path, problem: "is neither a file nor a directory".into() }),
    };
    Ok(Grant { path, access, identity: (metadata.dev(), metadata.ino()), kind })
}

fn is_writable(path: &Path, grants: &[Grant]) -> bool {
    let deepest = grants.iter().rev().find(|grant| path.starts_with(&grant.path));
    // A writable directory below the path would be protected with it, so it counts as well.
    deepest.is_some_and(|grant| grant.access == Access::Write)
        || grants.iter().any(|grant| grant.access == Access::Write && grant.path.starts_with(path))
}

/// Whether a path is strictly below a writable grant.
fn is_inside_writable(path: &Path, grants: &[Grant]) -> bool {
    let deepest = grants.iter().rev().find(|grant| path.starts_with(&grant.path));
    deepest.is_some_and(|grant| grant.access == Access::Write && grant.path != path)
}

/// A path as it is relative to the workspace, without `.`; links are not followed.
fn relative(workspaces: &[&Path], path: &Path) -> Result<PathBuf, Error> {
    let inside = match path.is_absolute() {
        true => workspaces.iter().find_map(|workspace| path.strip_prefix(workspace).ok()),
        false => Some(path),
    };
    let plain = inside.filter(|path| {
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
            && path.components().any(|part| matches!(part, Component::Normal(_)))
    });
    let plain = plain.ok_or_else(|| Error::Path {
        path: path.to_path_buf(),
        problem: "is to be read-only, but is not a plain path below the workspace".into(),
    })?;
    Ok(plain.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}
