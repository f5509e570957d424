//! What operators ask: `/healthz`, `/readyz`, `/metrics`.

use hyper::{Request, body::Incoming};

use crate::{
    connections::{Connection, Face, World},
    refusal::Refusal,
    reply::Answer,
};

pub(crate) struct Operator;

impl Face for Operator {
    async fn answer(&self, world: &World, connection: &Connection, _: Request<Incoming>) -> Answer {
        world.refuse(Refusal::Path, connection)
    }
}
