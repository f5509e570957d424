//! What reads bytes of others, fed with any bytes: a module for each target, whose `run` panics at
//! what must not be. `cargo xtask fuzz` makes the bytes; a test replays those that are kept in
//! `seeds/`.

#![cfg(unix)]

pub mod agent_answers;
pub mod configuration;
pub mod credentials_file;
pub mod outputs;
pub mod parameters;
pub mod profiles;
pub mod records;
pub mod requests;
pub mod sandbox;
pub mod sts_answers;

/// A target's name, which is that of its binary and of its folder of seeds, and what it does with an
/// input.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const TARGETS: &[Target] = &[
    ("agent_answers", agent_answers::run),
    ("configuration", configuration::run),
    ("credentials_file", credentials_file::run),
    ("outputs", outputs::run),
    ("parameters", parameters::run),
    ("profiles", profiles::run),
    ("records", records::run),
    ("requests", requests::run),
    ("sandbox", sandbox::run),
    ("sts_answers", sts_answers::run),
];

/// As much of it as is UTF-8.
fn text(input: &[u8]) -> &str {
    match str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}
