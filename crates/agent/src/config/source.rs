//! A configured role as a source of sessions.

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use rolekeeper::{
    Failure, Source,
    sources::{AssumeRole, Base, MfaPrompt, Profile},
};

use super::{AssumedRole, Identity, RoleConfig, aws_files::AwsFiles};

// === impl RoleConfig ===

impl RoleConfig {
    /// What makes this role's sessions. It reads files, and calls nobody. `prompt` is who is asked
    /// for an MFA code if the role has no `mfa_process` of its own; a background agent has nobody.
    ///
    /// # Errors
    /// A value that STS would refuse, an unknown profile, an MFA device whose code nobody gives.
    pub async fn source(&self, prompt: Option<MfaPrompt>) -> Result<Arc<dyn Source>, Failure> {
        let prompt = self.mfa_process.clone().map(of_command).or(prompt);
        if prompt.is_none()
            && let Some(serial) = self.mfa_serial().await
        {
            return Err(Failure::misconfigured(format!(
                "it wants a code of the MFA device `{serial}`, and there is nobody to ask"
            ))
            .with_hint("set mfa_process to a command that prints a code, run for each session"));
        }
        Ok(match &self.identity {
            Identity::Profile(name) => Arc::new(self.profile_source(name, prompt).await?),
            Identity::Role(role) => Arc::new(self.role_source(role, prompt).await?),
        })
    }

    async fn profile_source(
        &self,
        name: &str,
        prompt: Option<MfaPrompt>,
    ) -> Result<Profile, Failure> {
        let mut builder = Profile::named(name).place(self.place.clone());
        if let Some(prompt) = prompt {
            builder = builder.mfa_prompt(prompt);
        }
        builder.build().await
    }

    async fn role_source(
        &self,
        role: &AssumedRole,
        prompt: Option<MfaPrompt>,
    ) -> Result<AssumeRole, Failure> {
        let base = match &role.source_profile {
            None => Base::default_chain(),
            Some(name) => {
                let profile = self.profile_source(name, prompt.clone()).await?;
                if profile.has_role() { Base::role(Arc::new(profile)) } else { Base::profile(name) }
            }
        };
        let mut builder =
            AssumeRole::builder(&role.role_arn).base(base).place(self.place.clone());
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
        if let Some(prompt) = prompt {
            builder = builder.mfa_prompt(prompt);
        }
        builder.build().await
    }

    /// The first MFA device that a session of this role takes a code of.
    async fn mfa_serial(&self) -> Option<String> {
        if let Identity::Role(role) = &self.identity
            && let Some(serial) = &role.mfa_serial
        {
            return Some(serial.clone());
        }
        let (profile, is_source) = (self.profile().map(str::to_owned), self.is_source_profile());
        let read = move || AwsFiles::read().mfa_serial(profile.as_deref(), is_source);
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    pub(super) fn is_source_profile(&self) -> bool {
        matches!(self.identity, Identity::Role(_))
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
