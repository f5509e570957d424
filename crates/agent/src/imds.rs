//! IMDSv2 for one role.

use hyper::{Request, body::Incoming};

use crate::{
    config::RoleName,
    connections::{Connection, Face, World},
    refusal::Refusal,
    reply::Answer,
};

pub(crate) struct Imds {
    _role: RoleName,
    _v1: bool,
}

impl Imds {
    pub(crate) fn new(role: RoleName, v1: bool) -> Self {
        Self { _role: role, _v1: v1 }
    }
}

impl Face for Imds {
    async fn answer(&self, world: &World, connection: &Connection, _: Request<Incoming>) -> Answer {
        world.refuse(Refusal::Path, connection)
    }
}
