//! Which sections of the AWS files a profile's meaning is made of. What they mean is the source's
//! business: here it is only known where they lead to.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The settings by which one profile leads to others.
const LEADING: [&str; 7] = [
    "sso_session",
    "services",
    "aws_access_key_id",
    "role_arn",
    "web_identity_token_file",
    "mfa_serial",
    "source_profile",
];

/// The config and the credentials file, as they were when they were read. No secret stays in it.
#[derive(Default)]
pub(super) struct AwsFiles {
    /// Of one profile there may be several, the last one going before.
    sections: HashMap<Kind, Vec<Section>>,
    selected: String,
    /// Whether there are keys in the environment.
    has_keys_beside: bool,
}

/// Where a role begins.
pub(super) enum Start {
    /// It is what this profile means.
    Profile(String),
    /// It is assumed with what this profile means; without one, with the environment's credentials,
    /// of which the selected profile is a part.
    Role(Option<String>),
}

/// What stands under one header.
pub(super) struct Section {
    /// Of the header, and of all lines that are neither empty nor a comment.
    pub(super) hash: [u8; 32],
    leading: [Option<String>; LEADING.len()],
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Profile(String),
    /// `sso-session`, `services` and the like.
    Other(String, String),
}

/// A profile on the way to credentials.
struct Step<'a> {
    /// Its own, and those it names.
    sections: Vec<&'a Section>,
    mfa_serial: Option<&'a str>,
}

/// Where the two files are that profiles stand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsFilePaths {
    /// `AWS_CONFIG_FILE`, else `~/.aws/config`.
    pub config: Option<PathBuf>,
    /// `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
    pub credentials: Option<PathBuf>,
}

impl AwsFilePaths {
    /// As this process' environment has them.
    pub fn of_this_process() -> Self {
        let file = |variable: &str, name: &str| {
            let path = env::var(variable).ok().filter(|path| !path.trim().is_empty());
            path.map_or_else(
                || Some(env::home_dir()?.join(".aws").join(name)),
                |path| expanded(&path),
            )
        };
        Self {
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }
}

// === impl AwsFiles ===

impl AwsFiles {
    /// Where every SDK looks for them. A file that can't be read is empty, as it is to them.
    pub(super) fn read() -> Self {
        let paths = AwsFilePaths::of_this_process();
        let mut files = Self::at(paths.config.as_deref(), paths.credentials.as_deref());
        files.selected = env::var("AWS_PROFILE").unwrap_or_default();
        files.has_keys_beside =
            env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|keys| !keys.is_empty());
        files
    }

    pub(super) fn at(config: Option<&Path>, credentials: Option<&Path>) -> Self {
        let mut files = Self::default();
        let text = |path: &Path| Zeroizing::new(fs::read_to_string(path).unwrap_or_default());
        if let Some(path) = config {
            files.add(&text(path), Kind::of_config);
        }
        if let Some(path) = credentials {
            files.add(&text(path), Kind::of_credentials);
        }
        files
    }

