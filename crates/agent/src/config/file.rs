//! The TOML file. `docs/agent.md` describes its keys.

use std::{path::Path, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    AssumedRole, Config, Identity, ImdsConfig, RoleConfig, RoleName, TokenConfig,
    problem::{Problem, Spots},
    table::{Document, Table},
    value::{self, Parsed, Wrong},
};
use crate::rule::Rule;

/// Less would let a role go between two rounds of an SDK that asks every minute.
const LEAST_IDLE: Duration = Duration::from_secs(60);

/// The token before is taken for a minute more: there are never more than two.
const LEAST_ROTATION: Duration = Duration::from_secs(60);

/// What STS gives.
const SHORTEST_SESSION: Duration = Duration::from_secs(15 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(12 * 3600);

const ROLE: &str = "role";

/// What holds for all. In a file it must stand above the first table.
const OF_ALL: &[&str] = &[
    "listen",
    "operator",
    "socket",
    "pace",
    "idle",
    "listen_beyond_loopback",
    "lock_memory",
    "store",
    "store_key_file",
];

/// What belongs to a role that is described here and not in a profile.
const OF_A_ROLE: &[&str] = &[
    "source_profile",
    "session_name",
    "duration",
    "external_id",
    "policy",
    "policy_arns",
    "tags",
    "transitive_tag_keys",
    "source_identity",
    "mfa_serial",
];

pub(super) fn read(text: &str, file: &Path) -> (Config, Vec<Problem>) {
    let document = Document::new(text, Spots::of(file));
    let mut config = Config::default();
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        config.take(Table::root(&document, &root), &document);
    }
    // What else such a text says is guesswork.
    for error in errors {
        let at = error.span().unwrap_or_default();
        document.tell(document.problem("", at, format!("this is no TOML: {}", error.message())));
    }
    let problems = document.problems.into_inner();
    config.spots = document.spots.into_inner();
    let may_be_a_role = |problem: &Problem| problem.key.is_empty() || problem.key.starts_with(ROLE);
    config.spots.lacks_roles = problems.iter().any(may_be_a_role);
    (config, problems)
}

// === impl Config ===

impl Config {
    fn take<'t>(&mut self, mut root: Table<'_, 't>, document: &Document<'t>) {
        set(&mut self.container, root.get_noted("listen", value::address));
        self.operator = root.get_noted("operator", value::address);
        if let Some(path) = root.get("socket", value::absolute_path) {
            self.socket = Some(path);
        }
        set(&mut self.pace, root.get("pace", value::at_least_one));
        self.idle_after = root.get("idle", value::duration_of(LEAST_IDLE, None));
        set(&mut self.beyond_loopback, root.get("listen_beyond_loopback", value::yes_or_no));
        set(&mut self.lock_memory, root.get("lock_memory", value::yes_or_no));
        self.store = root.get("store", store);
        self.store_key_file = root.get("store_key_file", value::absolute_path);
        if let Some(roles) = root.table(ROLE) {
            self.roles =
                roles.entries().filter_map(|(key, value)| role(document, key, value)).collect();
            // A table is sorted by name; people wrote it in an order of their own.
            let spots = document.spots.borrow();
            self.roles.sort_by_cached_key(|role| spots.find(&format!("role.{}", role.name), "").1);
        }
        if let Some(all) = root.raw("imds") {
            match all.get_ref() {
                DeValue::Array(all) => {
                    self.imds = all.iter().filter_map(|value| imds(document, value)).collect();
                }
                // `[imds]` for a single one.
                _ => self.imds = imds(document, all).into_iter().collect(),
            }
        }
        root.finish(&[]);
    }
}

fn set<T>(field: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *field = value;
    }
}

fn role<'t>(
    document: &Document<'t>,
    key: &Spanned<toml::de::DeString<'t>>,
    value: &Spanned<DeValue<'t>>,
) -> Option<RoleConfig> {
    let path = format!("role.{}", key.get_ref());
    let name = match RoleName::parse(key.get_ref()) {
        Ok(name) => name,
        Err(bad) => {
            let hint = format!(
                "to serve a profile of that name, write [role.NAME] with profile = {:?}",
                key.get_ref()
            );
            document.tell(document.problem(ROLE, key.span(), bad.to_string()).with_hint(hint));
            return None;
        }
    };
    document.spots.borrow_mut().note(path.clone(), document.line(key.span().start), String::new());
    let mut table = document.table(path, value)?;
    let identity = identity(&mut table, &name);
    let mut role = RoleConfig::new(name, identity);
    role.place.region = table.get("region", value::text);
    role.place.endpoint_url = table.get("endpoint_url", url);
    role.place.fips = table.get("fips", value::yes_or_no);
    role.place.dual_stack = table.get("dual_stack", value::yes_or_no);
    role.mfa_process = table.get("mfa_process", value::text);
    set(&mut role.token, token(&mut table));
    role.rotate_token = table.get("rotate_token", value::duration_of(LEAST_ROTATION, None));
    if matches!(role.token, TokenConfig::Variable(_)) {
        let hint = "leave it out, or use token_file";
        table.object("rotate_token", "a token of a variable can't be rotated", hint);
    }
    if let Some(allow) = table.table("allow") {
        role.allow = rule(allow);
    }
    table.finish(OF_ALL);
    Some(role)
}

