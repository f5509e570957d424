//! `rolekeeper write`: a section of the shared credentials file, kept fresh.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    env, fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rolekeeper::{Failure, RefreshableCredentials, Session, private_file};
use rolekeeper_agent::credentials_file::{Error, Keeper, SectionName, Told, setting};

use super::{PATIENCE, block_on};
use crate::{
    aws_files, events,
    exit::{Status, Trouble},
    identity::{Identity, RoleArguments},
    output::Printer,
    signals::End,
    store::Usual,
};

#[derive(clap::Args)]
#[command(after_help = "\
For short-lived programs that read the credentials file. A running program does
not notice a new session in it: none of nine SDKs and tools that were watched
did. Long-running ones want `rolekeeper exec`.

The section is written until Ctrl-C or SIGTERM, and stays as it is then. Other
sections, comments and other keys are never touched; a section that the role
itself is read from, or that holds a long-term key, is refused.

Examples:
  rolekeeper write --profile etl  # then: AWS_PROFILE=etl-fresh aws s3 ls
  rolekeeper write --profile etl --section default --file /run/job/credentials
  rolekeeper write --role-arn arn:aws:iam::123456789012:role/etl --section etl
  rolekeeper write --profile etl --once

A Region for its programs, in ~/.aws/config:
  [profile etl-fresh]
  region = eu-central-1")]
pub(crate) struct Arguments {
    /// The section to keep; default: the profile's name and `-fresh`
    #[arg(long, value_name = "NAME")]
    section: Option<SectionName>,

    /// The file; default: AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// Write one session and end
    #[arg(long)]
    once: bool,

    /// Take the session out again at the end
    #[arg(long, conflicts_with = "once")]
    remove_at_end: bool,

    #[command(flatten)]
    role: RoleArguments,
}

/// Where it is written.
struct Place {
    file: PathBuf,
    section: SectionName,
}

/// A mode with this bit: everybody on this machine.
const FOR_ALL_TO_READ: u32 = 0o004;

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { section, file, once, remove_at_end, role } = arguments;
    let profile = role.profile().map(str::to_owned).or_else(selected);
    let section = section.map_or_else(|| default_section(profile.as_deref()), Ok)?;
    let file = file.or_else(shared_file).ok_or_else(|| {
        Trouble::usage("there is no home folder to look for .aws/credentials in")
            .with_hint("pass --file PATH, or set AWS_SHARED_CREDENTIALS_FILE")
    })?;
    let place = Place { file, section };
    refuse_a_section_that_is_read(&place, role.profile())?;
    block_on(async {
        // A hangup is left alone: under nohup it must end nothing.
        let mut end = End::listen()?;
        let identity = role.identity(printer, Usual::Nowhere).await?;
        let keeper = Keeper::open(&place.file, place.section.clone()).map_err(trouble)?;
        let credentials = identity.keep();
        let session = tokio::select! {
            session = identity.first(&credentials, PATIENCE, printer) => session?,
            signal = end.next() => return Ok(Status::of_signal(signal)),
        };
        // What is begun is ended: only then is it known what there is to take out.
        write_first(session, &identity, &keeper, &place, printer).await?;
        if !once {
            printer.note("It is replaced before that, until Ctrl-C.");
            tokio::select! {
                never = keep(&credentials, &keeper, &place, printer) => match never {},
                _ = end.next() => {}
            }
        }
        if remove_at_end {
            keeper.remove().await.map_err(trouble)?;
            printer.note(format_args!("took the session out of {place}"));
        }
        Ok(Status::OK)
    })
}

/// A place that can't be written from the first is a wrong one; later it is tried again.
async fn write_first(
    session: Arc<Session>,
    identity: &Identity,
    keeper: &Keeper,
    place: &Place,
    printer: &Printer,
) -> Result<(), Trouble> {
    let (name, expiration) = (identity.name(), session.expiration());
    keeper.write(session).await.map_err(trouble)?;
    printer.note(format_args!("wrote a session of {name} to {place}; it ends at {expiration}"));
    if let Some(mode) = place.mode().filter(|mode| mode & FOR_ALL_TO_READ != 0) {
        let file = place.file.display();
        printer.warning(format_args!("every user may read {file} (mode {mode:o}): chmod 600 it"));
    }
    Ok(())
}

