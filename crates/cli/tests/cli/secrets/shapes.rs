//! `Debug` of every public type: those that can hold a secret are looked at with one inside, and all
//! others are named here. A new public type without an entry fails.

use std::{
    any::type_name, collections::BTreeSet, fmt::Debug, fs, marker::PhantomData, path::Path,
    sync::Arc, time::Duration,
};

use rolekeeper::{
    Credentials, Failure, Issued, Keyring, Moment, RefreshPolicy, RefreshableCredentials, Secret,
    Session, Source, WallTime, adapters, sources, stores,
    stores::{FileStore, MemoryStore, RedisStore, Sealer, SessionStore, StoreKey, StoreSecret},
};
use rolekeeper_agent::{self as agent, credentials_file, local::client};
use rolekeeper_core::{self as core, Fence, Lifecycle, Sharing, Slot, Step};
use rolekeeper_sandbox as sandbox;

use super::Known;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEJr/A/TOKEN+of/a/session/that/nobody/is/to/see";
const STORE_KEY: &str = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// What was looked at: of which type, and what `Debug` says.
#[derive(Default)]
struct Looks(Vec<(&'static str, String)>);

impl Looks {
    fn at(&mut self, name: &'static str, value: &impl Debug) {
        self.0.push((name, format!("{value:?}\n{value:#?}")));
    }

    /// Of a type that has no `Debug`, and so can't be seen.
    fn at_none(&mut self, name: &'static str, has_debug: bool) {
        assert!(!has_debug, "{name} has a Debug that nobody looks at");
        self.0.push((name, String::new()));
    }

    /// Of a type of which a value holds no secret: names, numbers, times, words.
    fn at_plain<T>(&mut self, name: &'static str) {
        assert!(type_name::<T>().contains(name.split(' ').nth(1).unwrap()), "{name}");
        self.0.push((name, String::new()));
    }
}

/// Whether a type has a `Debug`: of two methods with one name the type's own is taken, if it has it.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    fn has_debug() -> bool {
        false
    }
}

impl<T> Otherwise for Probe<T> {}

impl<T: Debug> Probe<T> {
    fn has_debug() -> bool {
        true
    }
}

#[test]
fn no_public_type_shows_a_secret_and_none_was_left_out() {
    let mut looks = Looks::default();
    of_core(&mut looks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        of_library(&mut looks).await;
        of_stores(&mut looks, folder.path()).await;
        of_sources(&mut looks, folder.path()).await;
        of_agent(&mut looks).await;
        of_sandbox(&mut looks).await;
    });
    named_only(&mut looks);

    let known = Known::default()
        .and("a secret key", SECRET)
        .and("a session token", TOKEN)
        .and("the store's key", STORE_KEY)
        .and("the sandbox user's secret key", crate::support::USER_SECRET);
    let shown = looks.0.iter().filter(|(_, text)| !known.found_in(text.as_bytes()).is_empty());
    assert_eq!(shown.map(|(name, _)| *name).collect::<Vec<_>>(), [""; 0], "show a secret");
    let looked_at: BTreeSet<_> = looks.0.iter().map(|(name, _)| (*name).to_owned()).collect();
    let public = public_types();
    assert!(public.len() > 100, "the source was read");
    let missed: Vec<_> = public.difference(&looked_at).collect();
    assert!(missed.is_empty(), "public types that nobody looks at: {missed:?}");
    let gone: Vec<_> = looked_at.difference(&public).collect();
    assert!(gone.is_empty(), "no such public types any more: {gone:?}");
}

/// `CRATE NAME` of each `pub struct` and `pub enum` that the source has.
fn public_types() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = BTreeSet::new();
    for name in ["core", "rolekeeper", "agent", "sandbox"] {
        for file in super::files_in(&crates.join(name).join("src")) {
            // What fuzzers see is no part of what is built for anybody else.
            if file.file_stem().is_some_and(|stem| stem == "fuzzing") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let types = text.lines().filter_map(|line| {
                let rest = line.trim_start().strip_prefix("pub ")?;
                let rest = ["struct ", "enum ", "union "]
                    .iter()
                    .find_map(|word| rest.strip_prefix(word))?;
                rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
            });
            all.extend(types.map(|found| format!("{name} {found}")));
        }
    }
    all
}

fn issued() -> Issued {
    let expiration = crate::support::now().as_secs() + 3600;
    Issued::new(
        Credentials::new("ASIAKEYID", SECRET, TOKEN),
        WallTime::from_unix_secs(expiration.try_into().unwrap()),
    )
}

fn session() -> Session {
    Session::place(issued(), rolekeeper::Clock::default().now(), 1)
}

