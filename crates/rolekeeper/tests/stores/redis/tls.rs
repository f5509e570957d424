//! TLS, by a root of the test's own.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rolekeeper::stores::SessionStore;

use super::{
    id_in, open, save,
    server::{Server, free_port, until},
    told,
};
use crate::file::key;

/// Writes a root, and a certificate for 127.0.0.1 that it has signed.
fn certificates(folder: &Path) {
    let mut root = CertificateParams::new([]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let own = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let server = server.signed_by(&own, &root).unwrap();
    for (name, text) in
        [("ca.pem", root.pem()), ("server.pem", server.pem()), ("server.key", own.serialize_pem())]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// A server, and its port for TLS.
fn server(folder: &Path, more: &[&str]) -> (Server, u16) {
    let port = free_port();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let [root, certificate, own] = ["ca.pem", "server.pem", "server.key"].map(file);
    let tls = port.to_string();
    let mut options = vec!["--tls-port", &tls, "--tls-auth-clients", "no"];
    options.extend(["--tls-cert-file", &certificate, "--tls-key-file", &own]);
    options.extend(["--tls-ca-cert-file", &root]);
    options.extend(more);
    (Server::start(&options), port)
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_server_is_believed_by_the_root_that_is_named_and_by_no_other() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    certificates(other.path());
    let (_server, port) = server(folder.path(), &[]);
    let ca = |folder: &Path| folder.join("ca.pem").display().to_string();

    for host in ["127.0.0.1", "localhost"] {
        let store = open(&format!("rediss://{host}:{port}?ca={}", ca(folder.path())));
        save(&store, &key(host), "A").await;
        assert_eq!(id_in(&store, &key(host)).await.as_deref(), Some("A"));
        told(&store, &key(host)).await;
    }
    for address in [
        format!("rediss://127.0.0.1:{port}?ca={}", ca(other.path())),
        format!("rediss://127.0.0.1:{port}"),
    ] {
        let error = open(&address).load(&key("a")).await.unwrap_err();
        let (message, hint) = (&error.message, error.hint.as_ref().unwrap());
        let has_no_roots = message.contains("trusts no certificates");
        assert!(has_no_roots || message.contains("invalid peer certificate"), "{error}");
        assert!(hint.contains("?ca=PATH"), "{hint}");
    }
    for (address, why) in [
        (format!("redis://127.0.0.1:{port}"), "cannot use redis://127.0.0.1"),
        (format!("rediss://127.0.0.1:{port}?ca=/does/not/exist"), "/does/not/exist"),
        (
            format!("rediss://127.0.0.1:{port}?ca={}", folder.path().join("server.key").display()),
            "there are none",
        ),
    ] {
        let error = open(&address).load(&key("a")).await.unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test Redis"]
async fn a_cluster_is_believed_in_the_same_way() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    certificates(other.path());
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--tls-cluster", "yes"];
    let (server, port) = server(folder.path(), &cluster);
    server.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until("the node has agreed", || server.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    let at = |folder: &Path| {
        open(&format!("rediss+cluster://127.0.0.1:{port}?ca={}", folder.join("ca.pem").display()))
    };
    let store = at(folder.path());
    save(&store, &key("a"), "A").await;
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("A"));
    let error = at(other.path()).load(&key("a")).await.unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
}
