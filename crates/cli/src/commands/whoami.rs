//! `rolekeeper whoami`: the session's identity, as STS sees it.

use rolekeeper::sources::{Base, CallerIdentity};
use serde_json::json;

use super::{PATIENCE, block_on};
use crate::{
    exit::{Status, Trouble},
    identity::{Identity, RoleArguments},
    output::Printer,
    store::Usual,
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rolekeeper whoami --role-arn arn:aws:iam::123456789012:role/etl
  rolekeeper whoami --profile etl --json")]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    role: RoleArguments,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { role, json } = arguments;
    block_on(async {
        let identity = role.identity(printer, Usual::File).await?;
        let session = identity.session(PATIENCE, printer).await?;
        let who = ask(&identity, rolekeeper::adapters::sdk_credentials(&session)).await?;
        let expiration = session.expiration().to_string();
        if json {
            printer.line(json!({
                "Account": who.account,
                "Arn": who.arn,
                "UserId": who.user_id,
                "Expiration": expiration,
            }));
        } else {
            printer.line(format_args!("Account     {}", who.account));
            printer.line(format_args!("Arn         {}", who.arn));
            printer.line(format_args!("UserId      {}", who.user_id));
            printer.line(format_args!("Expiration  {expiration}"));
        }
        Ok(Status::OK)
    })
}

async fn ask(
    identity: &Identity,
    credentials: impl aws_credential_types::provider::ProvideCredentials + 'static,
) -> Result<CallerIdentity, Trouble> {
    let mut request = CallerIdentity::of(Base::provider(credentials)).place(identity.place());
    if let Some(profile) = identity.profile() {
        request = request.profile(profile);
    }
    Ok(request.ask().await?)
}
