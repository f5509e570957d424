//! Any bytes as what a store holds. The first byte chooses how they are read.

#![no_main]

use std::{fs, path::PathBuf, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use rolekeeper::{
    fuzzing,
    stores::{FileStore, Sealer, SessionStore},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct World {
    store: FileStore,
    session: PathBuf,
    lease: PathBuf,
    runtime: Runtime,
    _folder: TempDir,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileStore::open(folder.path().join("store"), &fuzzing::secret()).expect("a store");
        let file = |kind: &str| store.folder().join(format!("{}.{kind}", fuzzing::key()));
        let (session, lease) = (file("session"), file("lease"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("one");
        World { store, session, lease, runtime, _folder: folder }
    })
}

/// Its files hold these bytes: nothing comes of them, and the next session takes their place.
fn in_files(bytes: &[u8]) {
    let World { store, session, lease, runtime, .. } = world();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for (path, bytes) in [(session, first), (lease, second)] {
        let _ = fs::remove_file(path);
        private(path, bytes);
    }
    let key = fuzzing::key();
    let found = runtime.block_on(store.load(&key)).expect("files that can be read");
    assert!(found.is_none(), "somebody without the key has made a session");
    assert!(!session.exists(), "it was not put aside");
    // A failure that cools is sealed too.
    let granted = runtime.block_on(store.lease(&key, std::time::Duration::from_secs(1)));
    match granted.expect("a file that can be written") {
        rolekeeper_core::Lease::Granted(fence) => store.release(&key, fence),
        other => panic!("{other:?}"),
    }
}

fn private(path: &PathBuf, bytes: &[u8]) {
    rolekeeper::private_file::create(path, bytes).expect("a folder that can be written");
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 5 {
        0 => in_files(bytes),
        1 => {
            let sealer = Sealer::new(&fuzzing::secret());
            assert!(!fuzzing::opened(&sealer, &fuzzing::key(), bytes));
        }
        2 => {
            fuzzing::record(bytes);
        }
        3 => {
            fuzzing::failure(bytes);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let told = fuzzing::address(text).unwrap_or_else(|error| error);
            // `SECRET` may stand for a user or a password before the last `@`.
            if let Some((who, _)) = text.rsplit_once('@')
                && let Some((_, who)) = who.split_once("://")
                && who.contains("SECRET")
                && !text.rsplit_once('@').is_some_and(|(_, rest)| rest.contains("SECRET"))
            {
                assert!(!told.contains("SECRET"), "{told}");
            }
            let _ = Sealer::from_text(text);
        }
    }
});
