//! The AWS files that a program under `exec` is shown: no credentials, all other settings kept.
//!
//! In every SDK a key in the shared credentials file, or a role in the configuration file, comes
//! before the container endpoint. A left-over `[default]` would silently take our place.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use rolekeeper::private_file;

/// Keys of a profile by which some SDK makes credentials.
const CREDENTIAL_KEYS: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_security_token",
    "aws_account_id",
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "external_id",
    "mfa_serial",
    "duration_seconds",
    "role_session_name",
    "web_identity_token_file",
    "login_session",
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
];

/// Where the configuration file is, as every SDK finds it.
pub(crate) fn config_path() -> Option<PathBuf> {
    if let Some(path) = env::var_os("AWS_CONFIG_FILE").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    env::home_dir().map(|home| home.join(".aws").join("config"))
}

/// Whether a key under `[default]` of the shared credentials file would go before an endpoint.
pub(crate) fn credentials_file_has_default_key() -> bool {
    let path = env::var_os("AWS_SHARED_CREDENTIALS_FILE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".aws").join("credentials")));
    let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let sections = sections(&text);
    sections
        .iter()
        .any(|section| section.profile() == Some("default") && section.has("aws_access_key_id"))
}

/// What the configuration file says of one profile.
pub(crate) fn setting(profile: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(config_path()?).ok()?;
    let sections = sections(&text);
    let section = sections.iter().find(|section| section.profile() == Some(profile))?;
    section.settings.iter().find(|setting| setting.is(key)).map(Setting::value)
}

/// The profile whose other settings the program is to see as its default.
pub(crate) fn selected_profile(given: Option<&str>) -> String {
    let from = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    given
        .map(str::to_owned)
        .or_else(|| from("AWS_PROFILE"))
        .or_else(|| from("AWS_DEFAULT_PROFILE"))
        .unwrap_or_else(|| "default".to_owned())
}

/// Writes the program's two files into `folder`, which only this user may read; returns the
/// configuration file's path and the credentials file's.
pub(crate) fn write(folder: &Path, profile: &str) -> io::Result<(PathBuf, PathBuf)> {
    let original = match config_path().map(fs::read) {
        // What isn't UTF-8 is in comments at most; SDKs would refuse it elsewhere.
        Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => String::new(),
    };
    let (config, credentials) = (folder.join("config"), folder.join("credentials"));
    private_file::create(&config, without_credentials(&original, profile).as_bytes())?;
    private_file::create(&credentials, b"")?;
    Ok((config, credentials))
}

/// A new temporary folder that only this user may enter; removed when dropped.
pub(crate) fn private_folder() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("rolekeeper-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

/// The settings without any that makes credentials, and with `profile`'s as the default's.
fn without_credentials(config: &str, profile: &str) -> String {
    let mut sections = sections(config);
    for section in &mut sections {
        section.settings.retain(|setting| !setting.makes_credentials());
    }
    let chosen = sections.iter().find(|section| section.profile() == Some(profile)).cloned();
    if profile != "default" {
        sections.retain(|section| section.profile() != Some("default"));
        if let Some(mut chosen) = chosen {
            chosen.header = "[default]".to_owned();
            sections.insert(0, chosen);
        }
    }
    let mut text = String::new();
    for section in sections {
        text.extend([section.header.as_str(), "\n"]);
        for setting in section.settings {
            text.extend(setting.lines.iter().flat_map(|line| [line.as_str(), "\n"]));
        }
    }
    text
}

#[derive(Clone)]
struct Section {
    header: String,
    settings: Vec<Setting>,
}

/// One setting: its line, and the indented ones that belong to it.
#[derive(Clone)]
struct Setting {
    lines: Vec<String>,
}

impl Section {
    fn has(&self, key: &str) -> bool {
        self.settings.iter().any(|setting| setting.is(key))
    }

    fn profile(&self) -> Option<&str> {
        let name = self.header.split(']').next()?.trim_start_matches('[').trim();
        if name == "default" {
            return Some(name);
        }
        let name = name.strip_prefix("profile")?;
        let name = name.strip_prefix([' ', '\t'])?.trim();
        Some(name.trim_matches(['"', '\'']))
    }
}

impl Setting {
    fn is(&self, key: &str) -> bool {
        self.lines[0].split(['=', ':']).next().unwrap_or_default().trim().eq_ignore_ascii_case(key)
    }

    fn value(&self) -> String {
        self.lines[0].split_once(['=', ':']).map_or("", |(_, value)| value).trim().to_owned()
    }

    fn makes_credentials(&self) -> bool {
        CREDENTIAL_KEYS.iter().any(|key| self.is(key))
    }
}

fn sections(config: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in config.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            sections.push(Section { header: trimmed.to_owned(), settings: Vec::new() });
            continue;
        }
        // What stands before the first section means nothing to an SDK.
        let Some(section) = sections.last_mut() else { continue };
        let indented = line.starts_with([' ', '\t']);
        match section.settings.last_mut() {
            Some(setting) if indented => setting.lines.push(line.to_owned()),
            _ => section.settings.push(Setting { lines: vec![line.to_owned()] }),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# a comment
[default]
region = eu-west-1
aws_access_key_id = AKIALEFTOVER
aws_secret_access_key = left-over

[profile etl]
role_arn = arn:aws:iam::123456789012:role/etl
Source_Profile = default
region = us-east-2
s3 =
  max_concurrent_requests = 20
services = local
credential_process = /bin/key

[services local]
s3 =
  endpoint_url = http://127.0.0.1:9000
[sso-session corp]
sso_region = us-east-1
sso_registration_scopes = sso:account:access
";

    #[test]
    fn credentials_go_and_other_settings_stay() {
        assert_eq!(
            without_credentials(CONFIG, "default"),
            "\
[default]
region = eu-west-1
[profile etl]
region = us-east-2
s3 =
  max_concurrent_requests = 20
services = local
[services local]
s3 =
  endpoint_url = http://127.0.0.1:9000
[sso-session corp]
sso_registration_scopes = sso:account:access
"
        );
    }

    #[test]
    fn the_chosen_profiles_settings_become_the_default() {
        let text = without_credentials(CONFIG, "etl");
        assert!(text.starts_with("[default]\nregion = us-east-2\ns3 =\n  max_"), "{text}");
        assert_eq!(text.matches("[default]").count(), 1);
        assert!(!text.contains("eu-west-1"));
    }

    #[test]
    fn quoted_and_spaced_profile_names_are_found() {
        let text = without_credentials("[profile \"my jobs\"]\nregion=eu-north-1\n", "my jobs");
        assert!(text.starts_with("[default]\nregion=eu-north-1\n"), "{text}");
    }
}
