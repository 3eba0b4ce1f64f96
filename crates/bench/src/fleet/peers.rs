//! The other supervisors: how each is told of the same services.

use std::{fmt::Write as _, path::Path, process::Command};

use super::{
    shape::{Probe, Shape, Subject},
    stage::{Stage, text},
};
use crate::{places::Places, process};

/// The command of Masque that starts a shape.
pub(crate) fn masque(places: &Places, shape: &Shape, stage: &Stage) -> anyhow::Result<Command> {
    let ready = if shape.probe == Probe::Asked { "tcp" } else { "notify" };
    let mut file = format!(
        "name = \"bench\"\n[hosts.local]\n[defaults]\nhost = \"local\"\nready = {{ {ready} = true }}\n\
         restart = {{ first = \"5ms\" }}\nenvironment = {{ SUBJECT_DIRECTORY = {:?} }}\n",
        text(stage.path())?
    );
    for subject in &shape.subjects {
        let Subject { name, delay_ms, needs, port } = subject;
        let program = text(&stage.subject)?;
        writeln!(
            file,
            "[services.{name}]\ncommand = [{program:?}, {name:?}]\ndependencies = {needs:?}\n\
             environment = {{ SUBJECT_DELAY_MS = \"{delay_ms}\" }}"
        )?;
        if let Some(port) = port {
            writeln!(file, "port = {port}")?;
        }
        if shape.probe == Probe::SaidAndAsked {
            writeln!(file, "live = {{ tcp = true, period = \"1s\" }}")?;
        }
    }
    fs_err::write(stage.path().join("fleet.toml"), file)?;
    let mut command = process::alone(&places.masque, &stage.home());
    command.arg("-C").arg(stage.path()).args(["fleet", "up", "--host", "local"]);
    Ok(command)
}

/// The command of supervisord with its plugin for dependencies. A service counts as ready one second after its start:
/// there is no other readiness.
pub(crate) fn supervisord(python: &Path, shape: &Shape, stage: &Stage) -> anyhow::Result<Command> {
    let directory = text(stage.path())?;
    let listener = python.with_file_name("supervisord-dependent-startup");
    let mut file = format!(
        "[supervisord]\nnodaemon=true\nlogfile={directory}/supervisord.log\npidfile={directory}/supervisord.pid\n\
         user=root\n[unix_http_server]\nfile={directory}/supervisor.sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{directory}/supervisor.sock\n\
         [eventlistener:dependentstartup]\ncommand={} -c {directory}/supervisord.conf\nautostart=true\nstartsecs=1\n\
         buffer_size=10000\nevents=PROCESS_STATE\n",
        text(&listener)?
    );
    for Subject { name, delay_ms, needs, .. } in &shape.subjects {
        let waits: Vec<String> = needs.iter().map(|need| format!("{need}:running")).collect();
        writeln!(
            file,
            "[program:{name}]\ncommand={} {name}\nautostart=false\nautorestart=false\nstartsecs=1\n\
             environment=SUBJECT_DELAY_MS=\"{delay_ms}\",SUBJECT_DIRECTORY=\"{directory}\"\n\
             dependent_startup=true\ndependent_startup_wait_for={}",
            text(&stage.subject)?,
            waits.join(" ")
        )?;
    }
    let config = stage.path().join("supervisord.conf");
    fs_err::write(&config, file)?;
    let mut command = process::alone(python.with_file_name("supervisord"), &stage.home());
    command.arg("-c").arg(config);
    Ok(command)
}

/// The command of horust: one file per service, readiness by a file.
pub(crate) fn horust(program: &Path, shape: &Shape, stage: &Stage) -> anyhow::Result<Command> {
    let directory = text(stage.path())?;
    let services = stage.path().join("services");
    fs_err::create_dir(&services)?;
    for Subject { name, delay_ms, needs, .. } in &shape.subjects {
        let needs: Vec<String> = needs.iter().map(|need| format!("{need}.toml")).collect();
        let file = format!(
            "command = \"{} {name}\"\nstart-after = {needs:?}\n[healthiness]\nfile-path = \"{directory}/ready/{name}\"\n\
             [environment]\nkeep-env = false\nadditional = {{ SUBJECT_DELAY_MS = \"{delay_ms}\", SUBJECT_DIRECTORY = \"{directory}\" }}\n",
            text(&stage.subject)?
        );
        fs_err::write(services.join(format!("{name}.toml")), file)?;
    }
    let mut command = process::alone(program, &stage.home());
    command.arg("--services-path").arg(services).arg("--uds-folder-path").arg(stage.path());
    Ok(command)
}
