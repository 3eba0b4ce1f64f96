//! Chores of this repository: `tidy` checks the rules that no compiler knows, `test` runs all tests with a database.
//!
//! Leaves out formatting, lints and building, which cargo does itself.

mod dependencies;
mod docs;
mod metadata;
mod minilm;
mod node;
mod postgres;
mod python;
mod ranks;
mod size;
mod sources;
mod tidy;
mod tree;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;

const USAGE: &str = "\
Usage: cargo run -p xtask -- <COMMAND>

Commands:
  tidy             check ranks, sizes, heads, documents, dependencies; print the trend
  test [ARGS…]     cargo test ARGS…, with what the tests stand on; all crates without -p
  postgres [CMD…]  run CMD with such a server and MASQUE_TEST_POSTGRES set
";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program that talks")]
fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("tidy") => {
            let report = tidy::check(&root()?)?;
            println!("{}", report.trend);
            report.findings.iter().for_each(|finding| eprintln!("{finding}"));
            println!("tidy: {} findings", report.findings.len());
            Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some("test") => {
            let chosen = rest.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
            let scope = if chosen { &[][..] } else { &["--workspace"] };
            let cargo = ["cargo", "test"].iter().chain(scope).map(ToString::to_string);
            postgres::with_server(cargo.chain(rest.iter().cloned()))
        }
        Some("postgres") if !rest.is_empty() => postgres::with_server(rest.into_iter()),
        _ => {
            eprint!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// The root of the repository: two directories above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(PathBuf::from).context("xtask is not at crates/xtask of the repository")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let report = tidy::check(&root().unwrap()).unwrap();
        assert!(report.findings.is_empty(), "{}", report.findings.join("\n"));
    }
}
