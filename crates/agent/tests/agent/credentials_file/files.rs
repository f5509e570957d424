//! Real files: what they are, who may write them, and what happens when they can't be written.

use std::{
    cell::RefCell,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rolekeeper::{
    Credentials, Failure, Issued, RefreshableCredentials, WallTime, sources::Callback,
};
use rolekeeper_agent::credentials_file::{Error, Keeper, Told, Unclear};
use tempfile::TempDir;

use super::{name, number, read, session};

const OTHERS: &[u8] = b"# \xff not UTF-8\r\n[a]\r\nregion = x\r\n";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn write(file: &Path, section: &str, number: u64) -> Result<(), Error> {
    Keeper::open(file, name(section))?.write(session(number)).await
}

/// Names in the folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether permissions mean anything to us.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn a_new_file_and_its_folder_are_its_owners_alone() {
    let home = folder();
    let file = home.path().join(".aws/credentials");
    write(&file, "etl", 1).await.unwrap();
    assert_eq!(number(&file, "etl"), Some(1));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(names(file.parent().unwrap()), ["credentials"], "nothing else is left behind");
}

#[tokio::test]
async fn an_old_file_keeps_its_mode_and_bytes_that_are_no_utf_8() {
    let home = folder();
    let file = home.path().join("credentials");
    fs::write(&file, OTHERS).unwrap();
    for given in [0o644, 0o600, 0o640] {
        set_mode(&file, given);
        write(&file, "etl", u64::from(given)).await.unwrap();
        assert_eq!(mode(&file), given);
        assert_eq!(number(&file, "etl"), Some(given.into()));
        assert!(fs::read(&file).unwrap().starts_with(OTHERS));
    }
}

#[tokio::test]
async fn an_old_file_keeps_its_owner() {
    if !is_root() {
        return;
    }
    let home = folder();
    let file = home.path().join("credentials");
    fs::write(&file, OTHERS).unwrap();
    chown(&file, Some(12_345), Some(23_456)).unwrap();
    set_mode(&file, 0o640);
    write(&file, "etl", 1).await.unwrap();
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.uid(), found.gid(), mode(&file)), (12_345, 23_456, 0o640));
}

#[tokio::test]
async fn a_link_stays_and_its_target_is_replaced() {
    let home = folder();
    let real = home.path().join("dotfiles");
    fs::create_dir(&real).unwrap();
    let (file, target) = (home.path().join("credentials"), real.join("aws"));
    fs::write(&target, OTHERS).unwrap();
    symlink("middle", &file).unwrap();
    symlink("dotfiles/aws", home.path().join("middle")).unwrap();
    write(&file, "etl", 1).await.unwrap();
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
    assert!(!fs::symlink_metadata(&target).unwrap().is_symlink());
    assert_eq!(number(&target, "etl"), Some(1));

    // One that leads to nothing yet, and one that leads nowhere.
    fs::remove_file(&target).unwrap();
    write(&file, "etl", 2).await.unwrap();
    assert_eq!(number(&target, "etl"), Some(2));
    let circle = home.path().join("circle");
    symlink("circle", &circle).unwrap();
    assert!(matches!(write(&circle, "etl", 1).await, Err(Error::File { .. })));
}

#[tokio::test]
async fn a_second_keeper_of_a_section_is_refused_with_the_firsts_process() {
    let home = folder();
    let file = home.path().join("credentials");
    let first = Keeper::open(&file, name("etl")).unwrap();
    let link = home.path().join("link");
    symlink("credentials", &link).unwrap();
    for same in [&file, &link] {
        let refused = Keeper::open(same, name("etl")).err().unwrap();
        let pid = std::process::id();
        assert!(matches!(refused, Error::Kept { pid: Some(found), .. } if found == pid));
        assert!(refused.to_string().ends_with(&format!("is kept by process {pid}")), "{refused}");
    }
    // Another section, even one that another file system would take for the same.
    for other in ["etl2", "ETL", "a/b", ".."] {
        write(&file, other, 3).await.unwrap();
    }
    first.write(session(4)).await.unwrap();
    assert_eq!((number(&file, "etl"), number(&file, "ETL")), (Some(4), Some(3)));
    drop(first);
    write(&file, "etl", 5).await.unwrap();
    assert_eq!(names(home.path()), ["credentials", "link"]);
}

#[tokio::test]
async fn others_edits_between_two_writes_are_kept() {
    let home = folder();
    let file = home.path().join("credentials");
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    keeper.write(session(1)).await.unwrap();
    let edited = [OTHERS, &fs::read(&file).unwrap(), b"region = y\n[b]\n"].concat();
    fs::write(&file, &edited).unwrap();
    keeper.write(session(2)).await.unwrap();
    assert_eq!(number(&file, "etl"), Some(2));
    let now = fs::read(&file).unwrap();
    assert!(now.starts_with(OTHERS) && now.ends_with(b"region = y\n[b]\n"));
}

#[tokio::test]
async fn what_is_there_already_is_not_written_again() {
    let home = folder();
    let file = home.path().join("credentials");
    let session = session(1);
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    keeper.write(Arc::clone(&session)).await.unwrap();
    let number_of_file = fs::metadata(&file).unwrap().ino();
    keeper.write(Arc::clone(&session)).await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().ino(), number_of_file);
    // Somebody has put an older one in its place.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("ASIA1", "ASIA0")).unwrap();
    keeper.write(session).await.unwrap();
    assert_eq!(number(&file, "etl"), Some(1));
}

#[tokio::test]
async fn removal_takes_the_section_out_and_is_the_last_word() {
    let home = folder();
    let file = home.path().join("credentials");
    fs::write(&file, OTHERS).unwrap();
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    keeper.write(session(1)).await.unwrap();
    keeper.remove().await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), OTHERS);
    keeper.write(session(2)).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), OTHERS);
}

