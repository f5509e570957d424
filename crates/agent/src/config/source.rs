//! A configured role as a source of sessions.

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use rolekeeper::{
    Failure, Source,
    sources::{AssumeRole, Base, MfaPrompt, Profile},
};

use super::{
    AssumedRole, Identity, RoleConfig,
    aws_files::Start,
    ground::{Ground, Sharing},
};

// === impl RoleConfig ===

impl RoleConfig {
    /// What makes this role's sessions, and the Region that belongs to it. It reads files, and calls
    /// nobody. Without an `mfa_process`, a role that needs an MFA device's code can't be: a
    /// background agent has nobody to ask.
    ///
    /// # Errors
    /// A value that STS would refuse, an unknown profile, an MFA device whose code nobody gives.
    pub async fn source(
        &self,
        ground: &mut Ground,
    ) -> Result<(Arc<dyn Source>, Option<String>), Failure> {
        if self.mfa_process.is_none()
            && let Some(serial) = self.mfa_serial(ground)
        {
            return Err(Failure::misconfigured(format!(
                "it wants a code of the MFA device `{serial}`, and there is nobody to ask"
            ))
            .with_hint("set mfa_process to a command that prints a code, run for each session"));
        }
        Ok(match &self.identity {
            Identity::Profile(name) => {
                let source = self.profile_source(name, ground).await?;
                let region = source.region().map(str::to_owned);
                (Arc::new(source), region)
            }
            Identity::Role(role) => {
                let source = self.role_source(role, ground).await?;
                let region = source.region().map(str::to_owned);
                (Arc::new(source), region)
            }
        })
    }

    async fn profile_source(&self, name: &str, ground: &Ground) -> Result<Profile, Failure> {
        let mut builder =
            Profile::named(name).place(self.place.clone()).surroundings(ground.seen.clone());
        if let Some(prompt) = self.prompt() {
            builder = builder.mfa_prompt(prompt);
        }
        builder.build().await
    }

    async fn role_source(
        &self,
        role: &AssumedRole,
        ground: &mut Ground,
    ) -> Result<AssumeRole, Failure> {
        let (base, region) = self.base(role.source_profile.as_deref(), ground).await?;
        let mut place = self.place.clone();
        place.region = place.region.or(region);
        let mut builder = AssumeRole::builder(&role.role_arn)
            .base(base)
            .place(place)
            .surroundings(ground.seen.clone());
        if let Some(name) = &role.session_name {
            builder = builder.session_name(name);
        }
        if let Some(duration) = role.duration {
            builder = builder.duration(duration);
        }
        if let Some(id) = &role.external_id {
            builder = builder.external_id(id);
        }
        if let Some(policy) = &role.policy {
            builder = builder.policy(policy);
        }
        for arn in &role.policy_arns {
            builder = builder.policy_arn(arn);
        }
        for (key, value) in &role.tags {
            builder = builder.tag(key, value);
        }
        for key in &role.transitive_tag_keys {
            builder = builder.transitive_tag_key(key);
        }
        if let Some(identity) = &role.source_identity {
            builder = builder.source_identity(identity);
        }
        if let Some(serial) = &role.mfa_serial {
            builder = builder.mfa_serial(serial);
        }
        if let Some(prompt) = self.prompt() {
            builder = builder.mfa_prompt(prompt);
        }
        let source = builder.build().await?;
        if role.source_profile.is_none() {
            ground.default = source.base();
        }
        Ok(source)
    }

    /// With what a role is assumed, one for all that are assumed with the same; and the Region that
    /// belongs to it.
    async fn base(
        &self,
        source_profile: Option<&str>,
        ground: &mut Ground,
    ) -> Result<(Base, Option<String>), Failure> {
        let Some(name) = source_profile else { return Ok((ground.default.clone(), None)) };
        let sharing = Sharing::of(name, self);
        if let Some(known) = ground.bases.get(&sharing) {
            return Ok(known.clone());
        }
        let profile = self.profile_source(name, ground).await?;
        let region = profile.region().map(str::to_owned);
        let base = match profile.base() {
            Some(base) if !profile.has_role() => base,
            _ => Base::role(Arc::new(profile)),
        };
        ground.bases.insert(sharing, (base.clone(), region.clone()));
        Ok((base, region))
    }

    fn prompt(&self) -> Option<MfaPrompt> {
        self.mfa_process.clone().map(of_command)
    }

    /// The first MFA device that a session of this role takes a code of.
    fn mfa_serial(&self, ground: &Ground) -> Option<String> {
        let own = match &self.identity {
            Identity::Role(role) => role.mfa_serial.as_deref(),
            Identity::Profile(_) => None,
        };
        let start = self.start();
        own.or_else(|| ground.files.mfa_serial(&start)).map(str::to_owned)
    }

    /// From where its meaning leads through the AWS files.
    pub(super) fn start(&self) -> Start {
        match &self.identity {
            Identity::Profile(name) => Start::Profile(name.clone()),
            Identity::Role(role) => Start::Role(role.source_profile.clone()),
        }
    }
}

/// What `command` prints, run the shell's way, so that pipes and quotes work.
fn of_command(command: String) -> MfaPrompt {
    MfaPrompt::blocking(move |_| run(&command))
}

fn run(command: &str) -> Result<String, Failure> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let cannot = |why: String| {
        Failure::needs_person(format!("mfa_process {why}"))
            .with_hint("run it by itself: it must print six digits and end with status 0")
    };
    let output = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot(format!("can't be started: {error}")))?;
    if !output.status.success() {
        return Err(cannot(format!("ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
