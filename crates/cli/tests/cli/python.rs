//! With programs from PyPI: the AWS CLI, boto3, and moto, a server that others wrote.
//!
//! They are in the virtual environment that `ROLEKEEPER_TEST_VENV` names; `cargo xtask test` makes
//! it from `tests/requirements.txt`.

mod aws_cache;
mod long_job;
mod moto;
mod shadowing;
mod write;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the Python programs of these tests are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/python");

/// A program of the virtual environment.
fn program(name: &str) -> String {
    let folder = env::var_os("ROLEKEEPER_TEST_VENV")
        .expect("ROLEKEEPER_TEST_VENV names a virtual environment; `cargo xtask test` makes one");
    let path = PathBuf::from(folder).join("bin").join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn script(name: &str) -> String {
    Path::new(SCRIPTS).join(name).to_str().expect("a path in UTF-8").to_owned()
}

/// Three sessions of 10 s, or as long as `ROLEKEEPER_LONG_JOB_SECONDS` says.
fn job_length() -> Duration {
    let told = env::var("ROLEKEEPER_LONG_JOB_SECONDS").ok().map(|text| text.parse().unwrap());
    Duration::from_secs(told.unwrap_or(30))
}
