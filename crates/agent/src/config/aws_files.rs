//! Which sections of the AWS files a profile's meaning is made of. What they mean is the source's
//! business: here it is only known where they lead to.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// The config and the credentials file, as they are now.
#[derive(Default)]
pub(super) struct AwsFiles {
    texts: [Zeroizing<String>; 2],
    selected: String,
}

/// One section: what stands between brackets, and its lines that are neither empty nor a comment.
pub(super) struct Section<'t> {
    pub(super) header: &'t str,
    pub(super) lines: Vec<&'t str>,
    kind: Kind<'t>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'t> {
    Profile(&'t str),
    /// `sso-session`, `services` and the like.
    Other(&'t str, &'t str),
}

// === impl AwsFiles ===

impl AwsFiles {
    /// Where every SDK looks for them. A file that can't be read is empty, as it is to them.
    pub(super) fn read() -> Self {
        let file = |variable: &str, name: &str| {
            let path = env::var(variable).ok().filter(|path| !path.trim().is_empty());
            path.map_or_else(|| Some(env::home_dir()?.join(".aws").join(name)), |path| expanded(&path))
        };
        let config = file("AWS_CONFIG_FILE", "config");
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut files = Self::at(config.as_deref(), credentials.as_deref());
        files.selected = env::var("AWS_PROFILE").unwrap_or_default();
        files
    }

    pub(super) fn at(config: Option<&Path>, credentials: Option<&Path>) -> Self {
        let text = |path: Option<&Path>| {
            Zeroizing::new(path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default())
        };
        Self { texts: [text(config), text(credentials)], selected: String::new() }
    }

    /// The sections that `profile` (without one: the selected one) is made of: its own in both
    /// files, those it names, and those of its source profiles.
    pub(super) fn sections_of(&self, profile: Option<&str>, is_source: bool) -> Vec<Section<'_>> {
        let all = self.sections();
        let mut chain: Vec<usize> = Vec::new();
        let mut next = Some(profile.unwrap_or(self.selected()).to_owned());
        let mut is_source = is_source;
        while let Some(name) = next.take() {
            let own: Vec<usize> = (0..all.len()).filter(|at| all[*at].is_profile(&name)).collect();
            if own.iter().any(|at| chain.contains(at)) {
                break; // It leads in a circle.
            }
            let setting = |key: &str| own.iter().rev().find_map(|at| all[*at].setting(key));
            for (kind, key) in [("sso-session", "sso_session"), ("services", "services")] {
                let named = setting(key).map(|name| Kind::Other(kind, name));
                chain.extend((0..all.len()).filter(|at| Some(all[*at].kind) == named));
            }
            // A source profile's static keys go before a role of its own.
            if !(is_source && setting("aws_access_key_id").is_some()) {
                next = setting("source_profile").map(str::to_owned);
            }
            is_source = true;
            chain.extend(own);
        }
        let mut all: Vec<Option<Section<'_>>> = all.into_iter().map(Some).collect();
        chain.into_iter().filter_map(|at| all[at].take()).collect()
    }

    /// The MFA device that a role in the chain of `profile` asks for.
    pub(super) fn mfa_serial(&self, profile: Option<&str>, is_source: bool) -> Option<String> {
        let sections = self.sections_of(profile, is_source);
        let asks = |section: &&Section<'_>| section.setting("mfa_serial").is_some();
        sections.iter().find(asks)?.setting("mfa_serial").map(str::to_owned)
    }

    fn selected(&self) -> &str {
        if self.selected.is_empty() { "default" } else { &self.selected }
    }

    fn sections(&self) -> Vec<Section<'_>> {
        let [config, credentials] = &self.texts;
        let mut all = sections(config, Kind::of_config);
        all.extend(sections(credentials, |header| Some(Kind::Profile(unquoted(header)))));
        all
    }
}

/// `~/` is this user's home, as in the SDKs.
fn expanded(path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => Some(env::home_dir()?.join(rest)),
        None => Some(path.into()),
    }
}

fn sections<'t>(text: &'t str, kind: impl Fn(&'t str) -> Option<Kind<'t>>) -> Vec<Section<'t>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    // What stands under a header that means nothing, or under none, means nothing either.
    let mut is_known = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default().trim();
            let kind = kind(header);
            is_known = kind.is_some();
            sections.extend(kind.map(|kind| Section { header, lines: Vec::new(), kind }));
        } else if let (true, Some(section)) = (is_known, sections.last_mut()) {
            section.lines.push(line.trim_end());
        }
    }
    sections
}

// === impl Kind ===

impl<'t> Kind<'t> {
    fn of_config(header: &'t str) -> Option<Self> {
        match header.split_once([' ', '\t']) {
            Some(("profile", name)) => Some(Self::Profile(unquoted(name))),
            Some((kind, name)) => Some(Self::Other(kind, unquoted(name))),
            None => (header == "default").then_some(Self::Profile(header)),
        }
    }
}

fn unquoted(name: &str) -> &str {
    name.trim().trim_matches(['"', '\''])
}

// === impl Section ===

impl<'t> Section<'t> {
    fn is_profile(&self, name: &str) -> bool {
        self.kind == Kind::Profile(name)
    }

    /// Of an indented line, the one it belongs to: `s3 =` and the like are none of ours.
    fn setting(&self, key: &str) -> Option<&'t str> {
        let own = self.lines.iter().rev().filter(|line| !line.starts_with([' ', '\t']));
        let (_, value) = own
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))?;
        // A comment needs white space before it.
        let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
        Some(value[..end.unwrap_or(value.len())].trim())
    }
}
