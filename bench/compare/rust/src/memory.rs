//! What a role takes that is kept fresh: many of them, each contender in a process of its own.

use std::{
    fs,
    io::{self, Write},
    process::Command,
    time::Duration,
};

use crate::{
    Options,
    contenders::{HOUR, Kind, World},
    document::{Document, Figure},
    sandbox::Sandbox,
    sdk, tell,
};

/// The word that makes this program such a process.
pub(crate) const CHILD: &str = "memory-of";

const ROLES: u32 = 1_000;
const ROUNDS: usize = 3;

pub(crate) fn measure(options: &Options, document: &mut Document) -> io::Result<()> {
    let mut found = Kind::ALL.map(|_| Vec::new());
    for _ in 0..options.rounds(ROUNDS) {
        for (kind, found) in Kind::ALL.into_iter().zip(&mut found) {
            let run = Command::new(std::env::current_exe()?)
                .arg("--program")
                .arg(&options.program)
                .args([CHILD, kind.name()])
                .output()?;
            let told = String::from_utf8_lossy(&run.stdout);
            match told.trim().parse::<f64>() {
                Ok(bytes) => found.push(bytes / f64::from(ROLES) / 1e3),
                Err(_) => {
                    let why = String::from_utf8_lossy(&run.stderr).into_owned();
                    return Err(io::Error::other(why));
                }
            }
        }
    }
    document.row(
        "memory",
        "Rust, 1,000 roles, each with a session held: resident memory a role",
        "KB",
        Kind::ALL
            .into_iter()
            .map(Kind::name)
            .zip(&found)
            .map(|(name, all)| (name, Figure::of(all))),
    );
    Ok(())
}

/// Prints the bytes that its roles took.
pub(crate) async fn child(who: &str, options: &Options) -> io::Result<()> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == who);
    let kind = kind.ok_or_else(|| io::Error::other(format!("there is no {who}")))?;
    let components = sdk::components().await;
    let sandbox = Sandbox::start(&options.program, HOUR, Duration::ZERO)?;
    let world = World::around(sandbox, &components).await?;
    // What is made once, and belongs to no role.
    let first = world.reader(kind).await?;
    first.read().await;
    let before = resident()?;
    let mut held = Vec::new();
    for _ in 0..ROLES {
        let reader = world.reader(kind).await?;
        if !reader.read().await {
            return Err(io::Error::other(format!("{who} got no session")));
        }
        held.push(reader);
    }
    let took = resident()? - before;
    tell(&format!("{who}: {took} bytes for {} roles", held.len()));
    writeln!(io::stdout(), "{took}")
}

fn resident() -> io::Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<i64>().ok());
    Ok(kilobytes.ok_or_else(|| io::Error::other("no VmRSS is told"))? * 1024)
}
