//! `rolekeeper demo`: the main job, watched. Readers sign real requests through several session
//! lifetimes, a refused refresh, an outage and a revocation; beside them others do the same with
//! credentials fetched once.

mod bucket_list;
mod display;
mod story;
mod work;

use std::{io, sync::Arc, time::Duration};

use rolekeeper::{
    Clock, RefreshableCredentials, Secret,
    sources::{AssumeRole, Base},
};
use rolekeeper_sandbox::{Running, Sandbox};
use serde_json::json;

use crate::{
    exit::{Status, Trouble},
    output::Printer,
};
use display::Display;
use work::Side;

/// The sandbox's role that its user may assume.
const ROLE: &str = "demo";

#[derive(clap::Args)]
#[command(after_help = "\
Exit status 1 if a single one of rolekeeper's calls failed.

Examples:
  rolekeeper demo
  rolekeeper demo --quick")]
pub(crate) struct Arguments {
    /// 8 seconds instead of 30
    #[arg(long)]
    quick: bool,

    /// How many readers on each side
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    readers: u16,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// How long it all takes, and how long a session lives in it.
#[derive(Clone, Copy)]
struct Scale {
    total: Duration,
    session: Duration,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let scale = if arguments.quick {
        Scale { total: Duration::from_secs(8), session: Duration::from_secs(5) }
    } else {
        Scale { total: Duration::from_secs(30), session: Duration::from_secs(10) }
    };
    tokio::runtime::Runtime::new()
        .map_err(|error| Trouble::system("cannot start", error))?
        .block_on(play(arguments, scale, printer))
}

async fn play(arguments: &Arguments, scale: Scale, printer: &Printer) -> Result<Status, Trouble> {
    let sandbox = Sandbox::builder()
        .session_lifetime(scale.session)
        .start()
        .await
        .map_err(|error| Trouble::system("cannot start the sandbox on 127.0.0.1", error))?;
    printer.note(format_args!(
        "A local STS at {}, with sessions of {} s.\n\
         {} readers on each side sign S3's ListBuckets every 20 ms, for {} s.\n",
        sandbox.endpoint_url(),
        scale.session.as_secs(),
        arguments.readers,
        scale.total.as_secs(),
    ));

    let refreshed = RefreshableCredentials::builder(source(&sandbox).await?).build();
    let once = RefreshableCredentials::builder(source(&sandbox).await?).build();
    let plain = once.get_patiently(super::PATIENCE).await?.share();
    once.shutdown();
    refreshed.get_patiently(super::PATIENCE).await?;

    let ours = Arc::new(Side::refreshed(&sandbox, refreshed.clone()));
    let theirs = Arc::new(Side::fetched_once(&sandbox, plain));
    let mut display = Display::new(printer, refreshed.clone(), Clock::default());
    let workers = [&ours, &theirs].map(|side| work::start(side, arguments.readers));
    let ended = tokio::select! {
        () = story::tell(&sandbox, scale.total, &mut display, [&*ours, &*theirs]) => true,
        pressed = tokio::signal::ctrl_c() => {
            pressed.map_err(|error| Trouble::system("cannot listen for signals", error))?;
            false
        }
    };
    for side in workers {
        side.stop().await;
    }
    display.end();

    // One call was the other side's.
    let sts_calls = sandbox.counts().calls("AssumeRole").saturating_sub(1);
    summarize(arguments.json, [&*ours, &*theirs], sts_calls, printer);
    if !ended {
        printer.note("Stopped before its end by Ctrl-C.");
    }
    sandbox.shutdown().await;
    Ok(if ours.failed() == 0 { Status::OK } else { Status::FAILED })
}

async fn source(sandbox: &Running) -> Result<AssumeRole, Trouble> {
    let user = sandbox
        .user_credentials("demo")
        .ok_or_else(|| Trouble::system("the sandbox has no user", io::ErrorKind::NotFound))?;
    let secret = Secret::new(user.secret_access_key);
    let base = Base::keys(&user.access_key_id, &secret, None);
    Ok(AssumeRole::builder(sandbox.role_arn(ROLE))
        .session_name("rolekeeper-demo")
        .base(base)
        .region(sandbox.region())
        .endpoint_url(sandbox.endpoint_url())
        .build()
        .await?)
}

fn summarize(as_json: bool, [ours, theirs]: [&Side; 2], sts_calls: u64, printer: &Printer) {
    if as_json {
        printer.line(json!({
            "rolekeeper": ours.summary(sts_calls),
            "fetched_once": theirs.summary(1),
        }));
        return;
    }
    let row = |name: &str, ours: String, theirs: String| {
        printer.line(format_args!("{name:<36}{ours:>14}{theirs:>16}"));
    };
    let count = |number: u64| number.to_string();
    row("", "rolekeeper".into(), "fetched once".into());
    row("calls served", count(ours.served()), count(theirs.served()));
    row("  of them again, after a revocation", count(ours.repeated()), count(theirs.repeated()));
    row("calls failed", count(ours.failed()), count(theirs.failed()));
    row("median wait for credentials", ours.median_wait(), theirs.median_wait());
    row("longest wait for credentials", ours.longest_wait(), theirs.longest_wait());
    row("calls of AssumeRole", count(sts_calls), count(1));
}
