//! `rolekeeper exec`: a program with credentials that refresh under it.

use std::{ffi::OsString, process::Command as StdCommand};

use super::{PATIENCE, block_on};
use crate::{
    aws_files,
    child::{self, Signals},
    endpoint::Endpoint,
    environment::{self, Variables},
    events,
    exit::{Status, Trouble},
    identity::{Identity, RoleArguments},
    output::Printer,
};

#[derive(clap::Args)]
#[command(after_help = "\
The program reads its credentials from an endpoint on 127.0.0.1 that exec serves
for it, as in an ECS container; every AWS SDK knows that. Other credentials are
taken out of its sight: variables, keys in the credentials file, roles in the
configuration file.

Examples:
  rolekeeper exec --role-arn arn:aws:iam::123456789012:role/etl -- python job.py
  rolekeeper exec --profile etl -- aws s3 sync ./data s3://bucket
  rolekeeper exec --role-arn ROLE_A --role-arn ROLE_B -- program  # A assumes B
  rolekeeper exec --profile etl --env -- old-program  # ends with the session")]
pub(crate) struct Arguments {
    /// Set plain variables instead (AWS_ACCESS_KEY_ID, …); they are never refreshed
    #[arg(long)]
    env: bool,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,

    #[command(flatten)]
    role: RoleArguments,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { role, env, program } = arguments;
    block_on(async {
        let identity = role.identity(printer).await?;
        if env {
            run_with_variables(identity, &program, printer).await
        } else {
            run_served(identity, &program, printer).await
        }
    })
}

async fn run_served(
    identity: Identity,
    program: &[OsString],
    printer: &Printer,
) -> Result<Status, Trouble> {
    let region = identity.region().map(str::to_owned);
    let profile = aws_files::selected_profile(identity.profile());
    let credentials = identity.keep();
    // A role that can't be assumed is told before the program has begun.
    identity.first(&credentials, PATIENCE, printer).await?;
    let told = events::tell(credentials.events(), printer);
    identity.leave_terminal();

    let endpoint = Endpoint::start(credentials.clone())
        .await
        .map_err(|error| Trouble::system("cannot serve credentials on 127.0.0.1", error))?;
    let folder = aws_files::private_folder()
        .map_err(|error| Trouble::system("cannot make a temporary folder", error))?;
    let mut variables = served_variables(&endpoint, folder.path(), &profile)
        .map_err(|error| Trouble::system("cannot write the program's AWS files", error))?;
    variables.extend(environment::region(region.as_deref()));

    let mut command = child::command(program, variables);
    let signals =
        Signals::listen().map_err(|error| Trouble::system("cannot listen for signals", error))?;
    let child = command.spawn().map_err(|error| child::cannot_start(&program[0], &error))?;
    let status = tokio::select! {
        status = child::see_through(child, signals) => status,
        never = told => match never {},
    }
    .map_err(|error| Trouble::system("cannot wait for the program", error))?;
    credentials.shutdown();
    Ok(status)
}

/// The endpoint, with the token both as itself and in a file, since some SDKs know only one of the
/// two.
fn served_variables(
    endpoint: &Endpoint,
    folder: &std::path::Path,
    profile: &str,
) -> std::io::Result<Variables> {
    let token = endpoint.token().expose();
    let token_file = folder.join("token");
    // No end of line: botocore, Go and Rust refuse one.
    aws_files::private_file(&token_file, token.as_bytes())?;
    let (config, credentials) = aws_files::write(folder, profile)?;
    Ok(vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url().into()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.into()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file.into()),
        ("AWS_CONFIG_FILE", config.into()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.into()),
    ])
}

/// Nothing is left to do once the program has its variables, so it takes our place where that is
/// possible.
async fn run_with_variables(
    identity: Identity,
    program: &[OsString],
    printer: &Printer,
) -> Result<Status, Trouble> {
    let region = identity.region().map(str::to_owned);
    let session = identity.session(PATIENCE, printer).await?;
    let mut variables = environment::session(&session);
    variables.extend(environment::region(region.as_deref()));
    let command = child::command(program, variables).into_std();
    become_program(command, &program[0])
}

#[cfg(unix)]
fn become_program(mut command: StdCommand, program: &OsString) -> Result<Status, Trouble> {
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(child::cannot_start(program, &error))
}

#[cfg(not(unix))]
fn become_program(mut command: StdCommand, program: &OsString) -> Result<Status, Trouble> {
    let exit = command.status().map_err(|error| child::cannot_start(program, &error))?;
    Ok(child::status(exit))
}
