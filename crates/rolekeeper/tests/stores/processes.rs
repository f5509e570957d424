//! Many processes on one store, some of which are killed.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rolekeeper::stores::{FileStore, SessionStore};
use rolekeeper_core::Lease;
use tokio::time::sleep;

use crate::file::{hour, key, save, secret};

const FOLDER: &str = "TEST_STORE";
const LIMIT: Duration = Duration::from_secs(3);

/// What is in here runs in the processes that the tests start.
#[test]
#[ignore = "the other tests run it"]
fn a_process() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = FileStore::open(Path::new(&folder).join("store"), &secret(1)).unwrap();
    match env::var("TEST_TASK").unwrap().as_str() {
        "contend" => runtime.block_on(contend(&store, Path::new(&folder))),
        "hold" => runtime.block_on(hold(&store)),
        "save" => runtime.block_on(save_for_ever(&store)),
        other => panic!("{other}"),
    }
}

/// Gets the lease three times, and tells when it had it.
async fn contend(store: &FileStore, folder: &Path) {
    let mut log =
        fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    for _ in 0..3 {
        let fence = loop {
            match store.lease(&key("a"), LIMIT).await.unwrap() {
                Lease::Granted(fence) => break fence,
                _ => sleep(Duration::from_millis(1)).await,
            }
        };
        writeln!(log, "begin {}", fence.0).unwrap();
        tokio::task::yield_now().await;
        writeln!(log, "end {}", fence.0).unwrap();
        assert!(store.save(&key("a"), fence, &hour("A")).await.unwrap());
    }
}

/// Has the lease until it is killed.
async fn hold(store: &FileStore) {
    assert!(matches!(store.lease(&key("a"), LIMIT).await.unwrap(), Lease::Granted(_)));
    println!("\nheld");
    std::future::pending::<()>().await;
}

async fn save_for_ever(store: &FileStore) {
    println!("\nsaves");
    for number in 0_u64.. {
        if let Lease::Granted(fence) = store.lease(&key("a"), LIMIT).await.unwrap() {
            store.save(&key("a"), fence, &hour(&format!("A{number}"))).await.unwrap();
        }
    }
}

fn start(folder: &Path, task: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["processes::a_process", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env("TEST_TASK", task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what it says up to this line.
fn until(child: &mut Child, line: &str) {
    let said = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(said.lines().any(|found| found.unwrap() == line), "it has ended");
}

#[test]
fn of_many_processes_one_at_a_time_has_the_lease_and_nobody_waits_for_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    let mut dead = start(folder.path(), "hold");
    until(&mut dead, "held");
    let many: Vec<_> = (0..20).map(|_| start(folder.path(), "contend")).collect();
    // SIGKILL, with the lease in its hand.
    dead.kill().unwrap();
    dead.wait().unwrap();
    for mut process in many {
        assert!(process.wait().unwrap().success());
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 20 * 3 * 2);
    let mut last = 0;
    for pair in lines.chunks(2) {
        let fence = pair[0].strip_prefix("begin ").unwrap();
        assert_eq!(pair[1], format!("end {fence}"), "two had it at once");
        let fence: u64 = fence.parse().unwrap();
        assert!(fence > last, "a fence that doesn't rise");
        last = fence;
    }
}

#[tokio::test]
async fn whoever_is_killed_in_the_middle_of_a_save_leaves_a_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let mut process = start(folder.path(), "save");
        until(&mut process, "saves");
        let store = FileStore::open(folder.path().join("store"), &secret(1)).unwrap();
        // In the middle of anything: saves follow each other without a pause.
        while store.load(&key("a")).await.unwrap().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(store.load(&key("a")).await.unwrap().is_some());
        let has = |kind: &str| {
            let mut files = fs::read_dir(store.folder()).unwrap();
            files.any(|file| file.unwrap().path().extension().is_some_and(|found| found == kind))
        };
        assert!(!has("aside"), "something was no record");
        // What the killed one left behind goes with the next save.
        save(&store, &key("a"), &hour("A")).await;
        assert!(!has("new"));
        fs::remove_dir_all(store.folder()).unwrap();
    }
}
