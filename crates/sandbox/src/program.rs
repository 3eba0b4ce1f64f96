//! From a command to what is executed: the files that its name may mean, and its whole environment.

use std::{
    ffi::{CString, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use crate::{
    Command, Error,
    plan::{Program, Strings, c_string},
};

/// Where programs are looked up when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// What a confined program finds in its environment unless the command says otherwise.
const DEFAULT_ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/tmp/home"), ("PATH", DEFAULT_PATH), ("TMPDIR", "/tmp")];

/// The confined program of a command, started in this directory.
pub(crate) fn program(command: &Command, directory: &Path) -> Result<Program, Error> {
    let mut environment = command.env.clone();
    for (name, value) in DEFAULT_ENVIRONMENT {
        environment.entry(name.into()).or_insert_with(|| value.into());
    }
    let path = environment.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let variables = environment.into_iter().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        c_string(name, "the environment")
    });
    let arguments = std::iter::once(&command.program).chain(&command.args).map(|text| c_string(text, "an argument"));
    Ok(Program {
        directory: c_string(directory, "the directory")?,
        programs: candidates(&command.program, &path)?,
        arguments: Strings::new(arguments.collect::<Result<_, _>>()?),
        environment: Strings::new(variables.collect::<Result<_, _>>()?),
    })
}

/// The files that a program name may mean.
pub(crate) fn candidates(program: &OsString, path: &OsString) -> Result<Vec<CString>, Error> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program, "the program")?]);
    }
    let directories = path.as_bytes().split(|byte| *byte == b':').filter(|directory| directory.starts_with(b"/"));
    let files = directories.map(|directory| PathBuf::from(OsString::from_vec(directory.to_vec())).join(program));
    files.map(|file| c_string(file, "the program")).collect()
}
