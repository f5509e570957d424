//! `rolekeeper doctor`: what works and what does not, in the order in which one thing stands on
//! another.

mod findings;

use std::time::Duration;

use rolekeeper::{Clock, Failure, FailureKind, Session, sources::CallerIdentity};

use super::block_on;
use crate::{
    aws_files,
    exit::{Status, Trouble},
    identity::RoleArguments,
    output::Printer,
    store::Usual,
};
use findings::Findings;

/// AWS refuses signatures that are further off than this.
const SKEW_LIMIT: Duration = Duration::from_secs(5 * 60);
/// From here on it is worth a word.
const SKEW_WORTH_A_WORD: Duration = Duration::from_secs(30);
/// The widest of the windows in which an SDK asks again on each call, for sessions of an hour, with
/// the minutes that a refresh may take.
const COMFORTABLE: Duration = Duration::from_secs(25 * 60);

#[derive(clap::Args)]
#[command(after_help = "\
Without --role-arn or --profile it looks at the base identity alone.
Exit status: 0 if all is well, otherwise that of the first thing that is not.

Examples:
  rolekeeper doctor --role-arn arn:aws:iam::123456789012:role/etl
  rolekeeper doctor --profile etl --json")]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    role: RoleArguments,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { role, json } = arguments;
    let mut findings = Findings::default();
    block_on(async {
        examine(role, printer, &mut findings).await;
        Ok(())
    })?;
    findings.print(json, printer);
    Ok(findings.status())
}

/// Each step stands on the one before; what can't be looked at is left out.
async fn examine(role: RoleArguments, printer: &Printer, findings: &mut Findings) {
    shadows(findings);
    if !base_identity(&role, findings).await || !role.names_a_role() {
        return;
    }
    let role = role.leaving_aws_cache_alone();
    let identity = match role.identity(printer, Usual::Nowhere).await {
        Ok(identity) => identity,
        Err(trouble) => return findings.bad("configuration", &trouble.into_failure()),
    };
    let name = identity.name();
    match identity.session(super::PATIENCE, printer).await {
        Ok(session) => {
            findings.good("role", format!("{name} can be assumed"));
            lifetime(&session, findings);
        }
        Err(trouble) => findings.bad("role", &trouble.into_failure()),
    }
}

/// A key in the environment or in the credentials file goes before any role of a profile.
fn shadows(findings: &mut Findings) {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("AWS_ACCESS_KEY_ID") && set("AWS_PROFILE") {
        findings.worth_a_word(
            "environment",
            "AWS_ACCESS_KEY_ID and AWS_PROFILE are both set; most SDKs take the key".to_owned(),
            "unset the one that you don't mean",
        );
    }
    if aws_files::credentials_file_has_default_key() {
        findings.worth_a_word(
            "credentials file",
            "it has a key under [default], which goes before any endpoint".to_owned(),
            "`rolekeeper exec` keeps it out of its program's sight; elsewhere, rename the section",
        );
    }
}

/// Who we are before any role, whether STS can be reached, and how far our clock is off: one call
/// tells all three.
async fn base_identity(role: &RoleArguments, findings: &mut Findings) -> bool {
    let before = Clock::System.now();
    match role.base_identity().await {
        Ok(Some(who)) => {
            findings.good("base identity", format!("{} (account {})", who.arn, who.account));
            clock(&who, before, findings);
            true
        }
        Ok(None) => {
            findings.good("base identity", "a web identity token, which signs nothing".to_owned());
            true
        }
        Err(failure) => {
            let what = match failure.kind {
                FailureKind::Unavailable => "STS",
                FailureKind::Misconfigured => "configuration",
                _ => "base identity",
            };
            findings.bad(what, &failure);
            false
        }
    }
}

fn clock(who: &CallerIdentity, before: rolekeeper::Moment, findings: &mut Findings) {
    let Some(answered_at) = who.answered_at else { return };
    let skew = answered_at.ahead_of(before.wall);
    let seconds = skew.as_secs();
    let told =
        format!("STS is {} s {}", seconds.abs(), if seconds < 0 { "behind" } else { "ahead" });
    if skew.magnitude() > SKEW_LIMIT {
        findings.worth_a_word(
            "clock",
            format!("{told} of this machine, more than the 5 minutes that AWS allows"),
            "set the clock (NTP); rolekeeper signs by the server's clock, other programs do not",
        );
    } else if skew.magnitude() > SKEW_WORTH_A_WORD {
        findings.worth_a_word("clock", format!("{told} of this machine"), "set the clock (NTP)");
    } else {
        findings.good("clock", "within 30 s of the clock of STS".to_owned());
    }
}

/// What a session's life means for the SDKs that will read it.
fn lifetime(session: &Session, findings: &mut Findings) {
    let life = session.lifetime();
    let told = match life.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    };
    if life < COMFORTABLE {
        findings.worth_a_word(
            "sessions",
            format!("they last {told}; botocore asks on each call while 15 min or less remain"),
            "give the role's sessions 1 h: duration_seconds, and the role's maximum",
        );
    } else {
        findings.good(
            "sessions",
            format!("they last {told}; SDKs are always handed more than 15 min of life"),
        );
    }
}

impl Trouble {
    fn into_failure(self) -> Failure {
        let failure = Failure::new(self.status.kind(), self.message);
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}
