//! The paths of instance metadata that SDKs walk.

use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Where tokens are had.
    Token,
    /// Words that need no session.
    Text(String),
    /// The session.
    Credentials,
    /// Whose credentials these are.
    Info,
    /// What the machine is.
    Identity { region: String },
}

/// There is no machine behind this endpoint; some tools only want to see whether there is one.
pub(super) const INSTANCE_ID: &str = "i-00000000000000000";

const MOST_SEGMENTS: usize = 5;

impl Item {
    /// Slashes may be missing at the end, as the C++ SDK leaves one off, or doubled, as they are
    /// where a client puts a path behind an endpoint that ends in one.
    pub(super) fn at(path: &str, role: &str, region: Option<&str>) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut parts = [""; MOST_SEGMENTS];
        let mut count = 0;
        for (part, segment) in parts.iter_mut().zip(&mut segments) {
            (*part, count) = (segment, count + 1);
        }
        if segments.next().is_some() {
            return None;
        }
        let text = |words: &str| Some(Self::Text(words.to_owned()));
        match &parts[..count] {
            [] => text("latest"),
            ["latest"] => text("dynamic\nmeta-data"),
            ["latest", "api", "token"] => Some(Self::Token),
            ["latest", "dynamic"] => text("instance-identity/"),
            ["latest", "dynamic", "instance-identity"] => text("document"),
            ["latest", "dynamic", "instance-identity", "document"] => {
                region.map(|region| Self::Identity { region: region.to_owned() })
            }
            ["latest", "meta-data", rest @ ..] => match rest {
                [] => text("iam/\ninstance-id\nplacement/"),
                ["instance-id"] => text(INSTANCE_ID),
                ["placement"] => {
                    text(if region.is_some() { "availability-zone\nregion" } else { "" })
                }
                ["placement", "region"] => text(region?),
                ["placement", "availability-zone"] => Some(Self::Text(zone(region?))),
                ["iam"] => text("info\nsecurity-credentials/\nsecurity-credentials-extended/"),
                ["iam", "info"] => Some(Self::Info),
                // Newer clients ask the extended one first, for the account's id; here the other
                // has it too.
                ["iam", "security-credentials" | "security-credentials-extended"] => text(role),
                ["iam", "security-credentials" | "security-credentials-extended", name] => {
                    is(name, role).then_some(Self::Credentials)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Every Region has one; botocore takes the Region from it.
pub(super) fn zone(region: &str) -> String {
    format!("{region}a")
}

/// Some clients encode `+`, `=`, `,` and `@`, others don't.
fn is(segment: &str, role: &str) -> bool {
    percent_decode_str(segment).eq(role.bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(path: &str) -> Option<Item> {
        Item::at(path, "a+b=c,d@e", Some("eu-west-1"))
    }

    #[test]
    fn slashes_are_forgiven_and_a_role_may_come_encoded() {
        for path in [
            "/latest/meta-data/iam/security-credentials/a+b=c,d@e",
            "//latest/meta-data/iam/security-credentials/a+b=c,d@e",
            "/latest//meta-data/iam//security-credentials/a%2Bb%3Dc%2cd%40e/",
            "/latest/meta-data/iam/security-credentials-extended/a+b=c,d@e",
        ] {
            assert_eq!(at(path), Some(Item::Credentials), "{path}");
        }
        for path in ["/latest/api/token", "//latest/api/token", "/latest/api/token/"] {
            assert_eq!(at(path), Some(Item::Token), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        for path in [
            "/latest/meta-data/iam/security-credentials/other",
            "/latest/meta-data/iam/security-credentials/a+b=c,d@e/x",
            "/latest/meta-data/iam/security-credentials/a b=c,d@e",
            "/latest/meta-data/iam/security-credentials/%",
            "/latest/meta-data/iam/../iam/info",
            "/latest/meta-data/./iam/info",
            "/LATEST/meta-data",
            "/latest/api",
            "/latest/user-data",
            "/2021-03-23/meta-data",
            "*",
            "/latest\u{2f}x",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
        for path in [
            "/latest/meta-data/placement/region",
            "/latest/meta-data/placement/availability-zone",
            "/latest/dynamic/instance-identity/document",
        ] {
            assert!(at(path).is_some());
            assert_eq!(Item::at(path, "a", None), None, "{path}");
        }
    }

    #[test]
    fn every_entry_of_a_listing_is_there() {
        let mut folders = vec!["/".to_owned()];
        let mut leaves = 0;
        while let Some(folder) = folders.pop() {
            let Some(Item::Text(listing)) = at(&folder) else { panic!("no listing at {folder}") };
            for entry in listing.lines() {
                let path = format!("{folder}{entry}");
                if entry.ends_with('/') {
                    folders.push(path);
                } else if ["latest", "dynamic", "meta-data"].contains(&entry) {
                    folders.push(format!("{path}/"));
                } else {
                    assert!(at(&path).is_some(), "{path}");
                    leaves += 1;
                }
            }
        }
        assert_eq!(leaves, 7);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in any::<String>(), slashes in "/{0,20}(latest/{1,3}meta-data)?[a-z/%.]{0,40}") {
            let _ = (at(&path), at(&slashes));
        }
    }
}
