//! Prints how long a container takes to start and to stop, and a program in it from start to exit, in milliseconds.
//!
//! Usage: `cargo build --release -p masque-container --examples`, then `measure SOCKET IMAGE [ROUNDS]`, with an image
//! that has `/bin/sh`.

#![expect(clippy::print_stdout, reason = "a measurement, printed")]

use std::time::Instant;

use masque_container::{ContainerSpec, Engine, Exec, libraries_of_this_process};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(image)) = (arguments.next(), arguments.next()) else {
        return Err("usage: measure SOCKET IMAGE [ROUNDS]".into());
    };
    let rounds: usize = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let engine = Engine::connect(Some(&socket)).await?;
    println!("{}", engine.info());
    let workspace = tempfile::tempdir()?;
    let inside = std::env::current_exe()?.with_file_name("inside");
    let mut spec = ContainerSpec::new(image, workspace.path().to_path_buf(), inside);
    spec.libraries = libraries_of_this_process()?;
    let (mut starts, mut programs, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        let container = engine.start(&spec, Box::new(())).await?;
        starts.push(started.elapsed());
        for _ in 0..rounds {
            let started = Instant::now();
            let exec = Exec::new("/bin/sh", "/".into()).args(["-c", ":"]);
            container.exec(exec).await?.wait().await?;
            programs.push(started.elapsed());
        }
        let stopped = Instant::now();
        container.stop().await?;
        stops.push(stopped.elapsed());
    }
    for (name, mut times) in [("container start", starts), ("program", programs), ("container stop", stops)] {
        times.sort_unstable();
        let at =
            |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
        println!("{name}: p50 {:.1} ms, p95 {:.1} ms", at(50), at(95));
    }
    Ok(())
}
