//! An engine of a test's own, its image, a workspace, and running a program to its end.

use std::path::{Path, PathBuf};

use bollard::{API_DEFAULT_VERSION, Docker, query_parameters::CreateImageOptionsBuilder};
use futures::TryStreamExt as _;
use masque_container::{
    Container, ContainerSpec, Engine, Exec, Exit, Session, libraries_of_this_process, service_command,
};
use masque_sandbox::{Command, Isolation, LandlockUse, Launcher, Profile};
use tokio::io::AsyncReadExt as _;

pub(crate) const IMAGE: &str = "localhost/masque-test:latest";
/// Guards against hanging only.
pub(crate) const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A Podman service with directories of its own. Everything is gone after [`Station::close`].
pub(crate) struct Station {
    pub(crate) engine: Engine,
    pub(crate) api: Docker,
    service: masque_sandbox::Child,
    leftovers: Leftovers,
    pub(crate) directory: tempfile::TempDir,
}

/// After a failed test, the engine's helpers get a moment to end: they work in the directory.
struct Leftovers {
    directory: String,
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let mut tries = 0;
        while users(&self.directory) && tries < 3000 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            tries += 1;
        }
    }
}

/// Everything that a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

impl Station {
    /// A service with the image of the tests. None, with the reason printed, where there is no Podman; that is a
    /// failure on a build machine.
    pub(crate) async fn open() -> Option<Self> {
        let missing: Vec<_> =
            ["podman", "runc", "conmon", "busybox"].into_iter().filter(|name| found(name).is_none()).collect();
        let served = match missing.as_slice() {
            [] => Self::serve().await,
            missing => Err(format!("missing: {missing:?}; .ci/setup installs them")),
        };
        match served {
            Ok(station) => {
                station.import(&[]).await;
                Some(station)
            }
            Err(reason) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
                println!("skipped: {reason}");
                None
            }
        }
    }

    async fn serve() -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs_err::create_dir_all(at("workspace/sub")).unwrap();
        fs_err::write(at("containers.conf"), configuration(directory.path())).unwrap();
        fs_err::write(at("storage.conf"), storage(directory.path())).unwrap();
        let socket = at("engine.sock");
        let (program, args) = service_command(&socket, None);
        let command = Command::new(program)
            .args(args)
            .env("PATH", PATH)
            .env("HOME", directory.path())
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", at("storage.conf"))
            .env("TMPDIR", directory.path());
        let profile = Profile { isolation: Isolation::None, ..Profile::new(directory.path().to_path_buf()) };
        let mut service = Launcher::detect(LandlockUse::Off).spawn(&profile, &command).unwrap();
        let connecting = async {
            loop {
                if let Ok(engine) = Engine::connect(socket.to_str()).await {
                    return engine;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let engine = tokio::select! {
            engine = tokio::time::timeout(LIMIT, connecting) => engine.unwrap(),
            _ = service.wait() => {
                let mut why = String::new();
                let _ = service.take_stderr().unwrap().read_to_string(&mut why).await;
                return Err(format!("podman does not serve: {why}"));
            }
        };
        let api = Docker::connect_with_unix(socket.to_str().unwrap(), 60, API_DEFAULT_VERSION).unwrap();
        let api = api.negotiate_version().await.unwrap();
        let leftovers = Leftovers { directory: directory.path().to_str().unwrap().to_owned() };
        Ok(Self { engine, api, service, leftovers, directory })
    }

    /// Makes the image: BusyBox under its names, with further instructions.
    pub(crate) async fn import(&self, changes: &[&str]) {
        self.import_as("localhost/masque-test", busybox(), changes).await;
    }

    pub(crate) async fn import_as(&self, name: &str, tar: Vec<u8>, changes: &[&str]) {
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(name).changes(changes).build();
        let body = bollard::body_full(tar.into());
        self.api.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await.unwrap();
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("workspace")
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.workspace().join(path)
    }

    pub(crate) fn spec(&self) -> ContainerSpec {
        let executable = std::env::current_exe().unwrap();
        let inside = executable.parent().unwrap().parent().unwrap().join("examples/inside");
        ContainerSpec {
            libraries: libraries_of_this_process().unwrap(),
            memory_bytes: 256 << 20,
            tmp_bytes: 4 << 20,
            pids: 64,
            label: "test".to_owned(),
            ..ContainerSpec::new(IMAGE, self.workspace(), inside)
        }
    }

    pub(crate) async fn start(&self, spec: &ContainerSpec) -> Container {
        self.engine.start(spec, Box::new(())).await.unwrap()
    }

    /// The ids of all containers of Masque, running or not.
    pub(crate) async fn containers(&self) -> Vec<String> {
        self.engine.containers().await.unwrap().into_iter().map(|container| container.id).collect()
    }

    /// Waits until a container is gone by itself.
    pub(crate) async fn gone(&self, id: &str) {
        let going = async {
            while self.containers().await.iter().any(|other| other == id) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(LIMIT, going).await.unwrap();
    }

    /// Nothing may be left: no container, no process, no mount.
    pub(crate) async fn close(mut self) {
        assert_eq!(self.containers().await, Vec::<String>::new());
        self.service.kill().await.unwrap();
        let directory = self.leftovers.directory.clone();
        drop(self.leftovers);
        let leaving = async {
            while users(&directory) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, leaving).await.unwrap();
        let mounts = fs_err::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(&directory), "{mounts}");
        self.directory.close().unwrap();
    }
}

/// Whether a process names the directory in its command line.
fn users(directory: &str) -> bool {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(directory))
}