fn callback() -> sources::Callback {
    sources::Callback::new("vault", || async { Ok::<_, Failure>(issued()) })
}

fn of_core(looks: &mut Looks) {
    let now = rolekeeper::Clock::default().now();
    looks.at("core Secret", &Secret::new(SECRET));
    looks.at("core Credentials", &issued().credentials);
    looks.at("core Issued", &issued());
    let session = Arc::new(session());
    looks.at("core Session", &session);
    let mut life = Lifecycle::new(RefreshPolicy::default(), 1);
    assert!(life.adopt(now, session));
    looks.at("core Offer", &life.offer(now).unwrap());
    looks.at("core Read", &life.read(now));
    looks.at("core Lifecycle", &life);
    while let Some(event) = life.next_event() {
        looks.at("core Event", &event);
    }
    life.wake(now);
    life.fetched(
        now,
        Issued::new(Credentials::new("", SECRET, TOKEN), WallTime::from_unix_secs(1)),
    );
    looks.at("core Refusal", &life.trouble(now));
    let mut sharing = Sharing::new(RefreshPolicy::default(), Duration::from_secs(1), 1);
    sharing.begin(now);
    let step = sharing.loaded(now, Ok(Some(issued())));
    assert!(matches!(step, Step::Done(Ok(_))), "{step:?}");
    looks.at("core Step", &step);
    looks.at("core Step", &Step::Save { fence: Fence(1), issued: issued() });
    looks.at("core Sharing", &sharing);
    let mut slot = Slot::default();
    looks.at("core Lease", &slot.lease(now.elapsed, Duration::from_secs(1)));
    assert!(slot.save(now.elapsed, Fence(1), issued()));
    looks.at("core Slot", &slot);
}

async fn of_library(looks: &mut Looks) {
    let builder = RefreshableCredentials::builder(callback()).session(issued());
    looks.at("rolekeeper Builder", &builder);
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let credentials = RefreshableCredentials::builder(callback()).store(store).build();
    let mut events = credentials.events();
    looks.at("rolekeeper Current", &credentials.get().await.unwrap());
    credentials.refresh_now().await.unwrap();
    looks.at("rolekeeper RefreshableCredentials", &credentials);
    looks.at("rolekeeper Status", &credentials.status());
    let event = events.recv().await.unwrap();
    looks.at("rolekeeper EventKind", &event.kind);
    looks.at("rolekeeper Event", &event);
    let failing = sources::Callback::new("vault", || async {
        Ok::<_, Failure>(Issued::new(
            Credentials::new("", SECRET, TOKEN),
            WallTime::from_unix_secs(4_000_000_000),
        ))
    });
    let failing = RefreshableCredentials::builder(failing).build();
    let error = failing.refresh_now().await.unwrap_err();
    looks.at("core Failure", &error.to_string());
    looks.at("rolekeeper Error", &error);
    let ring = Keyring::new();
    ring.get_or_insert("demo", callback).get().await.unwrap();
    looks.at("rolekeeper Keyring", &ring);
    looks.at("rolekeeper IdentityCache", &adapters::IdentityCache::new());
}

async fn of_stores(looks: &mut Looks, folder: &Path) {
    let secret = StoreSecret::from_hex(STORE_KEY).unwrap();
    looks.at("rolekeeper StoreSecret", &secret);
    looks.at("rolekeeper Sealer", &Sealer::new(&secret));
    looks.at("rolekeeper StoreKeyBuilder", &StoreKey::of("x").with("secret", SECRET));
    let key = StoreKey::of("x").with("secret", SECRET).build();
    looks.at("rolekeeper StoreKey", &key);
    let address = format!("redis://user:{SECRET}@127.0.0.1:1");
    let redis = RedisStore::open(&address, Sealer::new(&secret)).unwrap();
    looks.at("rolekeeper RedisStore", &redis);
    looks.at("rolekeeper StoreError", &redis.load(&key).await.unwrap_err());
    let (memory, file) = (MemoryStore::new(), FileStore::open(folder, &secret).unwrap());
    let stores: [&dyn SessionStore; 2] = [&memory, &file];
    for store in stores {
        let lease = store.lease(&key, Duration::from_secs(1)).await.unwrap();
        let core::Lease::Granted(fence) = lease else { panic!("{lease:?}") };
        assert!(store.save(&key, fence, &issued()).await.unwrap());
        looks.at("rolekeeper Stored", &store.load(&key).await.unwrap().unwrap());
    }
    looks.at("rolekeeper MemoryStore", &memory);
    looks.at("rolekeeper FileStore", &file);
    looks.at("rolekeeper Entry", &file.entries().unwrap());
    let shared = stores::Shared::new(
        Arc::new(callback()),
        Arc::new(memory),
        Arc::new(RefreshPolicy::default()),
        rolekeeper::Clock::default(),
        1,
    );
    shared.fetch().await.unwrap();
    looks.at("rolekeeper Shared", &shared);
    looks.at("rolekeeper AwsCache", &stores::AwsCache::within(folder).and_write());
}

