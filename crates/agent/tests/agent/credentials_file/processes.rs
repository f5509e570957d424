//! Several processes at one file, and processes that are killed in the middle.
//!
//! The writers are this test program itself, told by a variable to be one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::Duration,
};

use rolekeeper_agent::credentials_file::Keeper;

use super::{name, number, session};

const TOLD: &str = "ROLEKEEPER_TEST_WRITER";

const OTHERS: &str = "# a comment\n[other]\naws_access_key_id = AKIAOTHER\nregion = x\n\n";

/// FILE:SECTION:FIRST:LAST
#[test]
#[ignore = "a helper of the tests below, which run it as a process"]
fn writer() {
    let Ok(told) = env::var(TOLD) else { return };
    let [file, section, first, last] = told.split(':').collect::<Vec<_>>()[..] else { panic!() };
    let file = Path::new(file);
    let keeper = Keeper::open(file, name(section)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in first.parse().unwrap()..=last.parse().unwrap() {
        runtime.block_on(keeper.write(session(round))).unwrap();
        assert_eq!(number(file, section), Some(round), "somebody has undone it");
    }
}

struct Writer(Child);

impl Writer {
    fn start(file: &Path, section: &str, first: u64, last: u64) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "credentials_file::processes::writer", "--ignored", "-q"]);
        command.env(TOLD, format!("{}:{section}:{first}:{last}", file.display()));
        command.stdout(std::process::Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    let file = folder.path().join("credentials");
    fs::write(&file, OTHERS).unwrap();
    file
}

#[test]
fn writers_of_different_sections_lose_nothing_and_readers_see_whole_files() {
    const ROUNDS: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let sections = ["one", "two", "three"];
    let mut writers = sections.map(|section| Writer::start(&file, section, 1, ROUNDS));
    let mut seen = [0; 3];
    while !writers.each_mut().map(Writer::has_ended).into_iter().all(|ended| ended) {
        assert!(fs::read_to_string(&file).unwrap().starts_with(OTHERS));
        for (section, seen) in sections.iter().zip(&mut seen) {
            let number = number(&file, section).unwrap_or_default();
            assert!(number >= *seen, "section {section} went from {seen} back to {number}");
            *seen = number;
        }
    }
    for writer in &mut writers {
        assert!(writer.0.wait().unwrap().success());
    }
    assert_eq!(sections.map(|section| number(&file, section)), [Some(ROUNDS); 3]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let mut first = 1;
    for round in 0..25 {
        let writer = Writer::start(&file, "etl", first, u64::MAX);
        while number(&file, "etl").is_none_or(|number| number < first) {
            thread::yield_now();
        }
        // Anywhere in the middle of a write, which takes about a millisecond.
        thread::sleep(Duration::from_micros(round * 137 % 2000));
        drop(writer);
        let number = number(&file, "etl").unwrap();
        assert!(number >= first);
        assert!(fs::read_to_string(&file).unwrap().starts_with(OTHERS));
        first = number + 1;
    }
    // Locks and what was half written are the next one's, and go with it.
    let mut last = Writer::start(&file, "etl", first, first);
    assert!(last.0.wait().unwrap().success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
