//! Any bytes as what is handed to a source: the text in a web identity token file, what an MFA
//! program prints, and what a credential process prints. The first byte chooses.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use rolekeeper::{
    FailureKind, Secret, Source,
    sources::{AssumeRole, Base, MfaPrompt, Profile, Surroundings, WebIdentity},
};
use tokio::runtime::Runtime;

const ROLE: &str = "arn:aws:iam::123456789012:role/fuzz";
/// A secret that inputs may hold, and that nobody may be told.
const MARK: &str = "SECRET-THAT-NOBODY-IS-TOLD";

/// What the MFA program prints next.
static CODE: Mutex<String> = Mutex::new(String::new());
/// How often STS was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);

struct World {
    runtime: Runtime,
    token: PathBuf,
    printed: PathBuf,
    web: WebIdentity,
    with_mfa: AssumeRole,
    process: Profile,
    _folder: tempfile::TempDir,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let (token, printed, config) = (file("token"), file("printed"), file("config"));
        let text = format!("[profile p]\ncredential_process = cat {}\n", printed.display());
        fs::write(&config, text).expect("a file");
        let seen = Surroundings::with_variables([
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", config.to_str().expect("a path")),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("PATH", "/usr/bin:/bin"),
        ]);
        let url = format!("http://{}", nobody());
        let (web, with_mfa, process) = runtime.block_on(async {
            let web = WebIdentity::builder(ROLE, &token).surroundings(seen.clone());
            let with_mfa = AssumeRole::builder(ROLE)
                .surroundings(seen.clone())
                .base(Base::keys("AKIAEXAMPLE", &Secret::new("secret"), None))
                .mfa_serial("arn:aws:iam::123456789012:mfa/fuzz")
                .mfa_prompt(MfaPrompt::new(|_| async {
                    Ok::<_, String>(CODE.lock().expect("nobody panics with it").clone())
                }));
            let process = Profile::named("p").surroundings(seen);
            (
                web.endpoint_url(&url).build().await.expect("a role"),
                with_mfa.endpoint_url(&url).build().await.expect("a role"),
                process.build().await.expect("a profile"),
            )
        });
        World { runtime, token, printed, web, with_mfa, process, _folder: folder }
    })
}

/// An STS that hangs up on whoever calls.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            CALLS.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    address
}

/// A choice, and what is handed over.
pub fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 3 {
        0 => token(bytes),
        1 => code(crate::text(bytes)),
        _ => printed(bytes),
    }
}

/// Whom a session is for can be told of any token that could be one.
fn token(bytes: &[u8]) {
    let World { runtime, token, web, .. } = world();
    fs::write(token, bytes).expect("a file");
    let key = runtime.block_on(web.store_key());
    let text = str::from_utf8(bytes).unwrap_or_default().trim();
    match key {
        Ok(key) => {
            assert!((4..=20_000).contains(&text.chars().count()));
            assert!(key.is_some());
            assert_eq!(runtime.block_on(web.store_key()).expect("the same file"), key);
        }
        Err(failure) => {
            assert_eq!(failure.kind, FailureKind::Misconfigured);
            assert!(!format!("{failure} {failure:?}").contains(MARK), "{failure}");
        }
    }
}

/// Six digits go to STS, and nothing else does.
fn code(text: &str) {
    let World { runtime, with_mfa, .. } = world();
    text.clone_into(&mut CODE.lock().expect("nobody panics with it"));
    let before = CALLS.load(Ordering::SeqCst);
    let failure = runtime.block_on(with_mfa.fetch()).expect_err("nobody answers");
    let digits = text.trim();
    let is_code = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!(failure.kind == FailureKind::NeedsPerson, !is_code, "{failure:?}");
    assert_eq!(CALLS.load(Ordering::SeqCst) > before, is_code, "{failure:?}");
    assert!(!format!("{failure} {failure:?}").contains(MARK), "{failure}");
}

/// Keys, or a failure that doesn't show them.
fn printed(bytes: &[u8]) {
    let World { runtime, printed, process, .. } = world();
    fs::write(printed, bytes).expect("a file");
    match runtime.block_on(process.fetch()) {
        Ok(issued) => {
            assert!(!issued.credentials.access_key_id.is_empty());
            assert!(!issued.credentials.secret_access_key.expose().is_empty());
            assert!(!format!("{issued:?}").contains(MARK));
        }
        Err(failure) => assert!(!format!("{failure} {failure:?}").contains(MARK), "{failure}"),
    }
}