async fn keep(
    credentials: &RefreshableCredentials,
    keeper: &Keeper,
    place: &Place,
    printer: &Printer,
) -> Infallible {
    let told = events::tell(credentials.events(), printer);
    let kept = keeper.keep(credentials, |told| match told {
        Told::Failed(error) => {
            printer.warning(format_args!("{error}; it is tried again ({})", error.hint()));
        }
        Told::Recovered => printer.note(format_args!("wrote to {place} again")),
    });
    tokio::select! {
        never = told => never,
        never = kept => never,
    }
}

// === impl Place ===

impl Place {
    fn mode(&self) -> Option<u32> {
        private_file::mode(&self.file).ok()?
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "section `{}` of {}", self.section, self.file.display())
    }
}

/// What is in the file is for its owner to correct; all else is this machine's.
fn trouble(error: Error) -> Trouble {
    match error {
        Error::Unclear { .. } => {
            Failure::misconfigured(error.to_string()).with_hint(error.hint()).into()
        }
        error => Trouble {
            status: Status::SYSTEM,
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        },
    }
}

fn default_section(profile: Option<&str>) -> Result<SectionName, Trouble> {
    let hint = "pass --section NAME; programs then use it with AWS_PROFILE=NAME";
    let Some(profile) = profile else {
        return Err(Trouble::usage("no section is named").with_hint(hint));
    };
    let name = format!("{profile}-fresh");
    name.parse().map_err(|why| {
        Trouble::usage(format!("`{name}` can't be a section: {why}")).with_hint(hint)
    })
}

// === what the role is read from ===

/// Keys that SDKs take before the keys beside them.
const BEFORE_KEYS: [&str; 5] =
    ["role_arn", "web_identity_token_file", "sso_session", "sso_start_url", "login_session"];

/// Our keys in a section from which the role is made would be its source at the next refresh; and
/// where a role goes before them, nobody would read them.
fn refuse_a_section_that_is_read(place: &Place, profile: Option<&str>) -> Result<(), Trouble> {
    let Some(shared) = shared_file().filter(|shared| is_same(shared, &place.file)) else {
        return Ok(());
    };
    let credentials = fs::read(&shared).unwrap_or_default();
    let name = place.section.as_str();
    let hint = "name another with --section; programs then use it with AWS_PROFILE";
    if chain(profile, &credentials).contains(name) {
        let words = format!("{place} is read to make the session that would be written there");
        return Err(Trouble::usage(words).with_hint(hint));
    }
    for key in BEFORE_KEYS {
        if merged(name, key, &credentials).is_some() {
            let words = format!("profile `{name}` has a {key}: SDKs would take it before {place}");
            return Err(Trouble::usage(words).with_hint(hint));
        }
    }
    Ok(())
}

/// Every profile that is, or may be, read for a session.
fn chain(profile: Option<&str>, credentials: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let has_keys = env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|key| !key.is_empty());
    if profile.is_none() && selected().is_none() && has_keys {
        return names;
    }
    let mut next = Some(aws_files::selected_profile(profile));
    while let Some(name) = next {
        next = merged(&name, "source_profile", credentials);
        if !names.insert(name) {
            break;
        }
    }
    names
}

/// As SDKs see a profile: both files as one, the credentials file going first.
fn merged(profile: &str, key: &str, credentials: &[u8]) -> Option<String> {
    let in_credentials = profile.parse().ok().and_then(|name| setting(credentials, &name, key));
    in_credentials.or_else(|| aws_files::setting(profile, key))
}

fn selected() -> Option<String> {
    env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty())
}

/// Where SDKs look for the shared credentials file.
fn shared_file() -> Option<PathBuf> {
    let told = env::var_os("AWS_SHARED_CREDENTIALS_FILE").filter(|path| !path.is_empty());
    let Some(path) = told.map(PathBuf::from) else {
        return env::home_dir().map(|home| home.join(".aws").join("credentials"));
    };
    match (path.strip_prefix("~"), env::home_dir()) {
        (Ok(rest), Some(home)) => Some(home.join(rest)),
        _ => Some(path),
    }
}

/// By whichever links; a file that is not there yet by its folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let folder = std::path::absolute(path).ok()?.parent()?.canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    a == b || matches!((real(a), real(b)), (Some(a), Some(b)) if a == b)
}
