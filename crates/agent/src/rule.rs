//! Who may read a role.

use std::{fs, path::PathBuf};

use crate::peer::{Depth, Peer};

/// Within a list any one is enough; of several lists, each must be met. An empty list asks nothing.
///
/// ```
/// use rolekeeper_agent::{Peer, Rule};
///
/// let rule = Rule { uids: vec![1000, 1001], ..Rule::default() };
/// assert!(rule.admits(&Peer { uid: Some(1000), ..Peer::default() }));
/// assert!(!rule.admits(&Peer { uid: Some(0), ..Peer::default() }));
/// assert!(!rule.admits(&Peer::default())); // who is not known is not admitted
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Users, by id.
    pub uids: Vec<u32>,
    /// Groups, by id: the effective or a supplementary one.
    pub gids: Vec<u32>,
    /// Programs, by absolute path; a symbolic link stands for what it leads to at that moment.
    pub executables: Vec<PathBuf>,
}

impl Rule {
    /// Asks nothing.
    pub fn anybody() -> Self {
        Self::default()
    }

    /// Only who runs this process. Nobody, where the system knows no user ids.
    pub fn this_user() -> Self {
        Self { uids: vec![this_uid()], ..Self::default() }
    }

    /// How much has to be known of a peer; `None` if nothing is asked.
    pub fn needs(&self) -> Option<Depth> {
        if !self.gids.is_empty() || !self.executables.is_empty() {
            return Some(Depth::Process);
        }
        (!self.uids.is_empty()).then_some(Depth::Uid)
    }

    /// This one, or another where this one asks nothing.
    pub(crate) fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.needs().is_some() { self } else { other }
    }

    /// Whether this peer may read.
    pub fn admits(&self, peer: &Peer) -> bool {
        let is_listed = |uid: u32| self.uids.contains(&uid);
        let uid = self.uids.is_empty() || peer.uid.is_some_and(is_listed);
        let gid = self.gids.is_empty() || peer.gids.iter().any(|gid| self.gids.contains(gid));
        uid && gid && (self.executables.is_empty() || self.admits_program(peer))
    }

    fn admits_program(&self, peer: &Peer) -> bool {
        let Some(program) = &peer.executable else { return false };
        self.executables.iter().any(|path| {
            path == program || fs::canonicalize(path).is_ok_and(|real| real == *program)
        })
    }
}

#[cfg(unix)]
pub(crate) fn this_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// An id that nobody has.
#[cfg(not(unix))]
pub(crate) fn this_uid() -> u32 {
    u32::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer() -> Peer {
        Peer {
            uid: Some(1000),
            gids: vec![1000, 27],
            pid: Some(1),
            executable: Some("/bin/does-not-exist".into()),
        }
    }

    #[test]
    fn each_list_that_asks_something_must_be_met() {
        let path = || vec![PathBuf::from("/bin/does-not-exist")];
        for (uids, gids, executables, admitted) in [
            (vec![], vec![], vec![], true),
            (vec![1, 1000], vec![], vec![], true),
            (vec![1], vec![], vec![], false),
            (vec![], vec![27], vec![], true),
            (vec![], vec![28], vec![], false),
            (vec![], vec![], path(), true),
            (vec![], vec![], vec!["/bin/other".into()], false),
            (vec![1000], vec![27], path(), true),
            (vec![1000], vec![28], path(), false),
            (vec![1], vec![27], path(), false),
        ] {
            let rule = Rule { uids, gids, executables };
            assert_eq!(rule.admits(&peer()), admitted, "{rule:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stands_for_the_program_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().canonicalize().unwrap().join("program");
        fs::write(&program, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let rule = Rule { executables: vec![link], ..Rule::default() };
        assert!(rule.admits(&Peer { executable: Some(program), ..Peer::default() }));
        assert!(!rule.admits(&peer()));
    }

    proptest! {
        /// One more demand never lets anybody in.
        #[test]
        fn a_rule_with_more_lists_admits_nobody_more(
            uids in prop::collection::vec(0_u32..4, 0..3),
            gids in prop::collection::vec(0_u32..4, 0..3),
            uid in prop::option::of(0_u32..4),
            groups in prop::collection::vec(0_u32..4, 0..3),
        ) {
            let peer = Peer { uid, gids: groups, ..Peer::default() };
            let both = Rule { uids: uids.clone(), gids: gids.clone(), ..Rule::default() };
            let one = Rule { uids, ..Rule::default() };
            let other = Rule { gids, ..Rule::default() };
            prop_assert_eq!(both.admits(&peer), one.admits(&peer) && other.admits(&peer));
        }

        /// Who is not known is only let in where nothing is asked.
        #[test]
        fn an_unknown_peer_is_admitted_only_by_a_rule_that_asks_nothing(
            uids in prop::collection::vec(any::<u32>(), 0..3),
            gids in prop::collection::vec(any::<u32>(), 0..3),
        ) {
            let rule = Rule { uids, gids, ..Rule::default() };
            prop_assert_eq!(rule.admits(&Peer::default()), rule.needs().is_none());
        }
    }
}
