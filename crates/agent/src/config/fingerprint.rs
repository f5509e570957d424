//! What a role means, in a few bytes: at a reload, a role goes on if that has not changed.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use super::aws_files::{AwsFiles, Start};

/// Of everything that a role depends on, and of nothing else. In the AWS files these are its
/// profile, the profiles that one stands on, and the SSO session and services they name. Keys go
/// into it hashed. Half of a SHA-256: by accident no two are the same, and nobody gains by it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; BYTES]);

const BYTES: usize = 16;

// === impl Fingerprint ===

impl Fingerprint {
    pub(super) fn of(files: &AwsFiles, start: &Start) -> Self {
        let mut hash = Sha256::new();
        for section in files.sections_of(start) {
            hash.update(section.hash);
        }
        Self::half(hash)
    }

    fn half(hash: Sha256) -> Self {
        let whole: [u8; 2 * BYTES] = hash.finalize().into();
        Self(std::array::from_fn(|at| whole[at]))
    }

    /// Of this and `more`.
    pub(crate) fn and(&self, more: &impl Hash) -> Self {
        let mut sink = Sink(Sha256::new_with_prefix(self.0));
        more.hash(&mut sink);
        Self::half(sink.0)
    }
}

/// Takes whatever can be hashed.
struct Sink(Sha256);

impl Hasher for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: all bytes of the hash count.
    fn finish(&self) -> u64 {
        0
    }
}

/// It says nothing.
impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# comment
[profile etl]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = base

[profile base]
sso_session = corp

[profile another]
region = eu-west-1

[sso-session corp]
sso_region = us-east-1
";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\n[base]\nregion = x\n";

    fn etl(config: &str, credentials: &str) -> Fingerprint {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("config"), folder.path().join("credentials"));
        std::fs::write(&first, config).unwrap();
        std::fs::write(&second, credentials).unwrap();
        let files = AwsFiles::at(Some(&first), Some(&second));
        Fingerprint::of(&files, &Start::Profile("etl".to_owned()))
    }

    #[test]
    fn what_a_role_does_not_depend_on_changes_nothing() {
        let before = etl(CONFIG, CREDENTIALS);
        let more = format!("{CONFIG}[profile new]\nregion = y\n");
        for config in [
            more.as_str(),
            &CONFIG.replace("eu-west-1", "eu-west-2"),
            &CONFIG.replace("# comment", "; another\n\n"),
            &CONFIG.replace('\n', "\r\n"),
            &CONFIG.replace("base\n", "base  \n"),
        ] {
            assert!(etl(config, CREDENTIALS) == before, "{config}");
        }
        assert!(etl(CONFIG, &CREDENTIALS.replace("= A", "= B")) == before);
    }

    #[test]
    fn each_thing_that_a_role_depends_on_changes_it() {
        let before = etl(CONFIG, CREDENTIALS);
        for (from, to) in [
            ("role/etl", "role/etl2"),
            ("source_profile = base", "source_profile = another"),
            ("sso_session = corp", "sso_session = none"),
            ("us-east-1", "us-east-2"),
            ("[profile etl]\n", "[profile etl]\nexternal_id = x\n"),
            ("[profile etl]", "[profile elt]"),
        ] {
            assert!(etl(&CONFIG.replace(from, to), CREDENTIALS) != before, "{from} to {to}");
        }
        assert!(etl(CONFIG, &CREDENTIALS.replace("= x", "= y")) != before);
        assert!(etl("", "") != before);
    }

    #[test]
    fn files_that_are_not_there_are_empty() {
        let start = Start::Profile("etl".to_owned());
        let missing = AwsFiles::at(Some("/nowhere/at/all".as_ref()), None);
        assert!(Fingerprint::of(&missing, &start) == etl("", ""));
        assert_eq!(format!("{:?}", etl("", "")), "Fingerprint");
    }
}
