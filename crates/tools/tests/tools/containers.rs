//! Environments in containers: the same tools, servers, hooks and border as in the process sandbox.

use std::{collections::BTreeMap, ffi::OsString, path::Path, sync::Arc};

use masque_sandbox::{Command, Exit, Isolation, LandlockUse, Launcher, Profile};
use masque_tools::environment::{Containers, EnvironmentSpec};
use masque_types::{
    persona::{Backend, ContainerSpec, Hook, Hooks, McpServer, McpTransport},
    policy::Policy,
    run::SandboxMode,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use crate::{
    environment::{Stage, persona, strange},
    support::text,
};

const IMAGE: &str = "localhost/masque-tools-test:latest";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Podman with storage of a test's own, and an image with BusyBox.
struct Yard {
    directory: TempDir,
    environment: BTreeMap<OsString, OsString>,
    launcher: Launcher,
}

impl Yard {
    async fn open() -> Option<Self> {
        let found = |name: &&str| PATH.split(':').any(|directory| Path::new(directory).join(name).exists());
        let missing: Vec<_> = ["podman", "runc", "conmon", "busybox"].into_iter().filter(|name| !found(name)).collect();
        if !missing.is_empty() {
            assert!(option_env!("CI").is_none(), "missing: {missing:?}; .ci/setup installs them");
            println!("skipped: missing {missing:?}");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let place = directory.path().display();
        let configuration = format!(
            "[engine]\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\nlock_type = \"file\"\n\
             events_logger = \"none\"\ntmp_dir = \"{place}/engine\"\nstatic_dir = \"{place}/storage/libpod\"\n\
             volume_path = \"{place}/volumes\"\nimage_copy_tmp_dir = \"{place}\"\n\
             [network]\nnetwork_config_dir = \"{place}/networks\"\n"
        );
        let storage =
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{place}/storage\"\nrunroot = \"{place}/run\"\n");
        fs_err::write(at("containers.conf"), configuration).unwrap();
        fs_err::write(at("storage.conf"), storage).unwrap();
        let environment = [
            ("PATH", PATH.to_owned()),
            ("HOME", at("")),
            ("TMPDIR", at("")),
            ("CONTAINERS_CONF", at("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", at("storage.conf")),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into())).into();
        let yard = Self { directory, environment, launcher: Launcher::detect(LandlockUse::Off) };
        let make = "mkdir -p root/bin root/tmp root/etc && cp \"$(command -v busybox)\" root/bin/busybox && \
                    for name in sh cat ls env id wget nslookup sleep touch; do ln -sf busybox root/bin/$name; done && \
                    tar -C root -c . | podman import - localhost/masque-tools-test:latest";
        yard.run(make).await;
        Some(yard)
    }

    async fn run(&self, script: &str) {
        let profile = Profile { isolation: Isolation::None, ..Profile::new(self.directory.path().to_path_buf()) };
        let command = Command {
            env: self.environment.clone(),
            directory: self.directory.path().to_path_buf(),
            ..Command::new("/bin/sh").args(["-c", script])
        };
        let mut child = self.launcher.spawn(&profile, &command).unwrap();
        drop(child.take_stdin());
        let mut said = String::new();
        child.take_stderr().unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persona_lives_in_its_container() {
    let Some(yard) = Yard::open().await else { return };
    let containers = Arc::new(Containers::new(None, yard.environment.clone(), yard.launcher.clone()));
    let server = McpServer {
        transport: McpTransport::Stdio {
            command: crate::environment::example("strange_server").display().to_string(),
            args: vec!["normal".into()],
            env: BTreeMap::from([("OWN".to_owned(), "1".to_owned())]),
        },
        ..strange("")
    };
    let mut persona = persona([("s", server)]);
    persona.sandbox.backend = Backend::Container;
    persona.sandbox.deny = vec!["hidden.txt".into()];
    persona.sandbox.hosts = vec!["one.example.org:443".into()];
    persona.sandbox.container =
        Some(ContainerSpec { image: IMAGE.to_owned(), runtime: Some("runc".to_owned()), ..ContainerSpec::default() });
    let guard = "#!/bin/sh\ncase $(cat) in *forbidden*) echo not this >&2; exit 2;; esac\n";
    persona.hooks =
        Hooks { pre_tool_use: Some(Hook { path: "guard".into(), content: guard.into() }), ..Hooks::default() };
    let workspace = tempfile::tempdir().unwrap();
    fs_err::write(workspace.path().join("hidden.txt"), "CANARY").unwrap();
    let policy = Policy::default();
    let adjust = |spec: &mut EnvironmentSpec<'_>| spec.containers = Some(Arc::clone(&containers));
    let launcher = yard.launcher.clone();
    let stage = Stage::inside(workspace, &launcher, SandboxMode::Container, &persona, &policy, adjust).await.unwrap();

    let written = stage.call("fs.write", json!({"path": "f", "content": "1"})).await;
    assert!(!written.is_error, "{}", text(&written));
    assert_eq!(fs_err::read_to_string(stage.workspace.path().join("f")).unwrap(), "1");
    let blocked = stage.call("fs.write", json!({"path": "forbidden", "content": "1"})).await;
    assert!(text(&blocked).contains("not this"), "{}", text(&blocked));
    let looked =
        stage.shell("cat hidden.txt; ls /bin/busybox; cat /etc/resolv.conf; env; touch /bin/x; ls -d .git").await;
    assert!(!looked.contains("CANARY") && looked.contains("/bin/busybox"), "{looked}");
    assert!(looked.contains("nameserver 198.18.0.1") && !looked.contains("CARGO"), "{looked}");
    assert!(looked.contains("ead-only"), "{looked}");
    let out = stage.shell("nslookup two.example.org; wget -T 5 -O - http://1.1.1.1/").await;
    assert!(out.contains("NXDOMAIN") || out.contains("can't resolve") || out.contains("REFUSED"), "{out}");
    assert!(!stage.workspace.path().join(".masque/x").exists());
    // The server is a program of this machine that the image cannot run: it is absent, and the rest works.
    let found = stage.diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(found.is_empty() || found.contains("MCP server `s` did not start"), "{found}");
    stage.environment.close().await;
    assert!(text(&stage.call("fs.read", json!({"path": "f"})).await).contains("closed"));
    containers.close().await;
    drop(stage);
    yard.run("podman ps --all --quiet | { ! grep .; }").await;
}

#[tokio::test]
async fn a_container_without_image_or_engine_is_an_error_that_says_what_to_do() {
    let launcher = Launcher::detect(LandlockUse::Off);
    let persona = persona([]);
    let policy = Policy::default();
    let start = async |persona: &_, containers: Containers| {
        let adjust = |spec: &mut EnvironmentSpec<'_>| spec.containers = Some(Arc::new(containers));
        let workspace = tempfile::tempdir().unwrap();
        let started = Stage::inside(workspace, &launcher, SandboxMode::Container, persona, &policy, adjust).await;
        started.err().unwrap().to_string()
    };
    let nowhere = || Containers::new(Some("/no/such/socket".into()), BTreeMap::new(), launcher.clone());
    let error = start(&persona, nowhere()).await;
    assert!(error.contains("names no container image"), "{error}");
    let mut described = persona.clone();
    described.sandbox.container = Some(ContainerSpec { image: IMAGE.to_owned(), ..ContainerSpec::default() });
    let error = start(&described, nowhere()).await;
    assert!(error.contains("/no/such/socket"), "{error}");
}
