//! What hardening does to a process, seen in a process of its own.

use std::{env, fs, process::Command};

use rolekeeper_agent::hardening;

const CHILD: &str = "ROLEKEEPER_TEST_HARDENED";

#[test]
fn a_hardened_process_has_no_core_no_debugger_and_says_what_it_could_not_have() {
    let this = env::current_exe().unwrap();
    let run = Command::new(this)
        .args(["--exact", "hardened::the_child", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "hardens its process: run by the test above in one of its own"]
fn the_child() {
    assert!(env::var_os(CHILD).is_some(), "not by hand");
    let hardened = hardening::harden(true);
    hardened.not_dumpable.as_ref().unwrap();
    hardened.no_core.as_ref().unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let has_locked = !locked.trim().starts_with("0 ");
    assert_eq!(hardened.memory_locked.as_ref().unwrap().is_ok(), has_locked, "{locked}");
    assert_eq!(hardened.warnings().is_empty(), has_locked);
    // What is allocated later works all the same.
    assert_eq!(
        vec![1_u8; 64 * 1024 * 1024].iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        64 << 20
    );
}
