//! A workspace, launchers, and running a script or an attack to its end.

use std::path::{Path, PathBuf};

use masque_sandbox::{Child, Command, Exit, LandlockUse, Launcher, Profile, State, masque_path_inside};
use tokio::io::AsyncReadExt;

/// Everything that a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

/// A launcher with Landlock, where there is one, and one without. None, with the reason printed, where the kernel does
/// not permit sandboxes at all; that is a failure on a build machine.
pub(crate) fn launchers() -> Vec<Launcher> {
    let both = [LandlockUse::IfPresent, LandlockUse::Off].map(Launcher::detect);
    for mechanism in both.iter().flat_map(Launcher::mechanisms) {
        if let (State::Missing(why), true) = (&mechanism.state, mechanism.required) {
            assert!(std::env::var_os("CI").is_none(), "{}: {why}", mechanism.name);
            println!("skipped, {} is missing: {why}", mechanism.name);
            return Vec::new();
        }
    }
    both.into()
}

/// A workspace beside a secret, with links to it.
pub(crate) struct Scene {
    pub(crate) directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().unwrap() };
        fs_err::create_dir_all(scene.workspace().join("sub")).unwrap();
        fs_err::write(scene.outside("secret"), "SECRET").unwrap();
        fs_err::write(scene.workspace().join(".env"), "SECRET").unwrap();
        fs_err::write(scene.workspace().join("plain"), "plain").unwrap();
        scene
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("workspace")
    }

    /// A path beside the workspace.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn profile(&self) -> Profile {
        let mut profile = Profile::new(self.workspace());
        profile.masque = Some(std::env::current_exe().unwrap());
        profile
    }
}

/// A shell script.
pub(crate) fn script(text: &str) -> Command {
    Command::new("/bin/sh").args(["-c", text])
}

/// An attack of this executable.
pub(crate) fn attack(name: &str) -> Command {
    Command::new(masque_path_inside())
        .args(["attack::entry", "--exact", "--nocapture", "--test-threads=1"])
        .env("MASQUE_ATTACK", name)
}

/// Runs to the end.
pub(crate) async fn run(launcher: &Launcher, profile: &Profile, command: &Command) -> Ended {
    let mut child = launcher.spawn(profile, command).unwrap();
    drop(child.take_stdin());
    let (stdout, stderr) = output(&mut child).await;
    Ended { stdout, stderr, exit: child.wait().await.unwrap() }
}

/// Reads both outputs to their end.
pub(crate) async fn output(child: &mut Child) -> (String, String) {
    let (mut stdout, mut stderr) = (child.take_stdout().unwrap(), child.take_stderr().unwrap());
    let (mut out, mut error) = (Vec::new(), Vec::new());
    let (first, second) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut error));
    first.and(second).unwrap();
    (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&error).into_owned())
}

/// Runs shell lines that must all fail, in a fresh scene, under both launchers; `SECRET` must not be printed.
pub(crate) async fn refused(prepare: impl Fn(&Scene), lines: &[&str]) {
    for launcher in launchers() {
        let scene = Scene::new();
        prepare(&scene);
        let mut text = String::from("exec 2>&1\n");
        for (number, line) in lines.iter().enumerate() {
            text += &format!("if ({line}); then echo BROKEN {number}; fi\n");
        }
        let outside = scene.outside("");
        let command = script(&text.replace("OUTSIDE", outside.to_str().unwrap().trim_end_matches('/')));
        let ended = run(&launcher, &scene.profile(), &command).await;
        assert!(ended.exit.success() && !ended.stdout.contains("SECRET"), "{ended:?}");
        for (number, line) in lines.iter().enumerate() {
            assert!(!ended.stdout.contains(&format!("BROKEN {number}\n")), "not refused: {line}\n{}", ended.stdout);
        }
        assert_eq!(names(&outside), ["secret", "workspace"]);
        assert_eq!(fs_err::read_to_string(scene.outside("secret")).unwrap(), "SECRET");
    }
}

/// Names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