    fn add(&mut self, text: &str, kind: impl Fn(&str) -> Option<Kind>) {
        // What stands under a header that means nothing, or under none, means nothing either.
        let mut open: Option<(Kind, Vec<&str>)> = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                self.close(open.take());
                let header = header.split(']').next().unwrap_or_default().trim();
                open = kind(header).map(|kind| (kind, vec![header]));
            } else if let Some((_, lines)) = &mut open {
                lines.push(line.trim_end());
            }
        }
        self.close(open);
    }

    fn close(&mut self, section: Option<(Kind, Vec<&str>)>) {
        if let Some((kind, lines)) = section {
            self.sections.entry(kind).or_default().push(Section::of(&lines));
        }
    }

    /// The sections that a role is made of: its profile's own in both files, those it names, and
    /// those of its source profiles.
    pub(super) fn sections_of<'a>(&'a self, start: &'a Start) -> Vec<&'a Section> {
        let steps = self.steps(start).into_iter();
        let mut sections: Vec<_> = steps.flat_map(|step| step.sections).collect();
        if matches!(start, Start::Role(_)) {
            // The selected profile says where STS is, if nobody else does.
            sections.extend(self.of_profile(self.selected()));
        }
        sections
    }

    /// The MFA device that a role on the way asks for.
    pub(super) fn mfa_serial<'a>(&'a self, start: &'a Start) -> Option<&'a str> {
        self.steps(start).into_iter().find_map(|step| step.mfa_serial)
    }

    fn steps<'a>(&'a self, start: &'a Start) -> Vec<Step<'a>> {
        match start {
            Start::Profile(name) => self.steps_from(name, false),
            Start::Role(Some(source)) => self.steps_from(source, true),
            // Keys in the environment go before any profile.
            Start::Role(None) if self.has_keys_beside => Vec::new(),
            Start::Role(None) => self.steps_from(self.selected(), false),
        }
    }

    /// One profile after the other, each the source of the one before; a circle ends it.
    fn steps_from<'a>(&'a self, profile: &'a str, is_source: bool) -> Vec<Step<'a>> {
        let (mut steps, mut seen) = (Vec::new(), Vec::new());
        let (mut next, mut is_source) = (Some(profile), is_source);
        while let Some(name) = next.take().filter(|name| !seen.contains(name)) {
            let own = self.of_profile(name);
            let setting = |at: usize| own.iter().rev().find_map(|one| one.leading[at].as_deref());
            let [sso_session, services, keys, role, web_identity, mfa_serial, source] =
                std::array::from_fn(setting);
            // A source profile's static keys go before a role of its own.
            let has_role = role.is_some() && !(is_source && keys.is_some());
            next = source.filter(|_| has_role);
            let mut sections: Vec<_> = own.iter().collect();
            for (kind, name) in [("sso-session", sso_session), ("services", services)] {
                let named = name.map(|name| Kind::Other(kind.to_owned(), name.to_owned()));
                sections.extend(named.iter().filter_map(|kind| self.sections.get(kind)).flatten());
            }
            let mfa_serial = mfa_serial.filter(|_| has_role && web_identity.is_none());
            steps.push(Step { sections, mfa_serial });
            seen.push(name);
            is_source = true;
        }
        steps
    }

    fn of_profile(&self, name: &str) -> &[Section] {
        self.sections.get(&Kind::Profile(name.to_owned())).map_or(&[], Vec::as_slice)
    }

    fn selected(&self) -> &str {
        if self.selected.is_empty() { "default" } else { &self.selected }
    }
}

/// `~/` is this user's home, as in the SDKs.
fn expanded(path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => Some(env::home_dir()?.join(rest)),
        None => Some(path.into()),
    }
}

// === impl Kind ===

