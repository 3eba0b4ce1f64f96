//! Who owns a container: [`Owner`], kept in its label, so that others can tell when the owner is gone.

use std::fmt;

use rustix::{io::Errno, process::Pid};

use crate::Error;

/// The label that holds the owner. Only containers with it are ever removed.
pub(crate) const LABEL: &str = "io.masque.owner";

/// A process, recognisable beyond its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    process: i32,
    /// When it started, in ticks since the machine did.
    started: u64,
    /// The namespace in which the number means it.
    namespace: String,
    /// The start of the machine.
    boot: String,
}

impl Owner {
    pub(crate) fn this_process() -> Result<Self, Error> {
        let failed = Error::system("find out who owns the container");
        let process = rustix::process::getpid().as_raw_nonzero().get();
        let started = started(process).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        Ok(Self { process, started, namespace: namespace().map_err(&failed)?, boot: boot().map_err(&failed)? })
    }

    /// Reads a label; none when it is not one of ours.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let mut words = label.split(' ');
        let mut next = || words.next().filter(|word| !word.is_empty());
        let owner = Self {
            process: next()?.parse().ok().filter(|process| *process > 0)?,
            started: next()?.parse().ok()?,
            namespace: next()?.to_owned(),
            boot: next()?.to_owned(),
        };
        next().is_none().then_some(owner)
    }

    /// Whether it certainly is gone: a process of another namespace cannot be judged.
    pub(crate) fn is_dead(&self) -> bool {
        let (Ok(boot), Ok(namespace)) = (boot(), namespace()) else { return false };
        if self.boot != boot {
            return true;
        }
        let Some(process) = Pid::from_raw(self.process).filter(|_| self.namespace == namespace) else { return false };
        match rustix::process::test_kill_process(process) {
            Err(Errno::SRCH) => true,
            // Where the process cannot be looked at, its number must do.
            _ => started(self.process).is_some_and(|started| started != self.started),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.process, self.started, self.namespace, self.boot)
    }
}

/// The twenty-second field, counted behind the name, which may contain anything.
fn started(process: i32) -> Option<u64> {
    let stat = fs_err::read(format!("/proc/{process}/stat")).ok()?;
    String::from_utf8_lossy(&stat).rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn namespace() -> std::io::Result<String> {
    Ok(fs_err::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

fn boot() -> std::io::Result<String> {
    Ok(fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Owner;

    #[test]
    fn only_who_is_certainly_gone_is_dead() {
        let own = Owner::this_process().unwrap();
        assert_eq!(Owner::parse(&own.to_string()), Some(own.clone()));
        assert!(!own.is_dead());
        let reused = Owner { started: own.started + 1, ..own.clone() };
        assert!(reused.is_dead());
        assert!(!Owner { namespace: "pid:[1]".into(), ..reused }.is_dead());
        assert!(Owner { boot: "earlier".into(), ..own.clone() }.is_dead());
        // Above the largest number that the kernel gives.
        assert!(Owner { process: i32::MAX, ..own }.is_dead());
    }

    proptest! {
        #[test]
        fn other_labels_are_no_owners(label in "\\PC*") {
            if let Some(owner) = Owner::parse(&label) {
                prop_assert_eq!(owner.to_string().split(' ').count(), 4);
            }
        }
    }
}
