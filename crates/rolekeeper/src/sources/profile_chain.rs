//! What a profile means: which roles, in which order, and with what the first of them is assumed.
//!
//! As the AWS CLI reads it: `role_arn` wants exactly one of `source_profile` and
//! `credential_source`; with a `web_identity_token_file` it is AssumeRoleWithWebIdentity instead; a
//! source profile's static keys go before a role of its own; one that names itself means its own
//! static keys.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use aws_config::profile::{Profile as Section, ProfileSet};
use rolekeeper_core::Failure;

use super::{
    AssumeRoleBuilder, Base, MfaPrompt, Source, Surroundings, WebIdentityBuilder,
    base::Part,
    profile_file,
    sts_client::{Endpoint, Sts},
};

/// Reads one profile after the other, from the one that was asked for down to the base.
pub(super) struct Reader<'a> {
    pub(super) seen: &'a Surroundings,
    pub(super) profiles: &'a ProfileSet,
    pub(super) endpoint: &'a Endpoint,
    pub(super) prompt: Option<MfaPrompt>,
    /// Made when the first role needs it: a profile without a role needs no Region.
    pub(super) sts: Option<Arc<Sts>>,
    pub(super) visited: Vec<String>,
    /// With what the first role is assumed, once that is known; a web identity needs nothing.
    pub(super) first: Option<Base>,
}

/// What a profile comes to.
pub(super) enum Meaning {
    /// A role, by whichever call.
    Role(Arc<dyn Source>),
    /// Credentials without a role.
    Base(Base),
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Meaning, Failure>> + Send + 'a>>;

/// For [`Base`]: what `profile` (or the selected one) comes to as base credentials. `None`: the
/// SDK's own chain is as good, since there is no such profile or no role in it.
pub(super) async fn base(
    seen: &Surroundings,
    profile: Option<String>,
    is_default: bool,
) -> Result<Option<Base>, Failure> {
    let profiles = profile_file::load(seen, profile.as_deref()).await?;
    let name = profiles.selected_profile().to_owned();
    let section = profiles.get_profile(&name);
    let says = |key: &str| section.is_some_and(|found| found.get(key).is_some());
    // Of a profile with nothing but keys, the chain would take these.
    let has_keys = says("aws_access_key_id") && says("aws_secret_access_key");
    let is_known = says(ROLE_ARN) || (has_keys && !OTHERS.iter().any(|key| says(key)));
    if is_default && !is_known {
        return Ok(None);
    }
    let endpoint = Endpoint { profile: Some(name.clone()), ..Endpoint::default() };
    let mut reader = Reader::new(seen, &profiles, &endpoint, None);
    Ok(Some(match reader.read(name).await? {
        Meaning::Role(source) => Base::role(source),
        Meaning::Base(base) => base,
    }))
}

const ROLE_ARN: &str = "role_arn";
/// What else a profile without a role may get its credentials by.
const OTHERS: &[&str] = &[
    "sso_session",
    "sso_start_url",
    "credential_process",
    "login_session",
    CREDENTIAL_SOURCE,
    TOKEN_FILE,
];
const SOURCE_PROFILE: &str = "source_profile";
const CREDENTIAL_SOURCE: &str = "credential_source";
const TOKEN_FILE: &str = "web_identity_token_file";
const DURATION: &str = "duration_seconds";

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(
        seen: &'a Surroundings,
        profiles: &'a ProfileSet,
        endpoint: &'a Endpoint,
        prompt: Option<MfaPrompt>,
    ) -> Self {
        Self { seen, profiles, endpoint, prompt, sts: None, visited: Vec::new(), first: None }
    }

