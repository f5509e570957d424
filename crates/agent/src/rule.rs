//! Who may read a role.

use std::path::PathBuf;

use crate::peer::{Depth, Peer};

/// Within a list any one is enough; of several lists, each must be met. An empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Users, by id.
    pub uids: Vec<u32>,
    /// Groups, by id.
    pub gids: Vec<u32>,
    /// Programs, by absolute path.
    pub executables: Vec<PathBuf>,
}

impl Rule {
    /// Asks nothing.
    pub fn anybody() -> Self {
        Self::default()
    }

    /// Only who runs this process.
    pub fn this_user() -> Self {
        Self { uids: vec![rustix::process::geteuid().as_raw()], ..Self::default() }
    }

    /// How much has to be known of a peer; `None` if nothing is asked.
    pub fn needs(&self) -> Option<Depth> {
        if !self.gids.is_empty() || !self.executables.is_empty() {
            return Some(Depth::Process);
        }
        (!self.uids.is_empty()).then_some(Depth::Uid)
    }

    /// Whether this peer may read.
    pub fn admits(&self, peer: &Peer) -> bool {
        let has = |uid: u32| self.uids.contains(&uid);
        self.uids.is_empty() || peer.uid.is_some_and(has)
    }
}
