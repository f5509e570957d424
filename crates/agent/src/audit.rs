//! Who read what: one line for each session that a connection reads, and for each refusal. Never a
//! secret.

use rolekeeper::Session;

use crate::{connections::Connection, refusal::Refusal, role::Role};

pub(crate) fn read(role: &Role, session: &Session, connection: &Connection) {
    let generation = session.generation();
    let remote = connection.remote().map(tracing::field::display);
    tracing::info!(target: "rolekeeper::audit", role = %role.name(), generation, remote, "read");
}

pub(crate) fn refused(refusal: Refusal, connection: &Connection) {
    let remote = connection.remote().map(tracing::field::display);
    tracing::info!(target: "rolekeeper::audit", reason = refusal.name(), remote, "refused");
}
