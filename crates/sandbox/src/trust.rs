//! Decides who may assume a role, and what a session may do: trust policies and allowed actions.

/// Whoever holds a key or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    User(String),
    Role { name: String, session: String },
    Federated(String),
}

/// One entry of a role's trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trusted {
    Anybody,
    /// Everybody in the account.
    Root,
    User(String),
    Role(String),
    /// One session of a role, by its name.
    Session {
        role: String,
        session: String,
    },
    Federated(String),
    Issuer(String),
}

// === impl Principal ===

impl Principal {
    pub(crate) fn arn(&self, account: &str) -> String {
        match self {
            Self::User(name) => format!("arn:aws:iam::{account}:user/{name}"),
            Self::Role { name, session } => {
                format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")
            }
            Self::Federated(name) => format!("arn:aws:sts::{account}:federated-user/{name}"),
        }
    }
}

// === impl Trusted ===

impl Trusted {
    /// Reads `user/NAME`, `role/NAME`, `issuer/NAME`, `root`, `*`, or the ARN of any of these.
    pub(crate) fn parse(text: &str, account: &str) -> Result<Self, &'static str> {
        let rest = match text.strip_prefix("arn:aws:") {
            None => text,
            Some(arn) => arn
                .strip_prefix("iam::")
                .or_else(|| arn.strip_prefix("sts::"))
                .and_then(|arn| arn.strip_prefix(account)?.strip_prefix(':'))
                .ok_or("an ARN of another account or service")?,
        };
        let named = |name: &str| match name {
            "" => Err("a name is missing"),
            name => Ok(name.to_owned()),
        };
        match rest.split_once('/') {
            None if rest == "*" => Ok(Self::Anybody),
            None if rest == "root" => Ok(Self::Root),
            Some(("user", name)) => named(name).map(Self::User),
            Some(("role", name)) => named(name).map(Self::Role),
            Some(("issuer", name)) => named(name).map(Self::Issuer),
            Some(("federated-user", name)) => named(name).map(Self::Federated),
            Some(("assumed-role", path)) => {
                let (role, session) = path.split_once('/').ok_or("a session name is missing")?;
                Ok(Self::Session { role: named(role)?, session: named(session)? })
            }
            _ => Err("neither user/NAME, role/NAME, issuer/NAME, root, * nor an ARN"),
        }
    }

    pub(crate) fn covers(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Anybody | Self::Root, _) => true,
            (Self::User(trusted), Principal::User(name)) => trusted == name,
            (Self::Role(trusted), Principal::Role { name, .. }) => trusted == name,
            (Self::Session { role, session: trusted }, Principal::Role { name, session }) => {
                role == name && trusted == session
            }
            (Self::Federated(trusted), Principal::Federated(name)) => trusted == name,
            _ => false,
        }
    }

    pub(crate) fn covers_issuer(&self, issuer: &str) -> bool {
        matches!(self, Self::Issuer(trusted) if trusted == issuer)
    }
}

/// Whether `action` (`s3:ListAllMyBuckets`) is among `allowed` (the same, `s3:*` or `*`).
pub(crate) fn allows(allowed: &[String], action: &str) -> bool {
    allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
        None => pattern.eq_ignore_ascii_case(action),
        Some(stem) => {
            action.get(..stem.len()).is_some_and(|start| start.eq_ignore_ascii_case(stem))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, session: &str) -> Principal {
        Principal::Role { name: name.to_owned(), session: session.to_owned() }
    }

    #[test]
    fn an_entry_covers_those_it_names_and_nobody_else() {
        let user = Principal::User("demo".to_owned());
        for (entry, whom, covered) in [
            ("user/demo", &user, true),
            ("user/other", &user, false),
            ("role/demo", &user, false),
            ("arn:aws:iam::1:user/demo", &user, true),
            ("arn:aws:iam::1:root", &user, true),
            ("*", &role("a", "b"), true),
            ("role/a", &role("a", "b"), true),
            ("role/b", &role("a", "b"), false),
            ("arn:aws:sts::1:assumed-role/a/b", &role("a", "b"), true),
            ("arn:aws:sts::1:assumed-role/a/c", &role("a", "b"), false),
            ("federated-user/f", &Principal::Federated("f".to_owned()), true),
            ("issuer/sandbox", &user, false),
        ] {
            assert_eq!(Trusted::parse(entry, "1").unwrap().covers(whom), covered, "{entry}");
        }
    }

    #[test]
    fn an_entry_of_no_known_form_is_refused() {
        for entry in ["", "demo", "user/", "group/x", "arn:aws:iam::2:user/demo", "assumed-role/x"]
        {
            assert!(Trusted::parse(entry, "1").is_err(), "{entry}");
        }
    }

    #[test]
    fn actions_match_by_name_or_by_stem() {
        let allowed = ["s3:*".to_owned(), "sts:AssumeRole".to_owned()];
        assert!(allows(&allowed, "s3:ListAllMyBuckets"));
        assert!(allows(&allowed, "sts:assumerole"));
        assert!(!allows(&allowed, "sts:AssumeRoleWithWebIdentity"));
        assert!(!allows(&allowed, "rds:DescribeDBInstances"));
    }
}
