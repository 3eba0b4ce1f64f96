//! Where everything is: this program, the program `masque` beside it, fast temporary directories, installed peers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::process;

/// The peers that are measured beside the durable steps.
const LANGGRAPH: [&str; 2] = ["langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2"];
const MEMORY_DISK: &str = "/dev/shm";

/// Paths of one run of the benchmarks.
#[derive(Debug)]
pub(crate) struct Places {
    /// This program.
    pub(crate) bench: PathBuf,
    /// The program that is measured.
    pub(crate) masque: PathBuf,
    cache: PathBuf,
}

impl Places {
    pub(crate) fn find(cache: Option<PathBuf>) -> anyhow::Result<Self> {
        let bench = std::env::current_exe()?;
        let masque = bench.with_file_name("masque");
        if !masque.exists() {
            bail!("{} is missing: build it with `cargo build --release -p masque`", masque.display());
        }
        let home = || std::env::home_dir().map(|home| home.join(".cache"));
        let cache = cache.or_else(home).context("there is no home directory: say --cache")?.join("masque-dev");
        Ok(Self { bench, masque, cache })
    }

    /// A temporary directory, in memory where the system has such a disk.
    #[expect(clippy::unused_self, reason = "places are asked for places")]
    pub(crate) fn memory_disk(&self) -> anyhow::Result<TempDir> {
        let base = if Path::new(MEMORY_DISK).is_dir() { PathBuf::from(MEMORY_DISK) } else { std::env::temp_dir() };
        tempfile::Builder::new().prefix("masque-bench-").tempdir_in(&base).context(base.display().to_string())
    }

    /// Python with LangGraph, installed on first use; or why there is none.
    pub(crate) fn langgraph(&self) -> Result<PathBuf, String> {
        let venv = self.cache.join("bench-venv");
        let python = venv.join("bin/python");
        let works =
            || process::succeeds(process::inherited(&python).args(["-c", "import langgraph.checkpoint.sqlite"]));
        if works() {
            return Ok(python);
        }
        let made = process::succeeds(process::inherited("python3").args(["-m", "venv"]).arg(&venv))
            && process::succeeds(process::inherited(&python).args(["-m", "pip", "install", "-q"]).args(LANGGRAPH));
        if made && works() { Ok(python) } else { Err("it cannot be installed from PyPI here".to_owned()) }
    }

    /// What this machine is, in a few words.
    #[expect(clippy::unused_self, reason = "places are asked for places")]
    pub(crate) fn machine(&self) -> String {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let info = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let model = model.map_or("an unknown processor", |(_, name)| name.trim());
        format!("{cpus} cores of {model}, Linux {}", kernel.trim())
    }
}
