//! A program that outlives its parent: own session, no terminal, output to a file. Not confined.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// Starts a program in a session of its own and returns its process id. The environment given is its whole one.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this crate is where programs are started")]
pub fn detach(
    program: &Path,
    arguments: &[OsString],
    environment: &BTreeMap<OsString, OsString>,
    directory: &Path,
    log: File,
) -> io::Result<u32> {
    let errors = log.try_clone()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment).current_dir(directory);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    // SAFETY: `setsid` is async-signal-safe, and the closure does nothing else.
    #[expect(unsafe_code, reason = "a new session can only be made in the child, before it executes")]
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    Ok(command.spawn()?.id())
}
