//! Any bytes as what is sent to the sandbox, and as its configuration. The first byte chooses: a
//! connection as it is, a form that is signed as it should be, an identity token's claims signed by
//! their issuer, a configuration.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use rolekeeper::Clock;
use rolekeeper_sandbox::{Config, Running, Sandbox, UserCredentials};
use sha2::Sha256;
use tokio::runtime::Runtime;

/// What the built-in configuration signs identity tokens with.
const ISSUERS_SECRET: &[u8] = b"signs-nothing-but-sandbox-identity-tokens";
const SERVICES: [&str; 3] = ["sts", "s3", "rds"];
/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    address: SocketAddr,
    user: UserCredentials,
    _sandbox: Running,
    _runtime: Runtime,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let sandbox = runtime.block_on(Sandbox::builder().start());
        let sandbox = sandbox.expect("a free port");
        let url = sandbox.endpoint_url();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let user = sandbox.user_credentials("demo").expect("it is built in");
        World {
            address: address.parse().expect("an address"),
            user,
            _sandbox: sandbox,
            _runtime: runtime,
        }
    })
}

/// A choice, and what is sent.
pub fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 6 {
        0 => {
            let answer = exchange(bytes);
            assert!(!answer.contains("<SecretAccessKey>"), "a session for who has signed nothing");
        }
        service @ 1..=3 => {
            exchange(&signed(SERVICES[usize::from(service) - 1], bytes));
        }
        4 => {
            exchange(&with_token(bytes));
        }
        _ => configuration(crate::text(bytes)),
    }
}

/// What comes back, which is no failure of the sandbox's own.
fn exchange(request: &[u8]) -> String {
    let mut stream = TcpStream::connect(world().address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // It may have hung up before all is written.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it hangs: {error}");
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if !answer.is_empty() {
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        assert!(status.is_some_and(|status| "234".contains(&status[..1])), "{answer}");
        // What XML has no way to write would be no XML.
        let is_written = |letter: char| letter >= ' ' || matches!(letter, '\t' | '\r' | '\n');
        assert!(answer.chars().all(is_written), "{answer:?}");
    }
    answer
}

/// This form, from a user whom the sandbox knows.
fn signed(service: &str, form: &[u8]) -> Vec<u8> {
    let World { address, user, .. } = world();
    let identity = Credentials::from_keys(&user.access_key_id, &user.secret_access_key, None);
    let nanos = Clock::System.now().wall.as_unix_nanos();
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    let identity = identity.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .expect("all is there")
        .into();
    let url = format!("http://{address}/");
    let host = address.to_string();
    let headers = [("host", host.as_str())].into_iter();
    let request = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(form));
    let (instructions, _) =
        sign(request.expect("a request"), &params).expect("a signature").into_parts();
    let mut head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", form.len());
    for (name, value) in instructions.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    whole(&head, form)
}

/// A token with these claims, as its issuer would sign them.
fn with_token(claims: &[u8]) -> Vec<u8> {
    let encoded = Base64UrlUnpadded::encode_string;
    let signed = format!("{}.{}", encoded(br#"{"alg":"HS256"}"#), encoded(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(ISSUERS_SECRET).expect("a key of any length");
    mac.update(signed.as_bytes());
    let signature = encoded(&mac.finalize().into_bytes());
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=fuzz&\
         RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fweb&\
         WebIdentityToken={signed}.{signature}"
    );
    let head = format!("POST / HTTP/1.1\r\nHost: sts\r\nContent-Length: {}\r\n", form.len());
    whole(&head, form.as_bytes())
}

fn whole(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"Connection: close\r\n\r\n", body].concat()
}

fn configuration(text: &str) {
    match Config::from_toml(text) {
        Ok(config) => {
            for name in config.role_names() {
                assert!(config.role_arn(name).ends_with(name));
            }
        }
        Err(error) => {
            assert!((1..=text.split('\n').count()).contains(&error.line()), "{error}");
            assert!(!error.to_string().contains('\n'), "{error:?}");
        }
    }
}
