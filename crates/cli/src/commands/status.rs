//! `rolekeeper status`: how it is with each role that a running agent serves.

use std::{io, path::PathBuf};

use rolekeeper_agent::{
    config,
    local::client::{self, AgentStatus, RoleStatus},
};
use serde_json::json;

use crate::{
    exit::{Status, Trouble},
    output::{BAD, COLUMNS, Printer, styled, wrapped},
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rolekeeper status
  rolekeeper status --json | jq '.roles[] | select(.last_error)'")]
pub(crate) struct Arguments {
    /// The agent's Unix socket; default: where `serve` has it
    #[arg(long, value_name = "PATH", env = "ROLEKEEPER_SOCKET")]
    socket: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The widest name that leaves a line of 80 columns its figures.
const NAME: usize = 22;

/// Before what is told of the role in the line above.
const MARGIN: usize = 2;

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Some(socket) = arguments.socket.clone().or_else(config::default_socket) else {
        return Err(Trouble::usage(
            "there is no place for a socket: neither XDG_RUNTIME_DIR nor HOME is set",
        )
        .with_hint("pass --socket PATH"));
    };
    let status = client::status(&socket).map_err(|error| {
        let place = socket.display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Trouble::unavailable(format!("no agent is listening on {place}"))
                    .with_hint("start one: rolekeeper serve --profile NAME; or pass its --socket")
            }
            io::ErrorKind::Unsupported => Trouble::system("cannot ask an agent", error).with_hint(
                "let it tell of itself: rolekeeper serve --operator 127.0.0.1:7346, then /metrics",
            ),
            _ => Trouble::system(format_args!("cannot ask the agent on {place}"), error),
        }
    })?;
    if arguments.json {
        printer.line(json!(status));
    } else {
        show(&status, printer);
    }
    Ok(Status::OK)
}

fn show(status: &AgentStatus, printer: &Printer) {
    let names = status.roles.iter().map(|role| role.name.chars().count());
    let width = names.max().unwrap_or(0).clamp(4, NAME);
    printer.line(format_args!(
        "{:width$}  {:>9}  {:>12}  {:>9}  {:>6}  ACCOUNT",
        "ROLE", "VALID FOR", "NEXT REFRESH", "READS", "HELD"
    ));
    for role in &status.roles {
        printer.line(format_args!(
            "{:width$}  {:>9}  {:>12}  {:>9}  {:>6}  {}",
            shortened(&role.name),
            valid_for(role),
            next_refresh(role),
            role.reads,
            role.held,
            role.account_id.as_deref().unwrap_or("-"),
        ));
        if let Some(error) = &role.last_error {
            let lines = error.message.lines().map(str::trim).filter(|line| !line.is_empty());
            let message = lines.collect::<Vec<_>>().join("; ").escape_debug().to_string();
            for line in wrapped(&message, COLUMNS - MARGIN) {
                printer.line(format_args!("{:MARGIN$}{}", "", styled(BAD, line)));
            }
            let hint = error.hint.as_ref().map(|hint| format!("hint: {hint}"));
            for line in hint.iter().flat_map(|hint| wrapped(hint, COLUMNS - MARGIN)) {
                printer.line(format_args!("{:MARGIN$}{line}", ""));
            }
        }
    }
}

/// With its beginning and its end, which tell long names apart.
fn shortened(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= NAME {
        return name.to_owned();
    }
    let half = (NAME - 1) / 2;
    let (begin, end) = (&characters[..half], &characters[characters.len() - half..]);
    begin.iter().chain(['…'].iter()).chain(end).collect()
}

fn valid_for(role: &RoleStatus) -> String {
    match role.remaining_seconds {
        0 => "nothing".to_owned(),
        seconds => words(seconds),
    }
}

fn next_refresh(role: &RoleStatus) -> String {
    match role.next_refresh_seconds {
        None => "-".to_owned(),
        Some(0) => "now".to_owned(),
        Some(seconds) => words(seconds),
    }
}

/// `1h 02m`, `59m 30s`, `12s`
pub(super) fn words(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}
