//! [`DeploySpec`]: what is to be deployed, and how.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use masque_fleet::{
    export::Unit,
    model::{Fleet, ServiceId},
    status::State,
};

/// When images are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Build {
    /// When the engine does not have them.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Never.
    Never,
}

/// How the supervisor of a container is started, and where it keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Arguments of the executable.
    pub arguments: Vec<String>,
    /// The state directory, from the shared home on.
    pub state: PathBuf,
}

/// Tells how the supervisor of a container is started.
#[derive(Clone)]
pub struct Start(Arc<dyn Fn(&Unit<'_>) -> Inside + Send + Sync>);

impl Start {
    /// Whatever that function says.
    pub fn new(tell: impl Fn(&Unit<'_>) -> Inside + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn of(&self, unit: &Unit<'_>) -> Inside {
        (self.0)(unit)
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start")
    }
}

/// What is to be deployed, and how.
#[derive(Debug, Clone)]
pub struct DeploySpec {
    /// The fleet, with the paths of this machine.
    pub fleet: Fleet,
    /// The host that this machine is.
    pub host: String,
    /// The groups to deploy; all of the host when empty.
    pub groups: BTreeSet<String>,
    /// A directory of this machine that the containers share as the home of Masque: [`masque_fleet::export::HOME`].
    pub home: PathBuf,
    /// Variables of the caller, of which services get those that they name in `pass`.
    pub environment: BTreeMap<String, String>,
    /// The executable that supervises inside.
    pub executable: PathBuf,
    /// The loader and libraries that it needs.
    pub libraries: Vec<PathBuf>,
    /// How it is started.
    pub start: Start,
    /// When images are built.
    pub build: Build,
    /// How long a container may take to become well; for ever when absent.
    pub patience: Option<Duration>,
}

/// What is told while a fleet is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An image is being built; a line of the engine.
    Building {
        /// The image.
        image: String,
        /// The line.
        line: String,
    },
    /// A container waits for others.
    Waiting {
        /// The container.
        unit: String,
    },
    /// A container was started, or ran already.
    Started {
        /// The container.
        unit: String,
        /// Whether it ran already as it should.
        already: bool,
    },
    /// A service in a container changed.
    Service {
        /// The container.
        unit: String,
        /// The service.
        id: ServiceId,
        /// Where it stands.
        state: State,
    },
    /// A container is well, or came to its end as it should.
    Well {
        /// The container.
        unit: String,
    },
    /// A container is not well.
    Failed {
        /// The container.
        unit: String,
        /// Why, in a sentence.
        why: String,
    },
}
