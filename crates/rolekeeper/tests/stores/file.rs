//! The file store: what comes back, what is put aside, and who may fetch.

use std::{fs, path::PathBuf, time::Duration};

use rolekeeper::{
    Clock, Credentials, Failure, Issued, WallTime,
    clock::Simulated,
    stores::{FileStore, Sealer, SessionStore, StoreKey, StoreSecret},
};
use rolekeeper_core::{Fence, Lease};

const LIMIT: Duration = Duration::from_secs(3);
const SECRET: &str = "wJalrSECRET";

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::of("test").with("name", name).build()
}

pub(crate) fn secret(byte: u8) -> StoreSecret {
    StoreSecret::from_bytes([byte; 32])
}

/// Of an hour from now.
pub(crate) fn hour(id: &str) -> Issued {
    let now = Clock::System.now().wall;
    Issued::new(Credentials::new(id, SECRET, SECRET), now.after(Duration::from_secs(3600)))
        .with_issued_at(now)
        .with_account_id("123456789012")
        .with_assumed_role_arn("arn:aws:sts::123456789012:assumed-role/etl/job")
}

#[track_caller]
fn granted(lease: Lease) -> Fence {
    match lease {
        Lease::Granted(fence) => fence,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn save(store: &FileStore, key: &StoreKey, issued: &Issued) -> Fence {
    let fence = granted(store.lease(key, LIMIT).await.unwrap());
    assert!(store.save(key, fence, issued).await.unwrap());
    fence
}

async fn id_in(store: &FileStore, key: &StoreKey) -> Option<String> {
    let stored = store.load(key).await.unwrap();
    stored.map(|stored| stored.issued.credentials.access_key_id)
}

/// A store in a folder of its own, by a clock of its own.
struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    clock: Simulated,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        Self { _folder: folder, path, clock: Simulated::new() }
    }

    fn store(&self) -> FileStore {
        self.store_with(Sealer::new(&secret(1)))
    }

    fn store_with(&self, sealer: Sealer) -> FileStore {
        FileStore::with(&self.path, sealer, Clock::Simulated(self.clock.clone())).unwrap()
    }

    /// Its files of this kind.
    fn files(&self, kind: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|found| found == kind)).collect()
    }

    fn record(&self) -> PathBuf {
        let files = self.files("session");
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_comes_back_whole_and_with_its_age() {
    let world = World::new();
    let issued = hour("A");
    save(&world.store(), &key("a"), &issued).await;
    world.clock.sleep(Duration::from_secs(90));
    let stored = world.store().load(&key("a")).await.unwrap().unwrap();
    assert_eq!(stored.issued, issued);
    assert_eq!(stored.age, Duration::from_secs(90));
    assert!(world.store().load(&key("b")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn no_file_tells_a_secret_and_none_is_for_others() {
    let world = World::new();
    let store = world.store();
    save(&store, &key("a"), &hour("ASIAID")).await;
    let fence = granted(store.lease(&key("b"), LIMIT).await.unwrap());
    let failure = Failure::denied("not authorized").with_code("AccessDenied");
    store.cool(&key("b"), fence, &failure, LIMIT).await.unwrap();
    for entry in fs::read_dir(&world.path).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for told in [SECRET, "ASIAID", "123456789012", "AccessDenied"] {
            assert!(!text.contains(told), "{}", path.display());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(format!("{:?}", store.load(&key("a")).await).matches(SECRET).count(), 0);
}

/// What is done to a record, after which it must be taken for none.
type Harm = fn(&World, &PathBuf);

#[tokio::test(start_paused = true)]
async fn what_is_no_record_is_put_aside_and_replaced() {
    let harms: &[(&str, Harm)] = &[
        ("empty", |_, path| fs::write(path, "").unwrap()),
        ("text", |_, path| fs::write(path, "{\"a\": [[[[[[").unwrap()),
        ("of another version", |_, path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[15] = b'9';
            fs::write(path, bytes).unwrap();
        }),
        ("huge", |_, path| fs::write(path, vec![b'['; 1 << 20]).unwrap()),
        ("cut short", |_, path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("changed", |_, path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("a folder", |_, path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        #[cfg(unix)]
        ("a link", |world, path| {
            let elsewhere = world.path.join("elsewhere");
            fs::rename(path, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, path).unwrap();
        }),
        #[cfg(unix)]
        ("a pipe that nobody writes to", |_, path| {
            fs::remove_file(path).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let world = World::new();
        let store = world.store();
        save(&store, &key("a"), &hour("A")).await;
        harm(&world, &world.record());
        assert_eq!(id_in(&store, &key("a")).await, None, "{what}");
        assert_eq!(world.files("session").len(), 0, "{what}");
        assert_eq!(world.files("aside").len(), 1, "{what}");
        save(&store, &key("a"), &hour("B")).await;
        assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("B"), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_moved_to_another_place_or_put_back_is_not_taken() {
    let world = World::new();
    let store = world.store();
    save(&store, &key("a"), &hour("A")).await;
    let (place, old) = (world.record(), fs::read(world.record()).unwrap());
    save(&store, &key("a"), &hour("B")).await;
    fs::write(&place, &old).unwrap();
    assert_eq!(id_in(&store, &key("a")).await, None, "put back");

    save(&store, &key("a"), &hour("C")).await;
    let moved = fs::read(&place).unwrap();
    save(&store, &key("b"), &hour("D")).await;
    let other = world.files("session").into_iter().find(|path| *path != place).unwrap();
    fs::write(&other, moved).unwrap();
    assert_eq!(id_in(&store, &key("b")).await, None, "moved");
    assert_eq!(id_in(&store, &key("a")).await.as_deref(), Some("C"));
}

#[tokio::test(start_paused = true)]
async fn another_key_opens_nothing_until_both_are_in_use() {
    let world = World::new();
    save(&world.store(), &key("a"), &hour("A")).await;
    let both = Sealer::new(&secret(2)).also_opens_with(&secret(1));
    assert_eq!(id_in(&world.store_with(both), &key("a")).await.as_deref(), Some("A"));
    assert_eq!(id_in(&world.store_with(Sealer::new(&secret(2))), &key("a")).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_has_the_lease_until_it_saves_lets_go_or_cools() {
    let world = World::new();
    let (one, two) = (world.store(), world.store());
    let key = key("a");
    let mut last = Fence(0);
    for end in 0..3 {
        let fence = granted(one.lease(&key, LIMIT).await.unwrap());
        assert!(fence > last, "each is higher than the one before");
        last = fence;
        assert_eq!(two.lease(&key, LIMIT).await.unwrap(), Lease::Taken { left: None });
        assert_eq!(one.lease(&key, LIMIT).await.unwrap(), Lease::Taken { left: None });
        assert!(one.renew(&key, fence, LIMIT).await.unwrap());
        assert!(!two.renew(&key, fence, LIMIT).await.unwrap());
        match end {
            0 => assert!(one.save(&key, fence, &hour("A")).await.unwrap()),
            1 => one.release(&key, fence),
            _ => assert!(one.cool(&key, fence, &Failure::denied("no"), LIMIT).await.unwrap()),
        }
        // It is over: nothing more can be done under it.
        assert!(!one.save(&key, fence, &hour("late")).await.unwrap());
        assert!(!one.cool(&key, fence, &Failure::denied("late"), LIMIT).await.unwrap());
        assert!(!one.renew(&key, fence, LIMIT).await.unwrap());
        world.clock.sleep(LIMIT);
    }
    assert_eq!(id_in(&two, &key).await.as_deref(), Some("A"));
    // Whoever is gone has none.
    let fence = granted(one.lease(&key, LIMIT).await.unwrap());
    drop(one);
    assert!(granted(two.lease(&key, LIMIT).await.unwrap()) > fence);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_until_its_pause_is_over() {
    let world = World::new();
    let (one, two, key) = (world.store(), world.store(), key("a"));
    let failure = Failure::denied("not authorized").with_code("AccessDenied").with_hint("ask");
    let fence = granted(one.lease(&key, LIMIT).await.unwrap());
    one.cool(&key, fence, &failure, LIMIT).await.unwrap();
    world.clock.sleep(Duration::from_secs(1));
    let told = two.lease(&key, LIMIT).await.unwrap();
    assert_eq!(told, Lease::Cooling { failure, left: LIMIT - Duration::from_secs(1) });
    world.clock.sleep(LIMIT);
    granted(two.lease(&key, LIMIT).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lease_file_that_is_damaged_or_gone_is_begun_anew_and_fences_still_rise() {
    let world = World::new();
    let (store, key) = (world.store(), key("a"));
    let mut last = save(&store, &key, &hour("A")).await;
    for harm in ["", "x", &"y".repeat(100)] {
        world.clock.sleep(Duration::from_secs(1));
        fs::write(&world.files("lease")[0], harm).unwrap();
        let fence = granted(store.lease(&key, LIMIT).await.unwrap());
        store.release(&key, fence);
        assert!(harm.len() > 16 || fence > last, "{harm:?}");
        last = fence;
    }
    fs::remove_file(&world.files("lease")[0]).unwrap();
    save(&store, &key, &hour("B")).await;
    assert_eq!(id_in(&store, &key).await.as_deref(), Some("B"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_does_not_make_a_session_younger() {
    let world = World::new();
    let (store, key) = (world.store(), key("a"));
    save(&store, &key, &hour("A")).await;
    world.clock.sleep(Duration::from_secs(600));
    world.clock.step_wall(-300);
    // Within one run of the machine elapsed time tells; elsewhere nobody can.
    if fs::exists("/proc/sys/kernel/random/boot_id").unwrap() {
        let stored = store.load(&key).await.unwrap().unwrap();
        assert_eq!(stored.age, Duration::from_secs(600));
    }
    world.clock.step_wall(1200);
    let stored = store.load(&key).await.unwrap().unwrap();
    assert_eq!(stored.age, Duration::from_secs(1500), "the stricter clock decides");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_can_not_be_had_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileStore::open(&file, &secret(1)).unwrap_err();
    assert!(error.message.contains(file.to_str().unwrap()), "{error}");
    let error = FileStore::open(file.join("below"), &secret(1)).unwrap_err();
    assert!(error.message.contains("below"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = FileStore::open(folder.path(), &secret(1)).unwrap_err();
        assert!(error.message.contains("mode 777"), "{error}");
        assert!(error.hint.unwrap().starts_with("chmod 700 "));
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_written_is_an_error_with_what_to_do_and_the_lease_goes_back() {
    let world = World::new();
    let (store, key) = (world.store(), key("a"));
    let fence = granted(store.lease(&key, LIMIT).await.unwrap());
    fs::rename(&world.path, world.path.with_extension("away")).unwrap();
    let error = store.save(&key, fence, &hour("A")).await.unwrap_err();
    assert!(error.message.contains("cannot write"), "{error}");
    assert!(error.hint.is_some());
    let error = store.lease(&key, LIMIT).await.unwrap_err();
    assert!(error.message.contains("cannot lock"), "{error}");
    fs::rename(world.path.with_extension("away"), &world.path).unwrap();
    save(&store, &key, &hour("A")).await;
}

#[test]
fn it_is_found_where_the_user_has_his_caches() {
    let folder = rolekeeper::stores::default_folder().unwrap();
    assert!(folder.is_absolute() && folder.ends_with("rolekeeper"), "{}", folder.display());
    assert_eq!(WallTime::default().as_unix_secs(), 0);
}
