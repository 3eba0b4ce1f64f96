//! Everything of a start that allocates or may take its time, done before the clone.

use std::{
    ffi::{CString, OsString},
    io,
    os::fd::{AsFd, OwnedFd, RawFd},
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    process::Rlimit,
};

use super::{Output, ServiceCommand, account::Identity, open_files};
use crate::{
    Error,
    plan::{Strings, c_string},
    program,
};

/// First number of the descriptors that a program may ask for.
const FIRST: u32 = 3;
/// A descriptor number that no program asks for.
const LARGEST: u32 = 1 << 16;

/// What the new process needs, so that it neither allocates nor looks anything up.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Files to try, in this order.
    pub(super) programs: Vec<CString>,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    pub(super) directory: CString,
    pub(super) identity: Option<Identity>,
    pub(super) umask: Mode,
    pub(super) open_files: Option<Rlimit>,
    /// Files through which groups of version 1 are joined.
    pub(super) joined: Vec<OwnedFd>,
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    /// Each above all wanted numbers, with its wanted number; in the order of these.
    pub(super) descriptors: Vec<(OwnedFd, RawFd)>,
}

/// Prepares the start of a command.
pub(super) fn prepare(command: &ServiceCommand) -> Result<Prepared, Error> {
    let failed = |doing| move |source| surroundings(command, doing, source);
    let first = command.words.first().cloned().unwrap_or_default();
    let path = command.environment.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let arguments = command.words.iter().map(|word| c_string(word, "an argument"));
    let null = || open(Path::new("/dev/null"), OFlags::RDWR);
    let output = match &command.output {
        Output::Null => null().map_err(failed("opening /dev/null"))?,
        Output::Path(path) => open_output(path).map_err(|source| Error::Output { path: path.clone(), source })?,
        Output::Descriptor(descriptor) => descriptor.try_clone().map_err(failed("handing over its output"))?,
    };
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let first_free = command.descriptors.iter().map(|(_, number)| number + 1).max().unwrap_or(FIRST);
    let lift = |descriptor: OwnedFd| lift(&descriptor, first_free).map_err(failed("handing over descriptors"));
    Ok(Prepared {
        programs: if first.is_empty() { Vec::new() } else { program::candidates(&first, &path)? },
        arguments: Strings::new(arguments.collect::<Result<_, _>>()?),
        environment: environment(command)?,
        directory: c_string(&command.directory, "the directory")?,
        identity: command.account.as_ref().map(super::Account::look_up).transpose()?,
        umask: Mode::from_raw_mode(command.umask & 0o777),
        open_files: command.open_files.map(limit).or_else(open_files::inherited),
        joined: command.group.as_ref().map(|group| group.doors()).transpose()?.unwrap_or_default(),
        input: lift(null().map_err(failed("opening /dev/null"))?)?,
        output: lift(output)?,
        descriptors: descriptors(command, first_free).map_err(failed("handing over descriptors"))?,
    })
}

fn surroundings(command: &ServiceCommand, doing: &'static str, source: io::Error) -> Error {
    let program = command.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    Error::Surroundings { program, doing, source }
}

fn environment(command: &ServiceCommand) -> Result<Strings, Error> {
    let mark = command.mark.iter().map(|mark| (&mark.name, &mark.value));
    let own = command.environment.iter();
    let own = own.filter(|(name, _)| command.mark.as_ref().is_none_or(|mark| mark.name != **name));
    let variables = own.chain(mark).map(|(name, value)| {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        c_string(entry, "the environment")
    });
    Ok(Strings::new(variables.collect::<Result<_, _>>()?))
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::from_raw_mode(0o644))?)
}

/// Opens a file to append to, or a named pipe for both directions, which never waits for the other side.
fn open_output(path: &Path) -> io::Result<OwnedFd> {
    let kind = rustix::fs::stat(path).map(|status| FileType::from_raw_mode(status.st_mode));
    if kind == Ok(FileType::Fifo) {
        return open(path, OFlags::RDWR);
    }
    open(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
}

/// A copy with a number that is not asked for by anybody.
fn lift(descriptor: &impl AsFd, first_free: u32) -> io::Result<OwnedFd> {
    let from = RawFd::try_from(first_free).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, from)?)
}

fn descriptors(command: &ServiceCommand, first_free: u32) -> io::Result<Vec<(OwnedFd, RawFd)>> {
    let mut list = Vec::with_capacity(command.descriptors.len());
    for (descriptor, number) in &command.descriptors {
        let number = RawFd::try_from(*number).map_err(|_| io::ErrorKind::InvalidInput)?;
        if !(FIRST..LARGEST).contains(&number.unsigned_abs()) || list.iter().any(|(_, taken)| *taken == number) {
            let problem = format!("descriptor {number} is asked for twice, or is not one from {FIRST} to {LARGEST}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let lifted = lift(descriptor, first_free)?;
        list.push((lifted, number));
    }
    list.sort_by_key(|(_, number)| *number);
    Ok(list)
}
