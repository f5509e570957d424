//! Any bytes as what a store holds. The first byte chooses how they are read.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rolekeeper::{
    fuzzing, private_file,
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
        let store =
            FileStore::open(folder.path().join("store"), &fuzzing::secret()).expect("a store");
        let file = |kind: &str| store.folder().join(format!("{}.{kind}", fuzzing::key()));
        let (session, lease) = (file("session"), file("lease"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("one");
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

fn private(path: &Path, bytes: &[u8]) {
    private_file::create(path, bytes).expect("a folder that can be written");
}

/// A choice, and what is read.
pub fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 8 {
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
        4 => address(bytes),
        5 => {
            fuzzing::aws_cache_entry(bytes);
        }
        6 => named(bytes),
        _ => fuzzing::redis_answer(Sealer::new(&fuzzing::secret()), &fuzzing::key(), bytes),
    }
}

/// An address of a Redis, and the same text as a file of keys.
fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let told = fuzzing::address(text).unwrap_or_else(|error| error);
    // `SECRET` may stand for a user or a password before the last `@`.
    if let Some((who, rest)) = text.rsplit_once('@')
        && let Some((_, who)) = who.split_once("://")
        && who.contains("SECRET")
        && !rest.contains("SECRET")
    {
        assert!(!told.contains("SECRET"), "{told}");
    }
    // A passphrase is made slow to try.
    if text.matches("passphrase").count() < 2
        && let Err(error) = Sealer::from_text(text)
    {
        assert!(!error.message.contains("SECRET"), "{error}");
    }
}

/// A file of this name in the store's folder is no session, whatever it is called.
fn named(bytes: &[u8]) {
    let World { store, session, .. } = world();
    let Ok(name) = str::from_utf8(bytes) else { return };
    let path = store.folder().join(name);
    // It leads elsewhere, is one that is there already, or is more than a name may be.
    if name.contains(['/', '\0']) || name.is_empty() || name.len() > 200 || path == *session {
        return;
    }
    if private_file::create(&path, b"no session").is_err() {
        return;
    }
    let listed = store.entries().expect("a folder that can be read");
    for entry in listed {
        assert!(entry.session.is_err(), "somebody without the key has made a session");
        assert!(name.eq_ignore_ascii_case(&format!("{}.session", entry.key)), "{name}");
    }
    let cleared = store.clear();
    assert!(cleared.is_ok(), "{cleared:?}");
    let _ = fs::remove_file(&path);
}
