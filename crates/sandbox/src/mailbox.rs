//! The command of a sandbox that was started ahead: how the launcher writes it, and how the waiting child reads it into
//! memory that was reserved before the clone.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, OwnedFd},
    ptr,
};

use rustix::{io::Errno, net::SendFlags};

use crate::{plan::Program, sys};

/// Bytes of the longest command; a longer one is started without the pool.
const LONGEST: usize = 256 << 10;
/// Arguments and variables of a command at most.
const MOST_STRINGS: usize = 4096;
/// Length of what comes first: bytes of the rest, numbers of programs, arguments and variables.
const HEADER: usize = 16;

/// The child's end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) end: OwnedFd,
    bytes: Vec<u8>,
    pointers: Vec<*const libc::c_char>,
}

/// A received command. The two lists end with a null pointer.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) directory: &'a CStr,
    pub(crate) programs: Strings<'a>,
    pub(crate) arguments: *const *const libc::c_char,
    pub(crate) environment: *const *const libc::c_char,
}

/// Texts that follow each other, each with a zero byte at its end.
#[derive(Debug, Clone)]
pub(crate) struct Strings<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.checked_sub(1)?;
        let text = CStr::from_bytes_until_nul(self.bytes).ok()?;
        self.bytes = self.bytes.get(text.count_bytes() + 1..)?;
        Some(text)
    }
}

impl Mailbox {
    /// With memory for any command.
    pub(crate) fn new(end: OwnedFd) -> Self {
        Self { end, bytes: vec![0; LONGEST], pointers: vec![ptr::null(); MOST_STRINGS] }
    }

    /// Waits for a command, in the child.
    pub(crate) fn receive(&mut self) -> sys::Result<Received<'_>> {
        let mut header = [0; HEADER];
        fill(&self.end, &mut header)?;
        let mut numbers = header.chunks_exact(4).filter_map(|chunk| Some(u32::from_le_bytes(chunk.try_into().ok()?)));
        let mut number = || numbers.next().map(|number| number as usize).ok_or(Errno::INVAL);
        let (length, programs, arguments, environment) = (number()?, number()?, number()?, number()?);
        let bytes = self.bytes.get_mut(..length).ok_or(Errno::TOOBIG)?;
        fill(&self.end, bytes)?;
        let mut texts = Strings { bytes, left: usize::MAX };
        let directory = texts.next().ok_or(Errno::INVAL)?;
        let named = Strings { left: programs, ..texts.clone() };
        texts.by_ref().take(programs).for_each(drop);
        let mut places = self.pointers.iter_mut();
        let mut list = |count: usize| -> sys::Result<*const *const libc::c_char> {
            let mut first = ptr::null();
            for index in 0..=count {
                let place = places.next().ok_or(Errno::TOOBIG)?;
                *place = if index == count { ptr::null() } else { texts.next().ok_or(Errno::INVAL)?.as_ptr() };
                if index == 0 {
                    first = ptr::from_ref(place);
                }
            }
            Ok(first)
        };
        let (arguments, environment) = (list(arguments)?, list(environment)?);
        Ok(Received { directory, programs: named, arguments, environment })
    }
}

fn fill(from: &OwnedFd, mut bytes: &mut [u8]) -> sys::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::read(from, &mut *bytes) {
            Ok(0) => return Err(Errno::PIPE),
            Ok(read) => bytes = bytes.get_mut(read..).ok_or(Errno::INVAL)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// What the launcher writes; none if it does not fit.
pub(crate) fn encode(program: &Program) -> Option<Vec<u8>> {
    let (arguments, environment) = (program.arguments.texts(), program.environment.texts());
    let texts = || {
        std::iter::once(&program.directory)
            .chain(&program.programs)
            .chain(arguments)
            .chain(environment)
            .map(CString::as_bytes_with_nul)
    };
    let length: usize = texts().map(<[u8]>::len).sum();
    if length > LONGEST || arguments.len() + environment.len() + 2 > MOST_STRINGS {
        return None;
    }
    let numbers = [length, program.programs.len(), arguments.len(), environment.len()];
    let mut message: Vec<u8> = numbers.iter().flat_map(|number| (*number as u32).to_le_bytes()).collect();
    message.extend(texts().flatten());
    Some(message)
}

/// Writes a command for a waiting child.
pub(crate) fn send(to: &OwnedFd, mut message: &[u8]) -> sys::Result<()> {
    while !message.is_empty() {
        match rustix::net::send(to.as_fd(), message, SendFlags::NOSIGNAL) {
            Ok(sent) => message = message.get(sent..).ok_or(Errno::INVAL)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(unsafe_code, reason = "reads the lists as the kernel does")]
mod tests {
    use super::{Mailbox, encode, send};
    use crate::plan::{Program, Strings};
    use proptest::prelude::*;
    use std::ffi::{CStr, CString};

    fn texts(list: *const *const libc::c_char) -> Vec<CString> {
        // SAFETY: the list ends with a null pointer and has C strings before it.
        let at = |index| unsafe { *list.add(index) };
        let present = (0..).map(at).take_while(|pointer| !pointer.is_null());
        present.map(|pointer| unsafe { CStr::from_ptr(pointer) }.to_owned()).collect()
    }

    fn strings() -> impl Strategy<Value = Vec<CString>> {
        let text = prop::collection::vec(1..=255_u8, 0..40).prop_map(|bytes| CString::new(bytes).unwrap());
        prop::collection::vec(text, 0..20)
    }

    proptest! {
        #[test]
        fn commands_arrive_as_they_were_sent(programs in strings(), arguments in strings(), environment in strings()) {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let program = Program {
                directory: c"/somewhere".to_owned(),
                programs: programs.clone(),
                arguments: Strings::new(arguments.clone()),
                environment: Strings::new(environment.clone()),
            };
            send(&ours.into(), &encode(&program).unwrap()).unwrap();
            let mut mailbox = Mailbox::new(theirs.into());
            let received = mailbox.receive().unwrap();
            prop_assert_eq!(received.directory, c"/somewhere");
            prop_assert_eq!(received.programs.map(CStr::to_owned).collect::<Vec<_>>(), programs);
            prop_assert_eq!(texts(received.arguments), arguments);
            prop_assert_eq!(texts(received.environment), environment);
            prop_assert!(mailbox.receive().is_err(), "the launcher is gone");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let program = |argument: CString, number| Program {
            directory: c"/".to_owned(),
            programs: Vec::new(),
            arguments: Strings::new(vec![argument; number]),
            environment: Strings::new(Vec::new()),
        };
        assert!(encode(&program(CString::new(vec![b'x'; 300 << 10]).unwrap(), 1)).is_none());
        assert!(encode(&program(c"x".to_owned(), 5000)).is_none());
        assert!(encode(&program(c"x".to_owned(), 4000)).is_some());
    }
}
