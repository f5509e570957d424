//! Any text as `~/.aws/config` and `~/.aws/credentials`, of which the profile `p` is read.

use std::{fs, path::PathBuf, sync::OnceLock};

use rolekeeper::{
    Source,
    sources::{Profile, Surroundings},
};
use tokio::runtime::Runtime;

struct World {
    config: PathBuf,
    credentials: PathBuf,
    seen: Surroundings,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let (config, credentials) = (file("config"), file("credentials"));
        let path = |path: &PathBuf| path.to_str().expect("a path").to_owned();
        let seen = Surroundings::with_variables([
            ("AWS_CONFIG_FILE".to_owned(), path(&config)),
            ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), path(&credentials)),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
            ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
        ]);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        World { config, credentials, seen, runtime, _folder: folder }
    })
}

/// Both files, with a NUL between them.
pub fn run(input: &[u8]) {
    let World { config, credentials, seen, runtime, .. } = world();
    // What comes after the first NUL is the second file.
    let (first, second) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    fs::write(config, first).expect("a file");
    fs::write(credentials, second).expect("a file");
    match runtime.block_on(Profile::named("p").surroundings(seen.clone()).build()) {
        Ok(profile) => assert!(!profile.name().is_empty()),
        Err(failure) => {
            // One line for a person, and the file's name.
            assert!(!failure.message.contains('\n'), "{failure:?}");
            assert!(!failure.message.is_empty());
        }
    }
}
