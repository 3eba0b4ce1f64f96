//! Errors of supervisors as errors of use cases.

use masque_supervisor::Error as E;

use crate::Error;

impl From<E> for Error {
    fn from(error: E) -> Self {
        let message = error.to_string();
        match error {
            E::Refused(_) => Self::usage(message),
            E::Running { .. } => Self::refused(message)
                .hint("speak with it: masque fleet status, masque fleet restart SERVICE, masque fleet reload")
                .hint("or end it: masque fleet down"),
            E::Silent { process } => Self::environment(message)
                .hint(format!("if it was stopped by a signal: kill -CONT {process}"))
                .hint(format!(
                    "or kill it, and have a new one adopt its services: kill -KILL {process}; masque fleet up -d"
                )),
            E::NotRunning { .. } => Self::environment(message).hint("start it: masque fleet up -d"),
            _ => Self::environment(message),
        }
    }
}
