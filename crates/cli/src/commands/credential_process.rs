//! `rolekeeper credential-process`: one session in the form that `credential_process` in
//! `~/.aws/config` asks for.

use rolekeeper::{Failure, Session};
use serde_json::{Value, json};

use super::{PATIENCE, block_on};
use crate::{
    aws_files,
    exit::{Status, Trouble},
    identity::RoleArguments,
    output::Printer,
};

#[derive(clap::Args)]
#[command(after_help = "\
In ~/.aws/config, where the profile after --profile must be another one:
  [profile etl-fresh]
  credential_process = rolekeeper credential-process --profile etl

Prefer `rolekeeper exec` where you can: SDKs run this program again at each
refresh, and some of them not before the session has ended.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    role: RoleArguments,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    refuse_to_call_itself(arguments.role.profile())?;
    let session = block_on(async {
        let identity = arguments.role.identity(printer).await?;
        identity.session(PATIENCE, printer).await
    })?;
    printer.line(document(&session));
    Ok(Status::OK)
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

/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html>
pub(super) fn document(session: &Session) -> Value {
    let credentials = session.credentials();
    let mut document = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "SessionToken": credentials.session_token.expose(),
        "Expiration": session.expiration().to_string(),
    });
    if let Some(account_id) = session.account_id() {
        document["AccountId"] = account_id.into();
    }
    document
}
