//! Where a store's key comes from.

use std::fs;

use rolekeeper::stores::{FileStore, SessionStore, StoreKey, StoreSecret};

use crate::file::{hour, key, save};

#[tokio::test]
async fn a_key_is_made_once_and_is_the_same_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/store.key");
    let records = folder.path().join("cache");
    let open = || FileStore::open(&records, &StoreSecret::from_file(&file).unwrap()).unwrap();
    save(&open(), &key("a"), &hour("A")).await;
    assert!(open().load(&key("a")).await.unwrap().is_some());
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.trim().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(&records), 0o700);
    }
}

#[test]
fn all_who_begin_at_once_have_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.key");
    let ids = std::thread::scope(|scope| {
        let one = || {
            StoreSecret::from_file(&file).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        let all: Vec<_> = (0..50).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_key_file_that_makes_no_sense_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.key");
    for text in ["", "short-secret", &"z".repeat(64), &"ü".repeat(32)] {
        fs::remove_file(&file).unwrap_or_default();
        rolekeeper::private_file::create(&file, text.as_bytes()).unwrap();
        let error = StoreSecret::from_file(&file).unwrap_err();
        let told = format!("{error} {:?}", error.hint);
        assert!(told.contains("store.key") && told.contains("64 hexadecimal digits"), "{told}");
        assert!(text.is_empty() || !told.contains(text), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.key");
    StoreSecret::from_file(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = StoreSecret::from_file(&file).unwrap_err();
    assert!(error.message.contains("mode 640") && error.message.contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_passphrase_is_the_same_key_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let open = |passphrase: &str| {
        let secret = StoreSecret::from_passphrase(passphrase).unwrap();
        FileStore::open(folder.path(), &secret).unwrap()
    };
    save(&open("correct horse battery staple"), &key("a"), &hour("A")).await;
    assert!(open("correct horse battery staple").load(&key("a")).await.unwrap().is_some());
    assert!(open("incorrect horse battery").load(&key("a")).await.unwrap().is_none());
    let error = StoreSecret::from_passphrase("too short").unwrap_err();
    assert!(error.message.contains("9 characters, fewer than 16"), "{error}");
    assert!(!error.message.contains("too short"), "{error}");
}

#[test]
fn no_secret_is_shown() {
    let secret = StoreSecret::from_bytes([7; 32]);
    assert_eq!(format!("{secret:?}"), "StoreSecret");
    assert!(!format!("{:?}", StoreKey::of("x")).contains('7'));
}
