//! Prints how long a program takes from start to exit, confined and not, from a pool, beside bubblewrap, in
//! microseconds; and how much memory waiting sandboxes take.
//!
//! Usage: `cargo run --release -p masque-sandbox --example spawn [rounds] [workspace's parent]`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement, printed")]

use std::{path::PathBuf, process::Stdio, time::Instant};

use masque_sandbox::{Command, Isolation, LandlockUse, Launcher, Mechanism, Pool, PoolLimits, Profile, State};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const KINDS: [&str; 8] = [
    "fork+exec",
    "unconfined",
    "confined, Landlock off",
    "confined",
    "confined, until executed",
    "from the pool",
    "from the pool, until executed",
    "bubblewrap",
];
const LIVE: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let workspace = parent.join(format!("masque-spawn-{}", std::process::id()));
    fs_err::create_dir(&workspace)?;
    let confined = Profile::new(workspace.clone());
    let layered = Launcher::detect(LandlockUse::IfPresent);
    for Mechanism { name, state, .. } in layered.mechanisms() {
        match state {
            State::Enforced(how) => println!("{name}: {how}"),
            State::Missing(why) => println!("{name}: MISSING, {why}"),
        }
    }
    let result = match times(rounds, &layered, &confined).await {
        Ok(()) => memory(&layered, &confined).await,
        Err(error) => Err(error),
    };
    fs_err::remove_dir_all(&workspace)?;
    result
}

async fn times(rounds: usize, layered: &Launcher, confined: &Profile) -> Outcome<()> {
    let plain = Profile { isolation: Isolation::None, ..confined.clone() };
    let single = Launcher::detect(LandlockUse::Off);
    let pool = Pool::new(layered.clone(), PoolLimits { per_profile: 1, ..PoolLimits::default() })?;
    let command = Command::new("/usr/bin/true");
    let mut times: [Vec<u128>; 8] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        let [standard, unconfined, without_landlock, all, executed, warm, warm_executed, bubblewrap] = &mut times;
        let start = Instant::now();
        std::process::Command::new("/usr/bin/true").stdin(Stdio::null()).status()?;
        standard.push(start.elapsed().as_micros());
        let mut last = 0;
        for (launcher, profile, times) in
            [(layered, &plain, unconfined), (&single, confined, without_landlock), (layered, confined, all)]
        {
            let start = Instant::now();
            let mut child = launcher.spawn(profile, &command)?;
            let until_executed = start.elapsed().as_micros();
            child.wait().await?;
            times.push(start.elapsed().as_micros());
            last = until_executed;
        }
        executed.push(last);
        pool.prepare(confined);
        while pool.waiting(confined) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        let mut child = pool.spawn_only(confined, &command)?;
        warm_executed.push(start.elapsed().as_micros());
        child.wait().await?;
        warm.push(start.elapsed().as_micros());
        let start = Instant::now();
        let options = ["--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "/usr/bin/true"];
        if std::process::Command::new("bwrap").args(options).status().is_ok_and(|status| status.success()) {
            bubblewrap.push(start.elapsed().as_micros());
        }
    }
    println!("{:?}", pool.used());
    for (name, mut times) in KINDS.into_iter().zip(times) {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        println!("{name}: p5 {} us, p50 {} us, p95 {} us", at(5), at(50), at(95));
    }
    Ok(())
}

/// Memory of live sandboxes: of their inits, shared pages counted by share, as the kernel reports it.
async fn memory(launcher: &Launcher, profile: &Profile) -> Outcome<()> {
    let own_before = proportional(std::process::id())?;
    let ballast = vec![1_u8; 50 << 20];
    let start = Instant::now();
    let live: Vec<_> = (0..LIVE)
        .map(|_| launcher.spawn(profile, &Command::new("/usr/bin/sleep").args(["1000"])))
        .collect::<Result<_, _>>()?;
    let elapsed = start.elapsed().as_millis();
    let inits = live.iter().map(|child| proportional(child.id())).sum::<Outcome<u64>>()?;
    println!(
        "{LIVE} live in {elapsed} ms: their inits have {inits} KiB in all, the launcher {} KiB ({own_before} before, and {} of ballast)",
        proportional(std::process::id())?,
        ballast.len() >> 10,
    );
    let start = Instant::now();
    drop(live);
    println!("ended in {} ms", start.elapsed().as_millis());
    Ok(())
}

fn proportional(process: u32) -> Outcome<u64> {
    let text = fs_err::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no PSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
