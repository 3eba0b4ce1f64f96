//! From a persona's file to the sandbox of its programs: one pure function.

use std::path::{Component, Path, PathBuf};

use masque_sandbox::{BUILT_IN_READ_ONLY, GIT_READ_ONLY, Isolation, Limits, Network, Profile};
use masque_types::{
    persona::{Persona, SandboxLimits},
    run::SandboxMode,
};

use crate::Error;

/// The profile of everything that a persona starts in a workspace. `masque` is the executable that serves the built-in
/// tools.
///
/// # Errors
/// When the persona names a writable directory outside the workspace.
pub fn profile(persona: &Persona, workspace: &Path, mode: SandboxMode, masque: &Path) -> Result<Profile, Error> {
    let spec = &persona.sandbox;
    Ok(Profile {
        isolation: match mode {
            SandboxMode::Process | SandboxMode::Container => Isolation::Process,
            SandboxMode::None => Isolation::None,
        },
        writable: match writable(persona)? {
            None => vec![workspace.to_path_buf()],
            Some(directories) => directories.iter().map(|directory| workspace.join(directory)).collect(),
        },
        readable: spec.ro.iter().map(PathBuf::from).collect(),
        hidden: spec.deny.clone(),
        read_only: read_only(persona),
        network: if spec.network { Network::Host } else { Network::None },
        limits: limits(&spec.limits),
        masque: Some(masque.to_path_buf()),
        ..Profile::new(workspace.to_path_buf())
    })
}

/// The directory that a persona may write only when its file names it among the writable ones.
const GIT: &str = ".git";

/// What personas cannot change in a workspace, because other programs run or obey it later.
pub(crate) fn read_only(persona: &Persona) -> Vec<PathBuf> {
    let commits = persona.sandbox.rw.iter().flatten().any(|directory| directory.trim_end_matches('/') == GIT);
    let kept = BUILT_IN_READ_ONLY.iter().filter(|path| !(commits && **path == GIT));
    kept.chain(commits.then_some(GIT_READ_ONLY).into_iter().flatten()).map(PathBuf::from).collect()
}

/// The writable directories relative to the workspace; `None` is the whole workspace.
///
/// # Errors
/// When one is outside.
pub(crate) fn writable(persona: &Persona) -> Result<Option<Vec<PathBuf>>, Error> {
    let Some(listed) = &persona.sandbox.rw else { return Ok(None) };
    let mut directories = Vec::new();
    for text in listed {
        let mut directory = PathBuf::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => directory.push(name),
                Component::CurDir => {}
                _ => return Err(Error::Writable { persona: persona.name.clone(), path: text.clone() }),
            }
        }
        directories.push(directory);
    }
    // Whoever may write the workspace itself may write all of it.
    let whole = directories.iter().any(|directory| directory.as_os_str().is_empty());
    Ok((!whole).then_some(directories))
}

fn limits(asked: &SandboxLimits) -> Limits {
    let default = Limits::default();
    Limits {
        memory_bytes: asked.memory_bytes.unwrap_or(default.memory_bytes),
        pids: asked.pids.unwrap_or(default.pids),
        tmp_bytes: asked.tmp_bytes.unwrap_or(default.tmp_bytes),
        ..default
    }
}
