//! What the program takes: memory while a run is driven, and space on disk.

use crate::{
    figures::{Row, Section, Unit},
    places::Places,
    process::{alone, watched},
    statistics::{median, real},
};

const ROUNDS: usize = 5;
/// Reads, lists, writes: real tools in the sandbox.
const SCRIPT: &str = "\
replies:
  - text: I look around.
    calls:
      - { tool: fs.list, arguments: { path: \".\" } }
      - { tool: fs.read, arguments: { path: notes.txt } }
  - text: I write down what I found.
    calls:
      - { tool: fs.write, arguments: { path: found.txt, content: \"seen\" } }
  - text: Done.
";

/// Measures `masque run` and the size of the program.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let (mut own, mut tree) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Masque's home cannot be its workspace.
        let (home, workspace) = (tempfile::tempdir()?, tempfile::tempdir()?);
        fs_err::write(workspace.path().join("script.yaml"), SCRIPT)?;
        fs_err::write(workspace.path().join("notes.txt"), "some notes\n".repeat(1_000))?;
        let mut command = alone(&places.masque, home.path());
        command.current_dir(workspace.path());
        command.args(["run", "engineer", "-m", "scripted/script.yaml", "-p", "Look around", "--approve", "*"]);
        let peak = watched(&mut command)?;
        own.push(real(peak.own_bytes));
        tree.push(real(peak.tree_bytes));
    }
    let size = fs_err::metadata(&places.masque)?.len();
    Ok(Section {
        title: "Footprint",
        command: "make bench ARGS=footprint",
        about: format!(
            "A whole run with the bundled `engineer`, a scripted model, and real tools in the sandbox; peak memory, \
             median of {ROUNDS}. With its tool server: the sum over both processes, pages that they share counted \
             twice."
        ),
        rows: vec![
            Row::new("peak memory of `masque run`", Unit::Bytes, median(own)).at_most(60e6),
            Row::new("with its tool server", Unit::Bytes, median(tree)),
            Row::new("size of the stripped program", Unit::Bytes, real(size)).at_most(40e6),
        ],
    })
}
