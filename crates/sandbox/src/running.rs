//! Decides how a sandbox is started, spoken to and stopped from Rust.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::Config;
use crate::counts::Counts;
use crate::faults::Faults;
use crate::secret::Secret;
use crate::sessions::Revoke;
use crate::world::World;
use crate::{mfa, random, server, web_identity};

/// The entry point: see [`Sandbox::builder`].
#[derive(Debug)]
pub struct Sandbox(());

/// What a sandbox is to be, before it runs.
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `start`"]
pub struct Builder {
    config: Config,
    session_lifetime: Option<Duration>,
    faults: Faults,
    address: SocketAddr,
}

/// A running sandbox. Dropping it stops the server and closes every connection.
#[derive(Debug)]
#[must_use = "the sandbox stops when this is dropped"]
pub struct Running {
    world: Arc<World>,
    server: Option<JoinHandle<()>>,
}

/// The faults of a running sandbox.
#[derive(Clone, Copy, Debug)]
pub struct FaultControl<'a>(&'a World);

/// A user's long-term key. `Debug` shows the secret as `…`.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserCredentials {
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: String,
}

// === impl Sandbox ===

impl Sandbox {
    /// Begins a sandbox with the built-in configuration, on a free port of 127.0.0.1.
    pub fn builder() -> Builder {
        Builder {
            config: Config::default(),
            session_lifetime: None,
            faults: Faults::default(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

// === impl Builder ===

impl Builder {
    /// Which users, roles and issuers there are.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Makes every session this long, up to the next whole second, whatever was asked: a few
    /// seconds, say, which the real STS cannot. What was asked is still validated. `None` (the
    /// default): as long as asked.
    pub fn session_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.session_lifetime = lifetime.into();
        self
    }

    /// Misbehaves from the start.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Where to listen; only a loopback address is taken. Port 0 (the default) is a free one.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts serving, on the tokio runtime this is awaited on (with its `time` and `io`).
    ///
    /// # Errors
    ///
    /// When the address is not of the loopback interface or cannot be bound, when the faults
    /// cannot be acted upon, or when the system has no randomness.
    pub async fn start(self) -> io::Result<Running> {
        self.faults.check().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let listener = server::bind(self.address).await?;
        let world = Arc::new(World::new(
            self.config,
            self.session_lifetime,
            self.faults,
            Secret::new(random::admin_token()?),
            listener.local_addr()?,
            u64::from_be_bytes(random::bytes()?),
        ));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&world)));
        Ok(Running { world, server: Some(server) })
    }
}

// === impl Running ===

impl Running {
    /// `http://127.0.0.1:PORT`, without a slash at the end: an SDK's endpoint URL.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.world.address)
    }

    /// The Region to tell SDKs.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.world.config.region
    }

    /// The configuration it runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.world.config
    }

    /// What the admin endpoints under `/_sandbox/` want as `Authorization: Bearer …`.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.world.admin_token.expose()
    }

    /// The key of the user of that name.
    #[must_use]
    pub fn user_credentials(&self, name: &str) -> Option<UserCredentials> {
        let user = self.world.config.users.get(name)?;
        Some(UserCredentials {
            access_key_id: user.access_key_id.clone(),
            secret_access_key: user.secret_access_key.expose().to_owned(),
        })
    }

    /// The ARN of the role of that name, whether or not there is one.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> String {
        self.world.config.role_arn(name)
    }

    /// The environment variables that point any SDK at the sandbox, as the user `demo` (or the
    /// first there is).
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let url = self.endpoint_url();
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", url.clone()),
            // Some SDKs of an age read only these.
            ("AWS_ENDPOINT_URL_STS", url.clone()),
            ("AWS_ENDPOINT_URL_S3", url),
            ("AWS_REGION", self.region().to_owned()),
            ("AWS_DEFAULT_REGION", self.region().to_owned()),
            // Neither is the sandbox to be passed over,
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false".to_owned()),
            // nor shown the token of a session that came with the environment: empty is none.
            ("AWS_SESSION_TOKEN", String::new()),
            // The sandbox has no instance metadata, and looking for it takes seconds.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let first = self.world.config.user_names().next();
        let credentials = self.user_credentials("demo").or_else(|| self.user_credentials(first?));
        if let Some(credentials) = credentials {
            variables.push(("AWS_ACCESS_KEY_ID", credentials.access_key_id));
            variables.push(("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// All calls so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.world.counts()
    }

    /// Its faults, to look at, set and clear.
    #[must_use]
    pub fn faults(&self) -> FaultControl<'_> {
        FaultControl(&self.world)
    }

    /// Revokes sessions issued so far, as a deny policy does, and says how many that hit:
    /// `revoke_sessions("demo")` those of the role `demo`, `revoke_sessions(Revoke::All)` all.
    pub fn revoke_sessions(&self, which: impl Into<Revoke>) -> usize {
        self.world.sessions().revoke(&which.into())
    }

    /// Ages every session issued so far by `duration`: those with less to live are expired at
    /// once, before the `Expiration` they were told. Nothing else moves, so that clients whose
    /// clocks are right are still let in, and what is issued from now on lives its whole time.
    pub fn advance(&self, duration: Duration) {
        self.world.clock.advance(duration);
    }

    /// The code that the MFA device of this serial number shows at this moment.
    #[must_use]
    pub fn mfa_code(&self, serial: &str) -> Option<String> {
        let mut devices = self.world.config.users.values().filter_map(|user| user.mfa.as_ref());
        let device = devices.find(|device| device.serial == serial)?;
        Some(mfa::current_code(&device.seed.0, self.world.now()))
    }

    /// An identity token (JWT) as the issuer of that name would issue it, for its first audience.
    #[must_use]
    pub fn identity_token(
        &self,
        issuer: &str,
        subject: &str,
        lifetime: Duration,
    ) -> Option<String> {
        let issuer = self.world.config.issuers.get(issuer)?;
        Some(web_identity::issue(issuer, subject, self.world.now(), lifetime))
    }

    /// Stops, closes every connection, and returns once the port is free again.
    pub async fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // An aborted task's result is that it was aborted.
            let _ = server.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

// === impl FaultControl ===

impl FaultControl<'_> {
    /// The faults that are set.
    #[must_use]
    pub fn current(&self) -> Faults {
        self.0.faults()
    }

    /// Sets these faults in place of those there are. Counters (how many calls have failed) and
    /// times (a down time) begin anew; calls that hang are planned for anew. A status that HTTP
    /// has not got is answered as 500: see [`Faults::check`].
    pub fn set(&self, faults: Faults) {
        self.0.set_faults(faults);
    }

    /// Behaves again.
    pub fn clear(&self) {
        self.0.set_faults(Faults::default());
    }
}

// === impl UserCredentials ===

impl fmt::Debug for UserCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &format_args!("…"))
            .finish()
    }
}
