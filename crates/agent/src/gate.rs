//! Which requests may come from a client on this machine at all, whatever they ask for.
//!
//! A web page can make a browser on this machine call any port of it, and by DNS rebinding under
//! the page's own name. Such a request gives itself away by its headers. Proxies add
//! `X-Forwarded-For`: what came through one did not come from a client of ours.

use std::net::{IpAddr, SocketAddr};

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

use crate::refusal::Refusal;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `local` is this machine's end of the connection; `None` for a Unix socket, whose clients may
/// put anything into `Host`.
pub(crate) fn check(headers: &HeaderMap, local: Option<SocketAddr>) -> Result<(), Refusal> {
    for name in headers.keys() {
        // One look at each name's beginning: most requests have none of them.
        let name = name.as_str();
        if name == "origin" || name.starts_with("sec-fetch-") {
            return Err(Refusal::Browser);
        }
        if name == FORWARDED_FOR.as_str() {
            return Err(Refusal::Forwarded);
        }
    }
    let Some(local) = local else { return Ok(()) };
    let mut hosts = headers.get_all(header::HOST).into_iter();
    match (hosts.next().map(|host| host.as_bytes()), hosts.next()) {
        (Some(host), None) if is_ours(host, local) => Ok(()),
        _ => Err(Refusal::Host),
    }
}

/// `ADDRESS:PORT`, or only the address (the CRT), without brackets (the CRT again), or `localhost`
/// for loopback: no name that a web page could have.
fn is_ours(host: &[u8], local: SocketAddr) -> bool {
    let Ok(host) = str::from_utf8(host) else { return false };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.port() == local.port() && is_same(address.ip(), local.ip());
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return is_same(ip, local.ip());
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse() == Ok(local.port()) => name,
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") && local.ip().to_canonical().is_loopback()
}

fn is_same(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_address_that_was_called_is_taken_and_no_other() {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
        for (host, local, expected) in [
            ("127.0.0.1:80", v4, true),
            ("127.0.0.1", v4, true),
            ("localhost:80", v4, true),
            ("LOCALHOST", v6, true),
            ("[::1]:80", v6, true),
            ("[::1]", v6, true),
            ("::1", v6, true),
            ("169.254.169.254", metadata, true),
            ("127.0.0.1:81", v4, false),
            ("127.0.0.2", v4, false),
            ("localhost:81", v4, false),
            ("localhost", metadata, false),
            ("evil.example", v4, false),
            ("localhost.evil.example", v4, false),
            ("127.0.0.1.evil.example:80", v4, false),
            ("evil.example:80", v4, false),
            ("", v4, false),
        ] {
            assert_eq!(is_ours(host.as_bytes(), local), expected, "{host} at {local}");
        }
    }
}
