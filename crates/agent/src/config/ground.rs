//! What all roles of one configuration stand on: thousands of them read the same files, and are
//! assumed with the same few base credentials.

use std::{collections::HashMap, fmt};

use rolekeeper::sources::{Base, Surroundings};

use super::{Fingerprint, RoleConfig, aws_files::AwsFiles};

/// The AWS files as they are now, and base credentials, each of which is asked for once by all the
/// roles that are assumed with it. Made anew for each reading of a configuration.
pub struct Ground {
    pub(super) seen: Surroundings,
    pub(super) files: AwsFiles,
    /// The environment's; as it was found, once a role is made of it.
    pub(super) default: Base,
    /// With the Region that belongs to each.
    pub(super) bases: HashMap<Sharing, (Base, Option<String>)>,
}

/// Roles of which all this is the same are assumed with the same base.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Sharing {
    source_profile: String,
    region: Option<String>,
    endpoint_url: Option<String>,
    fips: Option<bool>,
    dual_stack: Option<bool>,
    mfa_process: Option<String>,
}

// === impl Ground ===

impl Ground {
    /// Reads the AWS files.
    pub async fn read() -> Self {
        // It can't panic; with no files, every profile is missing, and told to be.
        let files = tokio::task::spawn_blocking(AwsFiles::read).await.unwrap_or_default();
        let (seen, bases) = Default::default();
        Self { seen, files, default: Base::default_chain(), bases }
    }

    /// Of all that decides which sessions `role` has.
    pub fn fingerprint(&self, role: &RoleConfig) -> Fingerprint {
        let own = (&role.identity, &role.place, &role.mfa_process);
        Fingerprint::of(&self.files, &role.start()).and(&own)
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

// === impl Sharing ===

impl Sharing {
    pub(super) fn of(source_profile: &str, role: &RoleConfig) -> Self {
        let place = role.place.clone();
        Self {
            source_profile: source_profile.to_owned(),
            region: place.region,
            endpoint_url: place.endpoint_url,
            fips: place.fips,
            dual_stack: place.dual_stack,
            mfa_process: role.mfa_process.clone(),
        }
    }
}