impl Kind {
    fn of_config(header: &str) -> Option<Self> {
        match header.split_once([' ', '\t']) {
            Some(("profile", name)) => Some(Self::Profile(unquoted(name))),
            Some((kind, name)) => Some(Self::Other(kind.to_owned(), unquoted(name))),
            None => (header == "default").then(|| Self::Profile(header.to_owned())),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as `of_config`")]
    fn of_credentials(header: &str) -> Option<Self> {
        Some(Self::Profile(unquoted(header)))
    }
}

fn unquoted(name: &str) -> String {
    name.trim().trim_matches(['"', '\'']).to_owned()
}

// === impl Section ===

impl Section {
    /// Of the header and the lines below it.
    fn of(lines: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for line in lines {
            hash.update(line);
            hash.update("\n");
        }
        let settings = lines.iter().skip(1).rev().filter(|line| !line.starts_with([' ', '\t']));
        let pairs: Vec<_> = settings.filter_map(|line| line.split_once('=')).collect();
        let leading = LEADING.map(|key| {
            let is_it = |(name, _): &&(&str, &str)| name.trim().eq_ignore_ascii_case(key);
            pairs.iter().find(is_it).map(|(_, value)| without_comment(value).to_owned())
        });
        Self { hash: hash.finalize().into(), leading }
    }
}

/// A comment needs white space before it.
fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value[..end.unwrap_or(value.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
[default]
region = eu-west-1
[profile etl]
role_arn = arn:aws:iam::123456789012:role/etl
Source_Profile = middle # and so on
services = local
[profile middle]
role_arn = arn:aws:iam::123456789012:role/middle
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ada
[profile middle2]
role_arn = arn:aws:iam::123456789012:role/middle
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ada
aws_access_key_id = AKIA
[profile \"base\"]
sso_session = corp
mfa_serial = of-no-role
s3 =
  source_profile = other
[profile circle]
role_arn = a
source_profile = circle2
[profile circle2]
role_arn = a
source_profile = circle
[profile other]
region = x
[sso-session corp]
sso_region = us-east-1
[services local]
sts =
  endpoint_url = http://127.0.0.1:1
";

    const CREDENTIALS: &str = "[base]\nregion = y\n[other]\naws_access_key_id = AKIA\n";

    fn files() -> AwsFiles {
        let mut files = AwsFiles::default();
        files.add(CONFIG, Kind::of_config);
        files.add(CREDENTIALS, Kind::of_credentials);
        files
    }

    /// Each section by a name of its own, told by its hash.
    fn names(start: &Start) -> Vec<&'static str> {
        let (files, mut names) = (files(), Vec::new());
        for section in files.sections_of(start) {
            let all = [
                ("etl", "profile etl", CONFIG),
                ("middle", "profile middle", CONFIG),
                ("base", "profile \"base\"", CONFIG),
                ("circle", "profile circle", CONFIG),
                ("circle2", "profile circle2", CONFIG),
                ("other", "profile other", CONFIG),
                ("default", "default", CONFIG),
                ("corp", "sso-session corp", CONFIG),
                ("local", "services local", CONFIG),
                ("base's keys", "base", CREDENTIALS),
                ("other's keys", "other", CREDENTIALS),
            ];
            let is_it = |header: &str, text: &'static str| {
                let from = text.find(&format!("[{header}]\n")).unwrap();
                let lines = text[from..].lines().skip(1).take_while(|line| !line.starts_with('['));
                let lines: Vec<_> = [header].into_iter().chain(lines).collect();
                Section::of(&lines).hash == section.hash
            };
            let (name, ..) = all.iter().find(|(_, header, text)| is_it(header, text)).unwrap();
            names.push(*name);
        }
        names
    }

    fn profile(name: &str) -> Start {
        Start::Profile(name.to_owned())
    }

    #[test]
    fn a_profile_is_made_of_what_it_leads_to() {
        let all = ["etl", "local", "middle", "base", "base's keys", "corp"];
        assert_eq!(names(&profile("etl")), all);
        assert_eq!(names(&profile("other")), ["other", "other's keys"]);
        assert_eq!(names(&profile("circle")), ["circle", "circle2"]);
        assert_eq!(names(&profile("nobody")), [""; 0]);
    }

    #[test]
    fn a_role_is_made_of_its_source_and_of_the_selected_profile() {
        assert_eq!(names(&Start::Role(None)), ["default", "default"]);
        let source = Start::Role(Some("other".to_owned()));
        assert_eq!(names(&source), ["other", "other's keys", "default"]);
    }

    #[test]
    fn an_mfa_device_counts_only_where_a_role_is_assumed_with_it() {
        let serial = |start: Start| files().mfa_serial(&start).map(str::to_owned);
        let ada = Some("arn:aws:iam::123456789012:mfa/ada".to_owned());
        assert_eq!(serial(profile("etl")), ada);
        assert_eq!(serial(profile("middle2")), ada);
        assert_eq!(serial(Start::Role(Some("middle2".to_owned()))), None, "its keys go before");
        assert_eq!(serial(profile("base")), None, "there is no role");
    }
}