/// What is told, and that the file is as it was.
#[track_caller]
fn assert_refused(error: &Error, file: &Path, words: &str) {
    let told = error.to_string();
    assert!(told.contains(words) && told.contains(&*file.to_string_lossy()), "{told}");
    assert!(!error.hint().is_empty());
}

#[tokio::test]
async fn something_else_in_its_place_is_refused() {
    let home = folder();
    let file = home.path().join("credentials");
    fs::create_dir(&file).unwrap();
    let error = write(&file, "etl", 1).await.unwrap_err();
    assert_refused(&error, &file, "it is not a file");

    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = write(&pipe, "etl", 1).await.unwrap_err();
    assert_refused(&error, &pipe, "it is not a file");

    let below = home.path().join("file/credentials");
    fs::write(home.path().join("file"), "").unwrap();
    assert!(matches!(write(&below, "etl", 1).await, Err(Error::File { .. })));
    assert!(matches!(write(Path::new("/"), "etl", 1).await, Err(Error::File { .. })));
    assert!(matches!(write(Path::new(""), "etl", 1).await, Err(Error::File { .. })));
}

#[tokio::test]
async fn a_read_only_file_stays_as_it_is() {
    let home = folder();
    let file = home.path().join("credentials");
    fs::write(&file, OTHERS).unwrap();
    set_mode(&file, 0o400);
    let error = write(&file, "etl", 1).await.unwrap_err();
    assert_refused(&error, &file, "read-only");
    assert_eq!(fs::read(&file).unwrap(), OTHERS);
    assert_eq!(names(home.path()), ["credentials"]);
}

#[tokio::test]
async fn a_file_that_is_unclear_is_refused_before_anything_is_asked_for() {
    let home = folder();
    let file = home.path().join("credentials");
    for (text, expected) in [
        ("[etl]\n[etl]\n", Unclear::Twice { first: 1, second: 2 }),
        ("[etl]\naws_access_key_id = AKIA\n", Unclear::LongTermKey { line: 2 }),
        ("[etl\n", Unclear::Header { line: 1 }),
    ] {
        fs::write(&file, text).unwrap();
        let error = Keeper::open(&file, name("etl")).err().unwrap();
        assert_refused(&error, &file, &expected.to_string());
        assert!(matches!(error, Error::Unclear { why, .. } if why == expected));
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

/// Each fetch gives the next session.
fn credentials() -> RefreshableCredentials {
    let next = Arc::new(AtomicU64::new(1));
    let source = Callback::new("counting", move || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let credentials = Credentials::new(
            format!("ASIA{number}"),
            format!("secret/{number}"),
            format!("token={number}"),
        );
        async move {
            Ok::<_, Failure>(Issued::new(credentials, WallTime::from_unix_secs(4_000_000_000)))
        }
    });
    RefreshableCredentials::builder(source).build()
}

/// What was told so far, one word each.
#[derive(Default)]
struct Heard(RefCell<Vec<String>>);

impl Heard {
    fn hear(&self, told: &Told<'_>) {
        let word = match told {
            Told::Failed(error) => error.to_string(),
            Told::Recovered => "recovered".to_owned(),
        };
        self.0.borrow_mut().push(word);
    }
}

/// Keeps the section until `done` is.
async fn kept<T>(
    keeper: &Keeper,
    credentials: &RefreshableCredentials,
    heard: &Heard,
    done: impl Future<Output = T>,
) -> T {
    tokio::select! {
        done = done => done,
        never = keeper.keep(credentials, |told| heard.hear(&told)) => match never {},
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

fn has(file: &Path, number: u64) -> impl FnMut() -> bool {
    let (file, value) = (PathBuf::from(file), format!("ASIA{number}"));
    move || file.exists() && read(&file, "etl").iter().any(|(_, found)| *found == value)
}

#[tokio::test]
async fn each_new_session_is_written_as_it_comes() {
    let home = folder();
    let file = home.path().join("credentials");
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    let (credentials, heard) = (credentials(), Heard::default());
    kept(&keeper, &credentials, &heard, async {
        for number in 1..=5 {
            credentials.refresh_now().await.unwrap();
            let newest = credentials.current().unwrap().generation();
            assert!(newest >= number);
            until(has(&file, newest)).await;
        }
    })
    .await;
    assert_eq!(*heard.0.borrow(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_written_is_told_once_and_tried_until_it_can() {
    let home = folder();
    let file = home.path().join("credentials");
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    fs::create_dir(&file).unwrap();
    let (credentials, heard) = (credentials(), Heard::default());
    credentials.get().await.unwrap();
    kept(&keeper, &credentials, &heard, async {
        until(|| !heard.0.borrow().is_empty()).await;
        for _ in 0..3 {
            credentials.refresh_now().await.unwrap();
            tokio::task::yield_now().await;
        }
        fs::remove_dir(&file).unwrap();
        until(has(&file, credentials.current().unwrap().generation())).await;
    })
    .await;
    let heard = heard.0.into_inner();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].contains("it is not a file"), "{heard:?}");
    assert_eq!(heard[1], "recovered");
}

#[tokio::test(start_paused = true)]
async fn a_section_that_somebody_took_away_comes_back() {
    let home = folder();
    let file = home.path().join("credentials");
    let keeper = Keeper::open(&file, name("etl")).unwrap();
    let (credentials, heard) = (credentials(), Heard::default());
    credentials.get().await.unwrap();
    kept(&keeper, &credentials, &heard, async {
        until(has(&file, 1)).await;
        fs::write(&file, OTHERS).unwrap();
        until(has(&file, 1)).await;
    })
    .await;
    assert!(fs::read(&file).unwrap().starts_with(OTHERS));
}
