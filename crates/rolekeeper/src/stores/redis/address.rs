//! Where a Redis is, as one line of text: parsed, so that nothing later has to ask what it means.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use rolekeeper_core::Secret;

use crate::stores::StoreError;

/// Where a store's Redis is, and who asks. What it writes of itself has neither user nor password.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) servers: Servers,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
    pub(super) tls: Option<Roots>,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    One(Host),
    /// The primary is whoever these say it is.
    Sentinels {
        hosts: Vec<Host>,
        master: String,
    },
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<Host>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// Whose certificates are trusted: the system's roots, and those in this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots {
    pub(super) extra: Option<PathBuf>,
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

const FORMS: &str = "write redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or \
                     redis+cluster://HOST:PORT,HOST:PORT; with TLS rediss://… (and rediss+…)";

#[derive(Clone, Copy)]
enum Form {
    One,
    Sentinel,
    Cluster,
}

/// What stands before `://`, and whether it means TLS.
const SCHEMES: &[(&str, Form, bool)] = &[
    ("redis", Form::One, false),
    ("rediss", Form::One, true),
    ("redis+sentinel", Form::Sentinel, false),
    ("rediss+sentinel", Form::Sentinel, true),
    ("redis+cluster", Form::Cluster, false),
    ("rediss+cluster", Form::Cluster, true),
];

// === impl Address ===

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        Self::read(text).map_err(|why| {
            StoreError::new(format!("`{}` is no address of a Redis: {why}", redacted(text)))
                .with_hint(FORMS)
        })
    }

    /// The errors tell nothing of what stands before an `@`, nor of what may be a part of it.
    fn read(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no `redis://` before it")?;
        let known = SCHEMES.iter().find(|(name, ..)| *name == scheme);
        let (_, form, has_tls) =
            *known.ok_or("it begins with another word than `redis` or `rediss`")?;
        // The last `@`, wherever it is: passwords have anything in them.
        let (who, rest) = match rest.rsplit_once('@') {
            Some((who, rest)) => (Some(who), rest),
            None => (None, rest),
        };
        let (user, password) = who.map_or(Ok((None, None)), user_and_password)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let extra = extra_roots(options)?;
        if extra.is_some() && !has_tls {
            return Err("`ca` is for TLS: write `rediss` for `redis`");
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if matches!(form, Form::Sentinel) { SENTINEL_PORT } else { PORT };
        let mut hosts =
            hosts.split(',').map(|host| Host::read(host, port)).collect::<Result<Vec<_>, _>>()?;
        let (servers, database) = match form {
            Form::One if hosts.len() > 1 => {
                return Err(
                    "of several hosts, it must say whether they are a cluster or sentinels",
                );
            }
            Form::One => (Servers::One(hosts.remove(0)), database(path)?),
            Form::Sentinel => {
                let (master, path) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err("the name that the sentinels have for the primary is missing");
                }
                let master = decoded(master)?;
                (Servers::Sentinels { hosts, master }, database(path)?)
            }
            Form::Cluster if database(path)? != 0 => {
                return Err("a cluster has no numbered databases");
            }
            Form::Cluster => (Servers::Cluster(hosts), 0),
        };
        Ok(Self { servers, user, password, database, tls: has_tls.then_some(Roots { extra }) })
    }

    /// Some text of a server's, which may have repeated what it was sent.
    pub(super) fn without_password(&self, text: &str) -> String {
        match &self.password {
            Some(password) if !password.expose().is_empty() => text.replace(password.expose(), "…"),
            _ => text.to_owned(),
        }
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let (form, hosts, master) = match &self.servers {
            Servers::One(host) => ("", std::slice::from_ref(host), None),
            Servers::Sentinels { hosts, master } => ("+sentinel", &hosts[..], Some(master)),
            Servers::Cluster(hosts) => ("+cluster", &hosts[..], None),
        };
        write!(f, "{scheme}{form}://")?;
        for (at, host) in hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        if let Some(master) = master {
            write!(f, "/{master}")?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Host ===

impl Host {
    fn read(text: &str, usual: u16) -> Result<Self, &'static str> {
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or("an IPv6 address lacks its `]`")?;
            match rest.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None if rest.is_empty() => (name, None),
                None => return Err("after an IPv6 address comes `:` and a port"),
            }
        } else {
            match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err("an IPv6 address is written in brackets: [::1]:6379");
                }
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            }
        };
        if name.is_empty() {
            return Err("a host has no name");
        }
        if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a host's name has a space in it");
        }
        let port = match port {
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err("a port is a number from 1 to 65535"),
                Ok(port) => port,
            },
            None => usual,
        };
        Ok(Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

fn user_and_password(text: &str) -> Result<(Option<String>, Option<Secret>), &'static str> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decoded(password)?))),
        None => (text, None),
    };
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    if user.is_some() && password.is_none() {
        return Err("there is a user and no password; a password alone is written `:PASSWORD@`");
    }
    Ok((user, password))
}

