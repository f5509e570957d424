//! `rolekeeper sandbox`: a local STS to try things on.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rolekeeper_sandbox::{Config, Faults, Running, Sandbox};
use serde_json::json;

use super::block_on;
use crate::{
    exit::{Status, Trouble},
    output::Printer,
    signals::End,
    values,
};

#[derive(clap::Args)]
#[command(after_help = "\
It prints the lines that point any SDK at it, then runs until Ctrl-C and says
what was called.

Examples, the second in another terminal with the lines of the first:
  rolekeeper sandbox --session-lifetime 10s
  rolekeeper exec --role-arn arn:aws:iam::123456789012:role/demo -- program

Make it misbehave while it runs; rolekeeper-sandbox documents the fields:
  curl -X PUT -H \"Authorization: Bearer $ROLEKEEPER_SANDBOX_TOKEN\" \\
       -d '{\"throttle_per_second\": 1}' $AWS_ENDPOINT_URL/_sandbox/faults")]
pub(crate) struct Arguments {
    /// Where to listen; loopback addresses only
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Make every session this long, which real STS can't: 10s, 2m
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    session_lifetime: Option<Duration>,

    /// Users, keys and roles, as TOML; default: a user and roles to try
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Misbehave from the start: JSON, or file://PATH
    #[arg(long, value_name = "JSON")]
    faults: Option<String>,

    /// Print the lines as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let config = match &arguments.config {
        None => Config::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Trouble::usage(format!("--config: cannot read {}: {error}", path.display()))
            })?;
            Config::from_toml(&text)
                .map_err(|error| Trouble::usage(format!("{}: {error}", path.display())))?
        }
    };
    let faults = arguments.faults.as_deref().map_or(Ok(Faults::default()), faults)?;
    block_on(async {
        let sandbox = Sandbox::builder()
            .config(config)
            .session_lifetime(arguments.session_lifetime)
            .faults(faults)
            .bind(arguments.listen)
            .start()
            .await
            .map_err(|error| {
                Trouble::system(format_args!("cannot listen on {}", arguments.listen), error)
            })?;
        // Whoever has read the lines may end us at once, and wants the summary all the same.
        let mut end = End::listen()?;
        introduce(&sandbox, arguments.json, printer);
        end.next().await;
        summarize(&sandbox, printer);
        sandbox.shutdown().await;
        Ok(Status::OK)
    })
}

fn faults(text: &str) -> Result<Faults, Trouble> {
    let text =
        values::text_or_file(text).map_err(|why| Trouble::usage(format!("--faults: {why}")))?;
    let faults: Faults = serde_json::from_str(&text).map_err(|error| {
        let not = if error.is_syntax() || error.is_eof() { " is not JSON" } else { "" };
        Trouble::usage(format!("--faults{not}: {error}"))
    })?;
    faults.check().map_err(|why| Trouble::usage(format!("--faults: {why}")))?;
    Ok(faults)
}

fn introduce(sandbox: &Running, as_json: bool, printer: &Printer) {
    let mut lines = sandbox.environment();
    lines.push(("ROLEKEEPER_SANDBOX_TOKEN".into(), sandbox.admin_token().into()));
    if as_json {
        let object: serde_json::Map<_, _> =
            lines.into_iter().map(|(name, value)| (name, json!(value))).collect();
        printer.line(json!(object));
        return;
    }
    for (name, value) in lines {
        printer.line(format_args!("export {name}={}", values::posix_quoted(&value)));
    }
    printer.note(format_args!("\nA local STS at {}. Roles:", sandbox.endpoint_url()));
    for role in sandbox.config().role_names() {
        printer.note(format_args!("  {}", sandbox.role_arn(role)));
    }
    printer.note("Stop it with Ctrl-C.");
}

fn summarize(sandbox: &Running, printer: &Printer) {
    let counts = sandbox.counts();
    printer.note(format_args!("\n{} calls:", counts.total()));
    for row in &counts.rows {
        let (operation, caller, result) = (&row.operation, &row.caller, &row.result);
        printer.note(format_args!("  {:>6}  {operation}  {result}  {caller}", row.calls));
    }
}
