//! Everything that is counted, for Prometheus.

mod exposition;
mod fetches;

use std::sync::{Arc, atomic::Ordering};

use exposition::{Exposition, Kind};
pub use fetches::{FetchTimes, Fetches, Measured};
use rolekeeper::{FailureKind, Status};

use crate::{
    connections::World,
    refusal::Refusal,
    role::{Counters, Role},
};

/// What there is to tell, at one moment.
pub(crate) struct Metrics {
    roles: Vec<Role>,
    connections: usize,
    refusals: [(Refusal, u64); Refusal::ALL.len()],
}

/// A role with its state, looked at once for all families.
struct Seen<'a> {
    role: &'a Role,
    name: &'a str,
    status: Status,
}

impl Metrics {
    pub(crate) fn of(world: &World) -> Self {
        Self {
            roles: world.roles.all(),
            connections: world.connections(),
            refusals: Refusal::ALL.map(|refusal| (refusal, world.refusals.of(refusal))),
        }
    }

    /// In the text format, 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut out = Exposition::with_room_for(self.roles.len());
        self.process(&mut out);
        let seen: Vec<Seen> = self.roles.iter().map(Seen::of).collect();
        sessions(&mut out, &seen);
        readers(&mut out, &seen);
        fetches(&mut out, &seen);
        self.fetch_times(&mut out);
        out.finish()
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵³")]
    fn process(&self, out: &mut Exposition) {
        out.family("rolekeeper_build_info", Kind::Gauge, "1; the version is in its label.");
        out.line(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        out.family("rolekeeper_roles", Kind::Gauge, "Roles that are served.");
        out.line(&[], self.roles.len() as f64);
        out.family("rolekeeper_connections", Kind::Gauge, "Connections that are open.");
        out.line(&[], self.connections as f64);
        out.family("rolekeeper_refusals_total", Kind::Counter, "Requests refused, by reason.");
        for (refusal, count) in self.refusals {
            out.count(&[("reason", refusal.name())], count);
        }
    }

    /// Roles of one planner share one count; roles made by hand have none.
    fn fetch_times(&self, out: &mut Exposition) {
        let help = "How long fetches took, of all roles together.";
        out.family("rolekeeper_fetch_seconds", Kind::Histogram, help);
        let times = self.roles.iter().find_map(|role| Some(Arc::clone(role.fetches()?.times())));
        times.unwrap_or_default().write(out);
    }
}

impl<'a> Seen<'a> {
    fn of(role: &'a Role) -> Self {
        Self { role, name: role.name().as_str(), status: role.credentials().status() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a double is what Prometheus reads")]
fn sessions(out: &mut Exposition, seen: &[Seen]) {
    let mut family = |name, help, value: fn(&Status) -> Option<f64>| {
        out.family(name, Kind::Gauge, help);
        for Seen { name, status, .. } in seen {
            if let Some(value) = value(status) {
                out.line(&[("role", name)], value);
            }
        }
    };
    family(
        "rolekeeper_session_remaining_seconds",
        "What the session still has; 0 if none is valid, absent while nobody wants one.",
        |status| (!is_idle(status)).then_some(status.remaining.as_secs_f64()),
    );
    family(
        "rolekeeper_session_expiration_timestamp_seconds",
        "When the session ends; absent without one.",
        |status| status.expiration.map(|end| end.as_unix_nanos() as f64 / 1e9),
    );
    family("rolekeeper_session_generation", "How many sessions there have been.", |status| {
        Some(status.generation as f64)
    });
    family(
        "rolekeeper_next_refresh_seconds",
        "How long until the session is refreshed; 0 if that is under way, absent without one.",
        |status| status.next_refresh.map(|wait| wait.as_secs_f64()),
    );
}

/// Nothing is held, and no fetch has failed: nobody has read it for long, and so it was let go.
pub(crate) fn is_idle(status: &Status) -> bool {
    status.counters.fetched > 0 && status.expiration.is_none() && status.last_error.is_none()
}

fn readers(out: &mut Exposition, seen: &[Seen]) {
    let mut family = |name, help, of: fn(&Counters) -> u64| {
        out.family(name, Kind::Counter, help);
        for Seen { role, name, .. } in seen {
            out.count(&[("role", name)], of(role.counters()));
        }
    };
    family("rolekeeper_reads_total", "Sessions handed out.", |counters| {
        counters.reads.load(Ordering::Relaxed)
    });
    family(
        "rolekeeper_held_requests_total",
        "Requests that had to wait for a session.",
        |counters| counters.held.load(Ordering::Relaxed),
    );
    family("rolekeeper_requests_unavailable_total", "Requests that waited in vain.", |counters| {
        counters.unavailable.load(Ordering::Relaxed)
    });
}

/// Causes that have not happened yet are told as 0: else the first failure would be no increase.
fn fetches(out: &mut Exposition, seen: &[Seen]) {
    let help = "Fetches that came back; those that failed by who can mend it.";
    out.family("rolekeeper_fetches_total", Kind::Counter, help);
    for Seen { role, name, .. } in seen {
        let Some(fetches) = role.fetches() else { continue };
        out.count(&[("role", name), ("result", "ok"), ("cause", "")], fetches.ok());
        for kind in fetches::KINDS {
            let labels = [("role", *name), ("result", "failed"), ("cause", cause(kind))];
            out.count(&labels, fetches.failed(kind));
        }
    }
}

/// A label's value is easier to ask for without spaces.
fn cause(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Unavailable => "unavailable",
        FailureKind::Denied => "denied",
        FailureKind::NeedsPerson => "needs_person",
        FailureKind::Misconfigured => "misconfigured",
        FailureKind::BadAnswer => "bad_answer",
    }
}