async fn of_sources(looks: &mut Looks, folder: &Path) {
    let seen = sources::Surroundings::with_variables([
        ("AWS_ACCESS_KEY_ID", "AKIAKEYID"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_REGION", "eu-central-1"),
    ]);
    looks.at("rolekeeper Surroundings", &seen);
    let base = sources::Base::keys("AKIAKEYID", &Secret::new(SECRET), Some(&Secret::new(TOKEN)));
    looks.at("rolekeeper Base", &base);
    let role = "arn:aws:iam::123456789012:role/demo";
    let builder = sources::AssumeRole::builder(role).base(base.clone()).surroundings(seen.clone());
    looks.at("rolekeeper AssumeRoleBuilder", &builder);
    looks.at("rolekeeper AssumeRole", &builder.build().await.unwrap());
    let file = folder.join("identity");
    fs::write(&file, TOKEN).unwrap();
    let builder = sources::WebIdentity::builder(role, &file).surroundings(seen.clone());
    looks.at("rolekeeper WebIdentityBuilder", &builder);
    looks.at("rolekeeper WebIdentity", &builder.build().await.unwrap());
    let asked = sources::CallerIdentity::of(base).surroundings(seen.clone());
    looks.at("rolekeeper CallerIdentityRequest", &asked);
    fs::write(
        folder.join("credentials"),
        format!("[etl]\naws_access_key_id = AKIAKEYID\naws_secret_access_key = {SECRET}\n"),
    )
    .unwrap();
    let file = folder.join("credentials");
    let of_files = sources::Surroundings::with_variables([
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/nowhere/config"),
        ("AWS_REGION", "eu-central-1"),
    ]);
    let builder = sources::Profile::named("etl").surroundings(of_files);
    looks.at("rolekeeper ProfileBuilder", &builder);
    looks.at("rolekeeper Profile", &builder.build().await.unwrap());
    looks.at("rolekeeper Callback", &callback());
    let keys = aws_credential_types::Credentials::new(
        "AKIAKEYID",
        SECRET,
        Some(TOKEN.to_owned()),
        None,
        "test",
    );
    looks.at("rolekeeper FromProvider", &sources::FromProvider::new("keys", keys));
}

async fn of_agent(looks: &mut Looks) {
    let tokens = || agent::Tokens::fixed(&Secret::new(SECRET)).unwrap();
    looks.at("agent Tokens", &tokens());
    let name = || agent::RoleName::parse("etl").unwrap();
    let credentials = RefreshableCredentials::builder(callback()).build();
    credentials.get().await.unwrap();
    let role = agent::Role::new(name(), credentials, tokens(), agent::Rule::anybody());
    looks.at("agent Role", &role);
    let listener = || agent::Listener {
        at: agent::Place::Address(crate::support::ANY_PORT.parse().unwrap()),
        face: agent::Face::Container,
    };
    looks.at("agent Listener", &listener());
    let plan = agent::Plan { roles: vec![role], listeners: vec![listener()] };
    looks.at("agent Plan", &plan);
    let serving = agent::Agent::new();
    looks.at("agent Listening", &serving.serve(plan).await.unwrap());
    looks.at("agent Agent", &serving);
    let fetches = Arc::new(agent::Fetches::new(Arc::default()));
    let measured = agent::Measured::new(Arc::new(callback()), Arc::clone(&fetches));
    measured.fetch().await.unwrap();
    looks.at("agent Measured", &measured);
    looks.at("agent Fetches", &fetches);
    assert!(Probe::<Secret>::has_debug(), "the probe sees one");
    let keys = Probe::<credentials_file::Keys>::has_debug();
    looks.at_none("agent Keys", keys);
    let bound = agent::Agent::new().bind(vec![listener()]).unwrap();
    looks.at("agent Bound", &bound);
    let document = zeroize::Zeroizing::new(format!("{{\"Token\":\"{TOKEN}\"}}").into_bytes());
    looks.at("agent Answer", &client::Answer::Here(document));
    let (config, _) = agent::config::Config::read(
        &format!("store = \"redis://:{SECRET}@127.0.0.1\"\naws_secret_access_key = \"{SECRET}\"\n"),
        Path::new("agent.toml"),
    );
    looks.at("agent Config", &config);
}

async fn of_sandbox(looks: &mut Looks) {
    let config = sandbox::Config::default();
    looks.at("sandbox Config", &config);
    let builder = sandbox::Sandbox::builder().config(config);
    looks.at("sandbox Builder", &builder);
    let running = builder.start().await.unwrap();
    looks.at("sandbox FaultControl", &running.faults());
    looks.at("sandbox UserCredentials", &running.user_credentials("demo").unwrap());
    let shown = format!("{running:?}");
    assert!(!shown.contains(running.admin_token()), "it shows the admin token");
    looks.at("sandbox Running", &running);
    let text = format!("[users.a]\nsecret_access_key = \"{SECRET}\"\nsecret = {SECRET}\n");
    looks.at("sandbox ConfigError", &sandbox::Config::from_toml(&text).unwrap_err());
}

/// Names, numbers, times, paths, and words that were chosen here: nothing of it is a secret.
fn named_only(looks: &mut Looks) {
    macro_rules! plain {
        ($($name:literal = $kind:ty,)*) => { $(looks.at_plain::<$kind>($name);)* };
    }
    plain! {
        "core Counters" = core::Counters,
        "core Elapsed" = core::Elapsed,
        "core FailureKind" = core::FailureKind,
        "core Fence" = Fence,
        "core Moment" = Moment,
        "core RefreshMode" = core::RefreshMode,
        "core RefreshPolicy" = RefreshPolicy,
        "core Skew" = core::Skew,
        "core StoreTrouble" = core::StoreTrouble,
        "core Wake" = core::Wake,
        "core Wakeup" = core::Wakeup,
        "core WallTime" = WallTime,
        // Hashes.
        "rolekeeper AwsCacheKey" = stores::AwsCacheKey,
        "rolekeeper CallerIdentity" = sources::CallerIdentity,
        "rolekeeper Clock" = rolekeeper::Clock,
        "rolekeeper MfaPrompt" = sources::MfaPrompt,
        "rolekeeper MfaRequest" = sources::MfaRequest,
        "rolekeeper Place" = sources::Place,
        "rolekeeper Simulated" = rolekeeper::clock::Simulated,
        "rolekeeper Wall" = rolekeeper::clock::Wall,
        "rolekeeper Work" = rolekeeper::fork::Work,
        "agent AgentStatus" = client::AgentStatus,
        "agent AssumedRole" = agent::config::AssumedRole,
        "agent AwsFilePaths" = agent::config::AwsFilePaths,
        "agent BadRoleName" = agent::config::BadRoleName,
        "agent BindError" = agent::BindError,
        // Its roles' sources are looked at above.
        "agent Checked" = agent::Checked,
        "agent Counters" = agent::Counters,
        "agent Depth" = agent::Depth,
        "agent Error" = credentials_file::Error,
        "agent Face" = agent::Face,
        "agent FetchTimes" = agent::FetchTimes,
        "agent Fingerprint" = agent::config::Fingerprint,
        "agent Ground" = agent::config::Ground,
        "agent Hardened" = agent::hardening::Hardened,
        "agent Identity" = agent::config::Identity,
        "agent ImdsConfig" = agent::config::ImdsConfig,
        "agent Inherited" = agent::activation::Inherited,
        "agent Keeper" = credentials_file::Keeper,
        "agent LastError" = client::LastError,
        "agent NoSession" = client::NoSession,
        "agent NotASectionName" = credentials_file::NotASectionName,
        "agent Notifier" = agent::activation::Notifier,
        "agent Peer" = agent::Peer,
        "agent Place" = agent::Place,
        "agent Planner" = agent::Planner,
        "agent Problem" = agent::config::Problem,
        "agent Refusal" = agent::Refusal,
        "agent Refusals" = agent::Refusals,
        "agent RoleConfig" = agent::config::RoleConfig,
        "agent RoleName" = agent::RoleName,
        "agent RoleStatus" = client::RoleStatus,
        "agent Rule" = agent::Rule,
        "agent SectionName" = credentials_file::SectionName,
        // Which variable, or which file.
        "agent TokenConfig" = agent::config::TokenConfig,
        "agent Told" = credentials_file::Told,
        "agent Unclear" = credentials_file::Unclear,
        "agent UnixListener" = agent::local::UnixListener,
        "sandbox AssumeRoleRefusal" = sandbox::AssumeRoleRefusal,
        "sandbox Count" = sandbox::Count,
        "sandbox Counts" = sandbox::Counts,
        "sandbox Down" = sandbox::Down,
        "sandbox Failures" = sandbox::Failures,
        "sandbox Faults" = sandbox::Faults,
        "sandbox Revoke" = sandbox::Revoke,
        "sandbox Sandbox" = sandbox::Sandbox,
    }
}
