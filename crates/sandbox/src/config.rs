//! Decides which account, users, roles and issuers the sandbox has, read from TOML or built in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::mfa::decode_seed;
use crate::secret::Secret;
use crate::trust::Trusted;

const DEFAULT: &str = include_str!("default.toml");

/// IAM's own bounds and default for a role's maximum session, in seconds.
const ROLE_MAXIMUM: std::ops::RangeInclusive<u32> = 3600..=43_200;
const ROLE_MAXIMUM_DEFAULT: u32 = 3600;

/// The sandbox's world: its account, users, roles and token issuers.
///
/// [`Config::default`] has account 123456789012, a user `demo` with an MFA device, the roles
/// `demo` (up to 12 h), `chained` (only from role `demo`), `external` (external id
/// `sandbox-external-id`), `mfa`, `web` (web identity from the issuer `sandbox`), `short` (up to
/// 1 h) and `forbidden` (trusts nobody).
///
/// # The file
///
/// ```
/// let config = rolekeeper_sandbox::Config::from_toml(
///     r#"
///     account = "123456789012"           # 12 digits
///     region = "eu-west-1"               # what `environment()` tells SDKs; any Region is served
///     disabled_regions = ["me-south-1"]  # answered with RegionDisabledException
///
///     [users.ci]
///     access_key_id = "AKIAEXAMPLEEXAMPLE00"
///     secret_access_key = "a-secret-that-opens-nothing"
///     [users.ci.mfa]                     # optional: a virtual MFA device
///     serial = "arn:aws:iam::123456789012:mfa/ci"
///     seed = "GEZDGNBVGY3TQOJQ"          # base32
///
///     [roles.deploy]
///     trust = ["user/ci", "role/build", "issuer/forge"]
///     max_session_duration = 7200        # seconds, 3600 to 43200; 3600 unless told
///     external_id = "42"                 # optional: then the caller must send it
///     require_mfa = false                # optional
///     subjects = ["repo:example"]        # optional: the only `sub` claims let in by an issuer
///     allowed_actions = ["s3:*"]         # optional: all a session of this role may do
///
///     [roles.build]
///     trust = ["root"]
///
///     [issuers.forge]
///     url = "https://forge.example"      # the `iss` claim
///     audiences = ["sts.amazonaws.com"]  # the `aud` claims let in
///     secret = "signs the tokens, HS256"
///     rejected_subjects = ["revoked"]    # optional: answered with IDPRejectedClaim
///     unreachable = false                # optional: true answers IDPCommunicationError
///     "#,
/// )?;
/// assert_eq!(config.role_names().collect::<Vec<_>>(), ["build", "deploy"]);
///
/// let error = rolekeeper_sandbox::Config::from_toml("[roles.x]\ntrusts = []").unwrap_err();
/// assert_eq!((error.line(), error.key()), (2, "roles.x.trusts"));
/// # Ok::<(), rolekeeper_sandbox::ConfigError>(())
/// ```
///
/// A role trusts `user/NAME`, `role/NAME` (every session of that role), `issuer/NAME`, `root`
/// (anybody in the account), `*` (anybody), or the ARN of a user, a role or one assumed role's
/// session. An empty list trusts nobody.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) disabled_regions: Vec<String>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) issuers: BTreeMap<String, Issuer>,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) mfa: Option<MfaDevice>,
}

#[derive(Clone, Debug)]
pub(crate) struct MfaDevice {
    pub(crate) serial: String,
    pub(crate) seed: Seed,
}

/// An MFA device's shared secret, which `Debug` shows as `…`.
#[derive(Clone)]
pub(crate) struct Seed(pub(crate) Vec<u8>);

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) trust: Vec<Trusted>,
    pub(crate) max_session_duration: Duration,
    pub(crate) external_id: Option<String>,
    pub(crate) require_mfa: bool,
    pub(crate) subjects: Option<Vec<String>>,
    pub(crate) allowed_actions: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) secret: Secret,
    pub(crate) rejected_subjects: Vec<String>,
    pub(crate) unreachable: bool,
}

/// What is wrong with a configuration file, and where. Whoever wrote the file can mend it.
///
/// The message never quotes the file's text: it holds secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    line: usize,
    key: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a configuration")]
struct RawConfig {
    account: Option<Spanned<String>>,
    region: Option<String>,
    #[serde(default)]
    disabled_regions: Vec<String>,
    #[serde(default)]
    users: BTreeMap<String, RawUser>,
    #[serde(default)]
    roles: BTreeMap<String, RawRole>,
    #[serde(default)]
    issuers: BTreeMap<String, RawIssuer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a user's table")]
struct RawUser {
    access_key_id: Spanned<String>,
    secret_access_key: String,
    mfa: Option<RawMfa>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of `serial` and `seed`")]
struct RawMfa {
    serial: String,
    seed: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a role's table")]
struct RawRole {
    trust: Vec<Spanned<String>>,
    max_session_duration: Option<Spanned<u32>>,
    external_id: Option<String>,
    #[serde(default)]
    require_mfa: bool,
    subjects: Option<Vec<String>>,
    allowed_actions: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an issuer's table")]
struct RawIssuer {
    url: String,
    audiences: Vec<String>,
    secret: String,
    #[serde(default)]
    rejected_subjects: Vec<String>,
    #[serde(default)]
    unreachable: bool,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self::from_toml(DEFAULT).expect("the built-in configuration is tested")
    }
}

impl Config {
    /// Reads a configuration file's text. See the type's documentation for the format.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, has an unknown key or a value that cannot be.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::at(text, at, error.message())
        })?;
        raw.checked(text)
    }

