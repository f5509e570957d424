//! Whose certificates a Redis is believed by.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::address::Roots;
use crate::stores::StoreError;

/// By the system's roots, and those of the address. They are read anew with each connection, so that
/// a root that was replaced is known.
pub(super) fn config(roots: &Roots) -> Result<Arc<ClientConfig>, StoreError> {
    let mut store = RootCertStore::empty();
    for root in all(roots)? {
        // Of the system's, some may be of a kind that is not known here: the others still count.
        let _ = store.add(root);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::new(format!("no TLS: {error}")))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// All that is trusted, as one PEM file's text, for a client that reads no other.
pub(super) fn as_pem(roots: &Roots) -> Result<Vec<u8>, StoreError> {
    use base64ct::{Base64, Encoding};
    let mut text = String::new();
    for root in all(roots)? {
        let line = Base64::encode_string(&root);
        text += "-----BEGIN CERTIFICATE-----\n";
        text += &line;
        text += "\n-----END CERTIFICATE-----\n";
    }
    Ok(text.into_bytes())
}

fn all(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let mut all = match &roots.extra {
        Some(path) => in_file(path)?,
        None => Vec::new(),
    };
    let system = rustls_native_certs::load_native_certs();
    all.extend(system.certs);
    match (all.is_empty(), system.errors.first()) {
        (false, _) => Ok(all),
        (true, why) => {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            Err(StoreError::new(format!("this system trusts no certificates{why}"))
                .with_hint("install its root certificates, or name a file: rediss://HOST?ca=PATH"))
        }
    }
}

fn in_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let wrong = |why: String| {
        StoreError::new(format!("cannot use the certificates in {}: {why}", path.display()))
            .with_hint("`ca` names a PEM file with the certificate that signed the server's")
    };
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(wrong("there are none".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(wrong(error.to_string())),
    }
}
