//! A sandbox, a role in it, and config files that nobody else sees.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rolekeeper::{
    Failure, Issued, Secret, Source,
    sources::{AssumeRole, AssumeRoleBuilder, Base, Surroundings},
};
use rolekeeper_sandbox::{Config, Faults, Running, Sandbox};

pub(crate) const NO_VARIABLES: [(&str, &str); 0] = [];

/// The built-in world, and a role that a role assumed by a role may assume.
pub(crate) async fn sandbox() -> Running {
    Sandbox::builder().start().await.unwrap()
}

pub(crate) async fn sandbox_with(config: &str) -> Running {
    Sandbox::builder().config(Config::from_toml(config).unwrap()).start().await.unwrap()
}

pub(crate) fn user(sandbox: &Running) -> Base {
    let user = sandbox.user_credentials("demo").unwrap();
    Base::keys(&user.access_key_id, &Secret::new(user.secret_access_key), None)
}

/// A role of the sandbox, taken by its user, who sees no environment.
pub(crate) fn role(sandbox: &Running, name: &str) -> AssumeRoleBuilder {
    AssumeRole::builder(sandbox.role_arn(name))
        .endpoint_url(sandbox.endpoint_url())
        .region(sandbox.region())
        .base(user(sandbox))
        .surroundings(Surroundings::with_variables(NO_VARIABLES))
}

pub(crate) fn nothing_but(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

pub(crate) fn shared(source: impl Source) -> Arc<dyn Source> {
    Arc::new(source)
}

/// A message with its hint, as a user reads both.
pub(crate) fn told(failure: &Failure) -> String {
    format!("{failure} [{}]", failure.hint.as_deref().unwrap_or("no hint"))
}

/// A folder with config files, of this test alone.
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(crate) fn new(config: &str, credentials: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("sources-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = Self { folder };
        files.write("config", config);
        files.write("credentials", credentials);
        files
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// Variables that point at the files, and `more`.
    pub(crate) fn seen(&self, more: &[(&str, &str)]) -> Surroundings {
        let files = [
            ("AWS_CONFIG_FILE".to_owned(), self.path("config")),
            ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), self.path("credentials")),
            ("HOME".to_owned(), self.path("")),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ];
        let more = more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Surroundings::with_variables(files.into_iter().chain(more))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How long a session lives, to the second before the service rounds it up.
pub(crate) fn lasts(issued: &Issued, lifetime: Duration) -> bool {
    let found = issued.expiration.since(issued.issued_at.unwrap());
    (lifetime..=lifetime + Duration::from_secs(1)).contains(&found)
}
