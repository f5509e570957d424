//! `rolekeeper credential-process`: one session in the form that `credential_process` in
//! `~/.aws/config` asks for.

use std::path::PathBuf;

use rolekeeper::Failure;
use rolekeeper_agent::{
    config, document,
    local::client::{self, Answer},
};

use super::{PATIENCE, block_on};
use crate::{
    aws_files,
    exit::{self, Status, Trouble},
    identity::RoleArguments,
    output::Printer,
    store::Usual,
};

#[derive(clap::Args)]
#[command(after_help = "\
In ~/.aws/config, where the profile after --profile must be another one:
  [profile etl-fresh]
  credential_process = rolekeeper credential-process --profile etl

If a `rolekeeper serve` of yours serves that very profile, its session is
printed, which takes milliseconds and no call to STS.

Prefer `rolekeeper exec` where you can: SDKs run this program again at each
refresh, and some of them not before the session has ended.")]
pub(crate) struct Arguments {
    /// The Unix socket of the agent to ask first; default: where `serve` has it
    #[arg(long, value_name = "PATH", env = "ROLEKEEPER_SOCKET")]
    socket: Option<PathBuf>,

    /// Ask no agent
    #[arg(long)]
    no_agent: bool,

    #[command(flatten)]
    role: RoleArguments,
}

/// `log` sets up the log: as soon as something may have to be told.
pub(crate) fn run(
    arguments: Arguments,
    log: impl FnOnce(),
    printer: &Printer,
) -> Result<Status, Trouble> {
    refuse_to_call_itself(arguments.role.profile())?;
    let document = match arguments.of_an_agent()? {
        Some(document) => document,
        None => {
            log();
            let session = block_on(async {
                let identity = arguments.role.identity(printer, Usual::File).await?;
                identity.session(PATIENCE, printer).await
            })?;
            document::process(&session).to_vec().into()
        }
    };
    printer.line(String::from_utf8_lossy(&document));
    Ok(Status::OK)
}

impl Arguments {
    /// The session of an agent that runs; `None` if there is no agent, or if it doesn't serve just
    /// this.
    fn of_an_agent(&self) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Trouble> {
        let socket = self.socket.clone().or_else(config::default_socket);
        let (false, Some(profile), Some(socket)) =
            (self.no_agent, self.role.only_profile(), socket)
        else {
            return Ok(None);
        };
        match client::credentials_of_profile(&socket, &profile) {
            Ok(Answer::Here(document)) => {
                tracing::info!(socket = %socket.display(), "an agent has it");
                Ok(Some(document))
            }
            Ok(Answer::Unavailable(error)) => Err(exit::trouble_of_agent(error)),
            Ok(Answer::NotServed) => {
                tracing::info!(socket = %socket.display(), "the agent there doesn't serve it");
                Ok(None)
            }
            Err(error) => {
                tracing::debug!(socket = %socket.display(), %error, "no agent is asked");
                Ok(None)
            }
        }
    }
}

/// A profile whose `credential_process` is this command for the same profile would call itself
/// without end.
fn refuse_to_call_itself(given: Option<&str>) -> Result<(), Trouble> {
    let profile = aws_files::selected_profile(given);
    let Some(command) = aws_files::setting(&profile, "credential_process") else { return Ok(()) };
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let calls_us = words.iter().any(|word| word.ends_with("rolekeeper"))
        && words.contains(&"credential-process");
    let names_it = match words.iter().position(|word| word.starts_with("--profile")) {
        // It goes by the environment, as we do: by keys if there are any and a role is named, else
        // by the profile that is selected.
        None => {
            let goes_by_keys =
                has_keys() && words.iter().any(|word| word.starts_with("--role-arn"));
            !goes_by_keys && aws_files::selected_profile(None) == profile
        }
        Some(at) => {
            words[at].strip_prefix("--profile=").or(words.get(at + 1).copied()) == Some(&profile)
        }
    };
    if calls_us && names_it {
        return Err(Failure::misconfigured(format!(
            "the credential_process of profile `{profile}` calls itself"
        ))
        .with_hint("give the role a profile of its own, and name that one in the command")
        .into());
    }
    Ok(())
}

fn has_keys() -> bool {
    std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|key| !key.is_empty())
}
