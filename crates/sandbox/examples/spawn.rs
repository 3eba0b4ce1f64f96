//! Prints how long a program takes from start to exit, confined and not, in microseconds.
//!
//! Usage: `cargo run --release -p masque-sandbox --example spawn [rounds]`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement, printed")]

use std::{path::PathBuf, process::Stdio, time::Instant};

use masque_sandbox::{Command, Isolation, LandlockUse, Launcher, Mechanism, Profile, State};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let workspace = std::env::temp_dir().join(format!("masque-spawn-{}", std::process::id()));
    fs_err::create_dir(&workspace)?;
    let mut confined = Profile::new(workspace.clone());
    confined.read_only = vec![PathBuf::from(".masque")];
    let plain = Profile { isolation: Isolation::None, ..confined.clone() };
    let layered = Launcher::detect(LandlockUse::IfPresent);
    let single = Launcher::detect(LandlockUse::Off);
    for Mechanism { name, state, .. } in layered.mechanisms() {
        match state {
            State::Enforced(how) => println!("{name}: {how}"),
            State::Missing(why) => println!("{name}: MISSING, {why}"),
        }
    }
    let command = Command::new("/usr/bin/true");
    let mut times: [Vec<u128>; 4] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        let [standard, unconfined, without_landlock, all] = &mut times;
        let start = Instant::now();
        std::process::Command::new("/usr/bin/true").stdin(Stdio::null()).status()?;
        standard.push(start.elapsed().as_micros());
        for (launcher, profile, times) in
            [(&layered, &plain, unconfined), (&single, &confined, without_landlock), (&layered, &confined, all)]
        {
            let start = Instant::now();
            launcher.spawn(profile, &command)?.wait().await?;
            times.push(start.elapsed().as_micros());
        }
    }
    for (name, mut times) in ["fork+exec", "unconfined", "confined, Landlock off", "confined"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        println!("{name}: p50 {} us, p95 {} us", at(50), at(95));
    }
    fs_err::remove_dir_all(&workspace)?;
    Ok(())
}