fn extra_roots(options: &str) -> Result<Option<PathBuf>, &'static str> {
    let mut extra = None;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("ca", path)) if !path.is_empty() => extra = Some(decoded(path)?.into()),
            _ => return Err("the one option that there is: `?ca=PATH`"),
        }
    }
    Ok(extra)
}

fn database(path: &str) -> Result<i64, &'static str> {
    match path {
        "" => Ok(0),
        path => path.parse::<u16>().map(i64::from).map_err(|_| "a database is a number"),
    }
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "it is no UTF-8 after `%` is decoded")
}

/// What may be shown of any text: nothing of what stands before the last `@`, but for the scheme.
fn redacted(text: &str) -> String {
    let Some((who, rest)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = who.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_known = SCHEMES.iter().any(|(name, ..)| *name == scheme);
    if is_known { format!("{scheme}://…@{rest}") } else { format!("…@{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_is_told_without_who_asks() {
        for (text, told) in [
            ("redis://h", "redis://h:6379"),
            ("redis://h:1", "redis://h:1"),
            ("redis://h/", "redis://h:6379"),
            ("redis://me:pw@h:1/3", "redis://h:1/3"),
            ("redis://:pw@[::1]:7", "redis://[::1]:7"),
            ("redis://:p/w@h/3", "redis://h:6379/3"),
            ("rediss://me:pw@h?ca=/etc/my%20ca.pem", "rediss://h:6379"),
            ("redis+sentinel://me:pw@a,b:2/main/4", "redis+sentinel://a:26379,b:2/main/4"),
            ("rediss+sentinel://a/main", "rediss+sentinel://a:26379/main"),
            ("redis+cluster://:pw@a:1,b:2,c", "redis+cluster://a:1,b:2,c:6379"),
            ("rediss+cluster://a", "rediss+cluster://a:6379"),
        ] {
            assert_eq!(parsed(text).to_string(), told);
            assert_eq!(format!("{:?}", parsed(text)), told);
        }
    }

    #[test]
    fn users_passwords_and_roots_are_taken_as_they_are_meant() {
        let who = |text: &str| {
            let address = parsed(text);
            (address.user, address.password.map(|password| password.expose().to_owned()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(who("redis://h"), (None, None));
        assert_eq!(who("redis://:pw@h"), (None, some("pw")));
        assert_eq!(who("redis://me:pw@h"), (some("me"), some("pw")));
        assert_eq!(who("redis://m%40e:p%3Aw%2F%25@h"), (some("m@e"), some("p:w/%")));
        assert_eq!(who("redis://me:p@:/w@h"), (some("me"), some("p@:/w")));
        assert_eq!(parsed("redis://h").tls, None);
        assert_eq!(parsed("rediss://h").tls, Some(Roots::default()));
        let roots = Roots { extra: Some("/etc/my ca.pem".into()) };
        assert_eq!(parsed("rediss://h?ca=/etc/my%20ca.pem").tls, Some(roots));
    }

    #[test]
    fn what_is_no_address_is_shown_without_its_password_and_with_what_to_do() {
        for (text, why) in [
            ("", "no `redis://`"),
            ("me:SECRET@h:6379", "no `redis://`"),
            ("redis:/me:SECRET@h", "no `redis://`"),
            ("http://me:SECRET@h", "another word"),
            ("SECRET://me@h", "another word"),
            ("secret://SECRET:x@h", "another word"),
            ("unix:///run/redis.sock", "another word"),
            ("redis://", "no name"),
            ("redis://me@h", "no password"),
            ("redis://:SECRET@h:x", "a port is a number"),
            ("redis://:SECRET@h:0", "a port is a number"),
            ("redis://:SECRET@h:65536", "a port is a number"),
            ("redis://:SECRET@::1:6379", "brackets"),
            ("redis://:SECRET@[::1", "lacks its"),
            ("redis://:SECRET@[::1]6379", "comes `:`"),
            ("redis://:SECRET@h o", "a space"),
            ("redis://:SECRET@h/x", "a database is a number"),
            ("redis://:SECRET@h/-1", "a database is a number"),
            ("redis://:SECRET@a,b", "cluster or sentinels"),
            ("redis://:SECRET@h?db=3", "`?ca=PATH`"),
            ("redis://:SECRET@h?ca=/x", "is for TLS"),
            ("rediss://:SECRET@h?ca=", "`?ca=PATH`"),
            ("redis://:SECRET?ca=@h?x", "`?ca=PATH`"),
            ("redis://:SECRET%ff@h", "UTF-8"),
            ("redis+sentinel://:SECRET@h", "the primary is missing"),
            ("redis+sentinel://:SECRET@h/main/x", "a database is a number"),
            ("redis+cluster://:SECRET@h/1", "no numbered databases"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
            assert!(!error.message.contains("SECRET"), "{text}: {error}");
            assert!(error.hint.unwrap().contains("redis://HOST:PORT"));
        }
        let error = Address::parse("redis://:SECRET@h/x").unwrap_err();
        assert!(error.message.contains("`redis://…@h/x`"), "{error}");
    }
}