fn identity(table: &mut Table<'_, '_>, name: &RoleName) -> Identity {
    let profile = table.get("profile", value::text);
    if table.raw("role_arn").is_none() {
        for key in OF_A_ROLE {
            let hint = "set it in the profile, or describe the role here with role_arn";
            table.object(key, "belongs to a role_arn, and there is none", hint);
        }
        return Identity::Profile(profile.unwrap_or_else(|| name.as_str().to_owned()));
    }
    let hint = "leave one of them out; with what the role is assumed is source_profile";
    table.object("profile", "says what the role is, and so does role_arn", hint);
    let session = value::duration_of(SHORTEST_SESSION, Some(LONGEST_SESSION));
    Identity::Role(Box::new(AssumedRole {
        role_arn: table.get("role_arn", arn).unwrap_or_default(),
        source_profile: table.get("source_profile", value::text),
        session_name: table.get("session_name", value::text),
        duration: table.get("duration", session),
        external_id: table.get("external_id", value::text),
        policy: table.get("policy", value::text),
        policy_arns: table.all("policy_arns", arn),
        tags: tags(table),
        transitive_tag_keys: table.all("transitive_tag_keys", value::text),
        source_identity: table.get("source_identity", value::text),
        mfa_serial: table.get("mfa_serial", value::text),
    }))
}

fn tags(table: &mut Table<'_, '_>) -> Vec<(String, String)> {
    let Some(tags) = table.table("tags") else { return Vec::new() };
    let each = tags.entries().filter_map(|(key, value)| match value.get_ref().as_str() {
        Some(text) => Some((key.get_ref().clone().into_owned(), text.to_owned())),
        None => {
            tags.wrong(key.get_ref(), value, Wrong::new("expected a text in quotes"));
            None
        }
    });
    each.collect()
}

fn token(table: &mut Table<'_, '_>) -> Option<TokenConfig> {
    table.forbid(
        "token",
        "a token must not stand in this file",
        "use token_env, the name of a variable, or token_file, a file of mode 0600",
    );
    let file = table.get("token_file", value::absolute_path).map(TokenConfig::File);
    let variable = table.get("token_env", value::variable).map(TokenConfig::Variable);
    if file.is_some() {
        let hint = "leave one of them out";
        table.object("token_env", "says where the token is, and so does token_file", hint);
    }
    file.or(variable)
}

fn rule(mut table: Table<'_, '_>) -> Rule {
    let rule = Rule {
        uids: table.all("uid", value::uid),
        gids: table.all("gid", value::gid),
        executables: table.all("executable", value::absolute_path),
    };
    table.finish(OF_ALL);
    rule
}

fn imds<'t>(document: &Document<'t>, value: &Spanned<DeValue<'t>>) -> Option<ImdsConfig> {
    let mut table = document.table("imds".to_owned(), value)?;
    let listen = table.required(
        "listen",
        "say where it listens: listen = \"127.0.0.1:7347\"",
        value::address,
    );
    let role = table.required("role", "say which role it serves: role = \"NAME\"", role_name);
    let v1 = table.get("v1", value::yes_or_no).unwrap_or(false);
    table.finish(OF_ALL);
    Some(ImdsConfig { listen: listen?, role: role?, v1 })
}

fn role_name(value: &DeValue<'_>) -> Parsed<RoleName> {
    RoleName::parse(&value::text(value)?).map_err(|_| {
        Wrong::new(
            "expected a role's name: 1 to 64 letters, digits and ._-+=,@, not beginning with a dot",
        )
    })
}

/// No stricter than the service: what is behind the partition is its own to judge.
fn arn(value: &DeValue<'_>) -> Parsed<String> {
    match value
        .as_str()
        .filter(|text| text.starts_with("arn:") && !text.contains(char::is_whitespace))
    {
        Some(arn) => Ok(arn.to_owned()),
        None => Err(Wrong::new("expected an ARN")
            .with_hint("write it as arn:aws:iam::123456789012:role/NAME")),
    }
}

/// What it means is found out when it is opened.
fn store(value: &DeValue<'_>) -> Parsed<String> {
    let text = value::text(value)?;
    if text.contains('@') {
        let wrong = Wrong::new("a password must not stand in this file")
            .with_hint("put the whole address into the variable ROLEKEEPER_STORE");
        return Err(Wrong { is_delicate: true, ..wrong });
    }
    Ok(text)
}

fn url(value: &DeValue<'_>) -> Parsed<String> {
    let is_url = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
    match value.as_str().filter(is_url) {
        Some(url) => Ok(url.to_owned()),
        None => Err(Wrong::new("expected a URL that begins with https:// or http://")),
    }
}
