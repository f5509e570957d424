//! `rolekeeper exec`: a program with credentials that refresh under it.

use std::{ffi::OsString, io, net::Ipv4Addr, path::Path};

use rolekeeper::{RefreshableCredentials, Secret, private_file};
use rolekeeper_agent::{
    Agent, CONTAINER_PATH, Face, Listener, Place, Plan, Role, RoleName, Rule, Tokens,
};

use super::{PATIENCE, block_on};
use crate::{
    aws_files,
    child::{self, Signals},
    environment::{self, Variables},
    events,
    exit::{Status, Trouble},
    identity::{Identity, RoleArguments},
    output::Printer,
    store::Usual,
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
  rolekeeper exec --profile etl --imds -- program     # that only knows EC2
  rolekeeper exec --profile etl --env -- old-program  # ends with the session")]
pub(crate) struct Arguments {
    /// Set plain variables instead (AWS_ACCESS_KEY_ID, …); they are never refreshed
    #[arg(long)]
    env: bool,

    /// Serve the instance metadata service (IMDSv2) instead, for a program that knows nothing else;
    /// SDKs need sessions of 25 minutes and more there
    #[arg(long, conflicts_with = "env")]
    imds: bool,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,

    #[command(flatten)]
    role: RoleArguments,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { role, env, imds, program } = arguments;
    let face = if imds {
        Face::Imds { role: name()?, region: None, v1: false, key: None }
    } else {
        Face::Container
    };
    block_on(async {
        // Variables are not refreshed: they are to last as long as a session can.
        let store = if env { Usual::Nowhere } else { Usual::File };
        let identity = role.identity(printer, store).await?;
        if env {
            run_with_variables(identity, &program, printer).await
        } else {
            run_served(identity, face, &program, printer).await
        }
    })
}

async fn run_served(
    identity: Identity,
    face: Face,
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

    let folder = aws_files::private_folder()
        .map_err(|error| Trouble::system("cannot make a temporary folder", error))?;
    let agent = Agent::new();
    let served = serve(&agent, credentials.clone(), face).await?;
    let mut variables = served
        .variables(folder.path(), &profile)
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
    agent.shutdown();
    Ok(status)
}

/// The one role's name: the program is told its whole address.
fn name() -> Result<RoleName, Trouble> {
    RoleName::parse("exec").map_err(|error| Trouble::system("cannot serve credentials", error))
}

/// Where the program finds its credentials.
enum Served {
    Container { url: String, token: Secret },
    Imds { url: String },
}

/// Serves `credentials` at a free port of 127.0.0.1, which every SDK accepts.
async fn serve(
    agent: &Agent,
    credentials: RefreshableCredentials,
    face: Face,
) -> Result<Served, Trouble> {
    let cannot = |error: io::Error| Trouble::system("cannot serve credentials", error);
    let tokens = Tokens::random().map_err(cannot)?;
    let (token, name) = (tokens.newest(), name()?);
    // With a token in its hand the program may also become another user. Over IMDS there is none,
    // so the user is what tells the program from others on this machine; root is no other.
    let is_imds = face != Face::Container;
    let mut rule = if is_imds { Rule::this_user() } else { Rule::anybody() };
    if is_imds {
        rule.uids.push(0);
    }
    let plan = Plan {
        roles: vec![Role::new(name.clone(), credentials, tokens, rule)],
        listeners: vec![Listener { at: Place::Address((Ipv4Addr::LOCALHOST, 0).into()), face }],
    };
    let listening = agent
        .serve(plan)
        .await
        .map_err(|error| Trouble::system("cannot serve credentials", error))?;
    let Some(address) = listening.first().map(|listener| listener.address) else {
        return Err(Trouble::system("cannot serve credentials", "nothing listens"));
    };
    Ok(if is_imds {
        // AWS CLI v2 wants the slash.
        Served::Imds { url: format!("http://{address}/") }
    } else {
        Served::Container { url: format!("http://{address}{CONTAINER_PATH}{name}"), token }
    })
}

impl Served {
    fn variables(&self, folder: &Path, profile: &str) -> io::Result<Variables> {
        let (config, credentials) = aws_files::write(folder, profile)?;
        let mut variables: Variables = vec![
            ("AWS_CONFIG_FILE", config.into()),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.into()),
        ];
        match self {
            Self::Imds { url } => variables.extend(environment::imds(url)),
            Self::Container { url, token } => {
                let token_file = folder.join("token");
                // No end of line: botocore, Go and Rust refuse one.
                private_file::create(&token_file, token.expose().as_bytes())?;
                // Both, since some SDKs know only one of the two.
                variables.extend([
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.into()),
                    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.expose().into()),
                    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file.into()),
                ]);
            }
        }
        Ok(variables)
    }
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
    child::become_program(command, &program[0])
}