    /// The 12-digit account everything lives in.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The Region told to SDKs; requests signed for any other are served too.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The users' names, in order.
    pub fn user_names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// The roles' names, in order.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// The ARN of the role of that name, whether or not there is one.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }

    pub(crate) fn user_by_key(&self, access_key_id: &str) -> Option<(&str, &User)> {
        let found = self.users.iter().find(|(_, user)| user.access_key_id == access_key_id)?;
        Some((found.0, found.1))
    }
}

// === impl RawConfig ===

impl RawConfig {
    fn checked(self, text: &str) -> Result<Config, ConfigError> {
        let account = match self.account {
            None => "123456789012".to_owned(),
            Some(account) => {
                let digits = account.get_ref();
                if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(ConfigError::at(text, account.span().start, "not 12 digits"));
                }
                account.into_inner()
            }
        };

        let mut users = BTreeMap::<String, User>::new();
        for (name, raw) in self.users {
            let id = raw.access_key_id;
            let taken = users.values().any(|user| user.access_key_id == *id.get_ref());
            let legible = id.get_ref().bytes().all(|byte| byte.is_ascii_alphanumeric());
            if taken || !legible || !(16..=128).contains(&id.get_ref().len()) {
                let why = "an access key id has 16 to 128 letters and digits, all its own";
                return Err(ConfigError::at(text, id.span().start, why));
            }
            let mfa = match raw.mfa {
                None => None,
                Some(device) => {
                    let at = device.seed.span().start;
                    let seed = decode_seed(device.seed.get_ref())
                        .ok_or_else(|| ConfigError::at(text, at, "not a base32 seed"))?;
                    Some(MfaDevice { serial: device.serial, seed: Seed(seed) })
                }
            };
            let secret_access_key = Secret::new(raw.secret_access_key);
            users.insert(name, User { access_key_id: id.into_inner(), secret_access_key, mfa });
        }

        let issuers: BTreeMap<String, Issuer> =
            self.issuers.into_iter().map(|(name, raw)| (name, raw.into())).collect();

        let names: Vec<String> = self.roles.keys().cloned().collect();
        let mut roles = BTreeMap::new();
        for (name, raw) in self.roles {
            let mut trust = Vec::with_capacity(raw.trust.len());
            for entry in &raw.trust {
                let trusted = Trusted::parse(entry.get_ref(), &account)
                    .and_then(|trusted| match &trusted {
                        Trusted::User(user) if !users.contains_key(user) => Err("no such user"),
                        Trusted::Role(role) if !names.contains(role) => Err("no such role"),
                        Trusted::Issuer(issuer) if !issuers.contains_key(issuer) => {
                            Err("no such issuer")
                        }
                        _ => Ok(trusted),
                    })
                    .map_err(|why| ConfigError::at(text, entry.span().start, why))?;
                trust.push(trusted);
            }
            let maximum = match &raw.max_session_duration {
                None => ROLE_MAXIMUM_DEFAULT,
                Some(told) if ROLE_MAXIMUM.contains(told.get_ref()) => *told.get_ref(),
                Some(told) => {
                    let why = "not within 3600 to 43200 seconds";
                    return Err(ConfigError::at(text, told.span().start, why));
                }
            };
            let role = Role {
                trust,
                max_session_duration: Duration::from_secs(maximum.into()),
                external_id: raw.external_id,
                require_mfa: raw.require_mfa,
                subjects: raw.subjects,
                allowed_actions: raw.allowed_actions,
            };
            roles.insert(name, role);
        }

        Ok(Config {
            account,
            region: self.region.unwrap_or_else(|| "us-east-1".to_owned()),
            disabled_regions: self.disabled_regions,
            users,
            roles,
            issuers,
        })
    }
}

impl From<RawIssuer> for Issuer {
    fn from(raw: RawIssuer) -> Self {
        Self {
            url: raw.url,
            audiences: raw.audiences,
            secret: Secret::new(raw.secret),
            rejected_subjects: raw.rejected_subjects,
            unreachable: raw.unreachable,
        }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

// === impl ConfigError ===

impl ConfigError {
    fn at(text: &str, offset: usize, message: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let table = text[..line_start]
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix('[')?.split(']').next())
            .unwrap_or_default();
        let key = match line.trim_start().strip_prefix('[') {
            Some(header) => header.split(']').next().unwrap_or_default().to_owned(),
            None => {
                let key = line.split_once('=').map_or("", |(key, _)| key.trim());
                [table, key]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join(".")
            }
        };
        let message = message.lines().next().unwrap_or_default();
        // Serde quotes a string that it did not expect, and that may be a secret out of place.
        let message = match (message.find(" \""), message.rfind("\", ")) {
            (Some(open), Some(close)) if open < close => {
                format!("{}, {}", &message[..open], &message[close + 3..])
            }
            _ => message.to_owned(),
        };
        Self { line: before.matches('\n').count() + 1, key, message }
    }

    /// The line of the file, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The key with the tables it stands in, such as `roles.demo.trust`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
