//! Exit codes, and how an error becomes one.

use std::process::ExitCode;

use masque_app::{Error, Kind};
use masque_types::run::RunStatus;

/// How a command ended. Documented in `docs/src/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: it did what was asked.
    Success,
    /// 1: the run failed, or a check found something wrong.
    Failed,
    /// 2: the request is wrong: arguments, names, files.
    Usage,
    /// 3: the request is refused: no model, no sandbox, no trust.
    Refused,
    /// 4: the run waits for a human.
    NeedsApproval,
    /// 5: store, file system or network failed; nothing that was acknowledged is lost.
    Environment,
    /// 130: the run was cancelled.
    Cancelled,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NeedsApproval => 4,
            Self::Environment => 5,
            Self::Cancelled => 130,
        }
    }

    /// The one with that number; others are failures.
    pub(crate) const fn of_code(code: i32) -> Self {
        match code {
            0 => Self::Success,
            2 => Self::Usage,
            3 => Self::Refused,
            4 => Self::NeedsApproval,
            5 => Self::Environment,
            130 => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// The code of a run in that status.
    pub(crate) const fn of_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Completed => Self::Success,
            RunStatus::Failed => Self::Failed,
            RunStatus::Waiting => Self::NeedsApproval,
            RunStatus::Cancelled => Self::Cancelled,
            // Someone else drives it, or nobody yet.
            RunStatus::Running => Self::Success,
        }
    }

    /// The code of an error.
    pub(crate) const fn of_error(error: &Error) -> Self {
        match error.kind {
            Kind::Usage => Self::Usage,
            Kind::Refused => Self::Refused,
            Kind::Environment => Self::Environment,
        }
    }
}
