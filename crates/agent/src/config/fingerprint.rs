//! What a role's profile means, in a few bytes: at a reload, a role goes on if neither its
//! configuration nor this has changed.

use sha2::{Digest, Sha256};

use super::{RoleConfig, aws_files::AwsFiles};

/// Of everything in the AWS files that a role depends on, and of nothing else: it changes with its
/// profile, the profiles that one stands on, and the SSO session and services they name. Keys go
/// into it hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The fingerprint of `role` as the AWS files are now.
pub async fn fingerprint(role: &RoleConfig) -> Fingerprint {
    let (profile, is_source) = (role.profile().map(str::to_owned), role.is_source_profile());
    let task = move || Fingerprint::of(&AwsFiles::read(), profile.as_deref(), is_source);
    // It can't panic; were it to, the role would be taken for changed, which costs one fetch.
    tokio::task::spawn_blocking(task).await.unwrap_or(Fingerprint([0; 32]))
}

// === impl Fingerprint ===

impl Fingerprint {
    fn of(files: &AwsFiles, profile: Option<&str>, is_source: bool) -> Self {
        let mut hash = Sha256::new();
        // No line holds a line's end, and no header begins with one.
        for section in files.sections_of(profile, is_source) {
            hash.update(["\n[", section.header, "]\n"].concat());
            for line in section.lines {
                hash.update(line);
                hash.update("\n");
            }
        }
        Self(hash.finalize().into())
    }
}

/// It says nothing.
impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint")
    }
}
