//! Each input that is kept is looked at once more, as the fuzzers look at it: where they begin, what
//! they have found to be of interest, and what once was a finding.

#![cfg(unix)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use rolekeeper_fuzz::{TARGETS, Target};

/// Also those of other threads, which a target does not see.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
}

fn seeds(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(target)).expect("a folder for each target");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
}

fn replay((name, run): &Target) -> usize {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} begins with nothing");
    for path in &seeds {
        let input = fs::read(path).expect("a file");
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&input)));
        let panics = PANICS.load(Ordering::SeqCst);
        assert!(outcome.is_ok() && panics == 0, "{name}: {}", path.display());
    }
    seeds.len()
}

#[test]
fn no_input_that_is_kept_is_a_finding() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(panic);
    }));
    for target in TARGETS {
        replay(target);
    }
}

#[test]
fn every_folder_of_seeds_is_of_a_target() {
    for entry in fs::read_dir(folder("")).expect("a folder") {
        let name = entry.expect("a folder").file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == **target), "{name:?}");
    }
}