fn found(program: &str) -> Option<PathBuf> {
    PATH.split(':').map(|directory| Path::new(directory).join(program)).find(|path| path.exists())
}

fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\nlock_type = \"file\"\nevents_logger = \"none\"\nexit_command_delay = 1\n\
         tmp_dir = \"{directory}/engine\"\nstatic_dir = \"{directory}/root/libpod\"\nvolume_path = \"{directory}/volumes\"\n\
         image_copy_tmp_dir = \"{directory}\"\n[network]\nnetwork_config_dir = \"{directory}/networks\"\n"
    )
}

fn storage(directory: &Path) -> String {
    let directory = directory.display();
    format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{directory}/root\"\nrunroot = \"{directory}/run\"\n")
}

fn busybox() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut file = fs_err::File::open(found("busybox").unwrap()).unwrap().into_parts().0;
    tar.append_file("bin/busybox", &mut file).unwrap();
    for name in ["sh", "sleep"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
    }
    tar.into_inner().unwrap()
}

/// A shell script. Programs of BusyBox are found without a path.
pub(crate) fn script(text: &str) -> Exec {
    Exec::new("/bin/sh", "/".into()).args(["-c", text])
}

/// An attack of this executable, which the container must show.
pub(crate) fn attack(name: &str) -> Exec {
    let loader = libraries_of_this_process()
        .unwrap()
        .into_iter()
        .find(|library| library.file_name().unwrap().to_str().unwrap().starts_with("ld"));
    let loader = Path::new("/run/masque/lib").join(loader.unwrap().file_name().unwrap());
    let executable = std::env::current_exe().unwrap();
    Exec::new(loader, "/".into())
        .args(["--library-path", "/run/masque/lib", executable.to_str().unwrap()])
        .args(["attack::entry", "--exact", "--nocapture", "--test-threads=1"])
        .env("MASQUE_ATTACK", name)
}

/// Runs to the end.
pub(crate) async fn run(container: &Container, exec: Exec) -> Ended {
    let mut session = container.exec(exec).await.unwrap();
    drop(session.take_stdin());
    finish(&mut session).await
}

/// Reads both outputs to their end and waits.
pub(crate) async fn finish(session: &mut Session) -> Ended {
    let (mut stdout, mut stderr) = (session.take_stdout().unwrap(), session.take_stderr().unwrap());
    let (mut out, mut error) = (Vec::new(), Vec::new());
    let all = async { tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut error), session.wait()) };
    let (first, second, exit) = tokio::time::timeout(LIMIT, all).await.unwrap();
    first.and(second).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { stdout: text(&out), stderr: text(&error), exit: exit.unwrap() }
}

/// Reads until the program has printed this.
pub(crate) async fn printed(stdout: &mut masque_container::Stdout, expected: &str) {
    let mut read = vec![0; expected.len()];
    tokio::time::timeout(LIMIT, stdout.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&read), expected);
}
