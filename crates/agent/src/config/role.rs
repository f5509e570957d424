//! One role as it is configured: what it is, its token, and who may read it.

use std::{path::PathBuf, time::Duration};

use rolekeeper::sources::Place;

use super::RoleName;
use crate::rule::Rule;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RoleConfig {
    /// The last part of its path.
    pub name: RoleName,
    /// Whose sessions these are.
    pub identity: Identity,
    /// Where STS is called.
    pub place: Place,
    /// A command that prints an MFA code, run for each session.
    pub mfa_process: Option<String>,
    /// Where its token comes from.
    pub token: TokenConfig,
    /// How often there is a new token.
    pub rotate_token: Option<Duration>,
    /// Who may read it.
    pub allow: Rule,
}

/// Whose sessions a role serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Whatever a profile of `~/.aws/config` means.
    Profile(String),
    /// A role that is described here.
    Role(Box<AssumedRole>),
}

/// What AssumeRole is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as AssumeRoleBuilder has them")]
#[non_exhaustive]
pub struct AssumedRole {
    pub role_arn: String,
    /// With what it is assumed; `None` is the environment's credentials.
    pub source_profile: Option<String>,
    pub session_name: Option<String>,
    pub duration: Option<Duration>,
    pub external_id: Option<String>,
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
    pub tags: Vec<(String, String)>,
    pub transitive_tag_keys: Vec<String>,
    pub source_identity: Option<String>,
    pub mfa_serial: Option<String>,
}

/// Where the bearer token of a role comes from. Never from the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenConfig {
    /// A file `tokens/NAME` beside the Unix socket.
    Beside,
    /// This file; a random one is put there if it is missing.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
}

// === impl RoleConfig ===

impl RoleConfig {
    /// The profile of the same name, and all else as by default.
    pub fn of_profile(name: RoleName) -> Self {
        let identity = Identity::Profile(name.as_str().to_owned());
        Self::new(name, identity)
    }

    /// The profile, if the role is what that means and nothing else.
    pub(crate) fn only_profile(&self) -> Option<&str> {
        match &self.identity {
            Identity::Profile(name) if self.place == Place::default() => Some(name),
            _ => None,
        }
    }

    pub(super) fn new(name: RoleName, identity: Identity) -> Self {
        Self {
            name,
            identity,
            place: Place::default(),
            mfa_process: None,
            token: TokenConfig::Beside,
            rotate_token: None,
            allow: Rule::anybody(),
        }
    }
}