    /// What the profile `name` means. A failure's message is one line, whatever a value is that it
    /// shows: one that goes on in the next line of the file has that line's end in it.
    pub(super) fn read(&mut self, name: String) -> Reading<'_> {
        Box::pin(async move {
            self.meaning(name).await.map_err(|mut failure| {
                failure.message = failure.message.replace(['\r', '\n'], " ");
                failure
            })
        })
    }

    async fn meaning(&mut self, name: String) -> Result<Meaning, Failure> {
        let Some(section) = self.profiles.get_profile(&name) else {
            return Err(self.unknown(&name));
        };
        if let Some(first) = self.visited.iter().position(|seen| *seen == name) {
            let last = self.visited.last().map_or("", String::as_str);
            let circle = format!("{} → {name}", self.visited[first..].join(" → "));
            return Err(self.wrong(
                last,
                SOURCE_PROFILE,
                &format!("leads in a circle: {circle}"),
                "let one of them have credentials of its own",
            ));
        }
        let is_source = !self.visited.is_empty();
        self.visited.push(name.clone());
        if is_source && let Some(keys) = self.static_keys(section)? {
            return Ok(Meaning::Base(keys));
        }
        match (section.get(ROLE_ARN), section.get(TOKEN_FILE)) {
            (Some(role), Some(file)) => self.web_identity(section, role, file).await,
            (Some(role), None) => self.role(section, role).await,
            (None, Some(_)) => Err(self.wrong(
                &name,
                TOKEN_FILE,
                "is set without a `role_arn`",
                "add the `role_arn` that the token may assume",
            )),
            (None, None) => self.without_role(section).map(Meaning::Base),
        }
    }

    async fn role(&mut self, section: &Section, role: &str) -> Result<Meaning, Failure> {
        let name = section.name();
        let base = match (section.get(SOURCE_PROFILE), section.get(CREDENTIAL_SOURCE)) {
            (Some(_), Some(_)) => {
                return Err(self.wrong(
                    name,
                    SOURCE_PROFILE,
                    "and `credential_source` are both set",
                    "keep one of the two",
                ));
            }
            (None, None) => {
                return Err(self.wrong(
                    name,
                    ROLE_ARN,
                    "is set with neither `source_profile` nor `credential_source`",
                    "add one of the two: with what the role is assumed",
                ));
            }
            (Some(source), None) if source == name => {
                self.static_keys(section)?.ok_or_else(|| {
                    self.wrong(
                        name,
                        SOURCE_PROFILE,
                        "names the profile itself, which has no static keys",
                        "name another profile, or add aws_access_key_id and aws_secret_access_key",
                    )
                })?
            }
            (Some(source), None) => match self.read(source.to_owned()).await? {
                Meaning::Role(role) => Base::role(role),
                Meaning::Base(base) => base,
            },
            (None, Some(source)) => self.credential_source(name, source)?,
        };
        if self.first.is_none() && !base.is_source() {
            self.first = Some(base.clone());
        }
        let mut builder = AssumeRoleBuilder::new(role.to_owned(), self.seen.clone()).base(base);
        builder.sts = Some(self.sts().await?);
        if let Some(id) = section.get("external_id") {
            builder = builder.external_id(id);
        }
        if let Some(session_name) = section.get("role_session_name") {
            builder = builder.session_name(session_name);
        }
        if let Some(serial) = section.get("mfa_serial") {
            builder = builder.mfa_serial(serial);
            if let Some(prompt) = &self.prompt {
                builder = builder.mfa_prompt(prompt.clone());
            }
        }
        if let Some(duration) = self.duration(section)? {
            builder = builder.duration(duration);
        }
        let role = builder.build().await.map_err(|failure| self.within(name, failure))?;
        Ok(Meaning::Role(Arc::new(role)))
    }

    async fn web_identity(
        &mut self,
        section: &Section,
        role: &str,
        file: &str,
    ) -> Result<Meaning, Failure> {
        let mut builder = WebIdentityBuilder::new(role.to_owned(), file.into(), self.seen.clone());
        builder.sts = Some(self.sts().await?);
        if let Some(session_name) = section.get("role_session_name") {
            builder = builder.session_name(session_name);
        }
        if let Some(duration) = self.duration(section)? {
            builder = builder.duration(duration);
        }
        let role = builder.build().await.map_err(|failure| self.within(section.name(), failure))?;
        Ok(Meaning::Role(Arc::new(role)))
    }

    /// A login or a process, which the SDK's own profile provider knows, or keys.
    fn without_role(&self, section: &Section) -> Result<Base, Failure> {
        let name = section.name();
        let is_sso = section.get("sso_session").or(section.get("sso_start_url")).is_some();
        let is_other = section.get("credential_process").or(section.get("login_session")).is_some();
        if let (Some(source), false, false) = (section.get(CREDENTIAL_SOURCE), is_sso, is_other) {
            return self.credential_source(name, source);
        }
        if let (Some(keys), false, false) = (self.static_keys(section)?, is_sso, is_other) {
            return Ok(keys);
        }
        if is_sso || is_other {
            // An SSO login's credentials are a role's session.
            return Ok(Base::part(Part::Profile(name.to_owned()), is_sso));
        }
        Err(Failure::misconfigured(format!(
            "the profile `{name}` ({}) has no credentials and no role",
            profile_file::path(self.seen)
        ))
        .with_hint("add role_arn, keys, sso_session, login_session or credential_process"))
    }

    fn credential_source(&self, name: &str, source: &str) -> Result<Base, Failure> {
        Ok(match source {
            "Environment" => Base::part(Part::Environment, false),
            "EcsContainer" => Base::part(Part::Container, true),
            "Ec2InstanceMetadata" => Base::part(Part::InstanceMetadata, true),
            other => {
                return Err(self.wrong(
                    name,
                    CREDENTIAL_SOURCE,
                    &format!("is `{other}`, which is not known"),
                    "write Environment, Ec2InstanceMetadata or EcsContainer",
                ));
            }
        })
    }

    fn static_keys(&self, section: &Section) -> Result<Option<Base>, Failure> {
        let keys = profile_file::static_keys(self.seen, section)?;
        Ok(keys.map(|_| Base::keys_of(section.name())))
    }

    fn duration(&self, section: &Section) -> Result<Option<Duration>, Failure> {
        let Some(text) = section.get(DURATION) else { return Ok(None) };
        match text.trim().parse() {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(self.wrong(
                section.name(),
                DURATION,
                &format!("is `{text}`, which is not a whole number of seconds"),
                "write seconds, such as 3600",
            )),
        }
    }

    async fn sts(&mut self) -> Result<Arc<Sts>, Failure> {
        if let Some(sts) = &self.sts {
            return Ok(Arc::clone(sts));
        }
        let sts = self.endpoint.open(self.seen).await?;
        self.sts = Some(Arc::clone(&sts));
        Ok(sts)
    }

    fn unknown(&self, name: &str) -> Failure {
        let mut failure = profile_file::unknown(self.seen, self.profiles, name);
        if let Some(from) = self.visited.last() {
            failure.message.push_str(&format!(", which `{from}` names as source_profile"));
        }
        failure
    }

    fn wrong(&self, name: &str, key: &str, why: &str, hint: &str) -> Failure {
        profile_file::wrong(self.seen, name, key, why, hint)
    }

    fn within(&self, name: &str, mut failure: Failure) -> Failure {
        let path = profile_file::path(self.seen);
        failure.message = format!("in the profile `{name}` ({path}), {}", failure.message);
        failure
    }
}
