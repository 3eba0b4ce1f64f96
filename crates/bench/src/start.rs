//! How long starting the program takes.

use std::path::Path;

use crate::{
    figures::{Row, Section, Unit},
    places::Places,
    process::{alone, timed},
    statistics::median_ms,
};

const ROUNDS: usize = 40;
const PERSONAS: usize = 200;

/// Measures `masque --version` and `masque persona list`, beside the start of a program that does nothing.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let home = tempfile::tempdir()?;
    write_personas(home.path())?;
    let (mut nothing, mut version, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nothing.push(timed(&mut alone("true", home.path()))?);
        version.push(timed(alone(&places.masque, home.path()).arg("--version"))?);
        list.push(timed(alone(&places.masque, home.path()).args(["persona", "list"]))?);
    }
    let plain = median_ms(&nothing);
    Ok(Section {
        title: "Start",
        command: "make bench ARGS=start",
        about: format!("From start to end of the process, median of {ROUNDS}, taken in turn."),
        rows: vec![
            Row::new("`masque --version`", Unit::Milliseconds, median_ms(&version))
                .at_most(10.0)
                .beside("`true`", Ok(plain)),
            Row::new(format!("`masque persona list`, {PERSONAS} personas"), Unit::Milliseconds, median_ms(&list))
                .at_most(50.0)
                .beside("`true`", Ok(plain)),
        ],
    })
}

fn write_personas(project: &Path) -> anyhow::Result<()> {
    let directory = project.join(".agents/agents");
    fs_err::create_dir_all(&directory)?;
    for number in 0..PERSONAS {
        let text = format!(
            "---\nname: helper-{number}\ndescription: Helps with matters of kind {number}\ntools: [fs.read, fs.search]\n\
             ---\n{}\n",
            "You help with one kind of matter, and say so when it is another.\n".repeat(20)
        );
        fs_err::write(directory.join(format!("helper-{number}.md")), text)?;
    }
    Ok(())
}
