//! Any bytes as what STS answers. The first byte chooses the call, and whether the clock that is told
//! and when to come again are given too, a line each; the second byte chooses the status.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, OnceLock},
};

use rolekeeper::{
    Secret, Source,
    sources::{AssumeRole, Base, Surroundings, WebIdentity},
};
use tokio::runtime::Runtime;

const STATUSES: [u16; 8] = [200, 200, 200, 400, 403, 429, 500, 503];
const USER_SECRET: &str = "the-users-own-secret-key";
const ROLE: &str = "arn:aws:iam::123456789012:role/fuzz";

/// What the server sends next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct World {
    role: AssumeRole,
    web: WebIdentity,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a socket");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream));
            }
        });
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        std::fs::write(&token, "a.web.token").expect("a file");
        let (role, web) = runtime.block_on(sources(address, &token));
        World { role, web, runtime, _folder: folder }
    })
}

async fn sources(address: SocketAddr, token: &std::path::Path) -> (AssumeRole, WebIdentity) {
    let url = format!("http://{address}");
    let seen = Surroundings::with_variables([("AWS_REGION", "us-east-1")]);
    let keys = Base::keys("AKIAEXAMPLE", &Secret::new(USER_SECRET), None);
    let role = AssumeRole::builder(ROLE).surroundings(seen.clone()).base(keys).endpoint_url(&url);
    let web = WebIdentity::builder(ROLE, token).surroundings(seen).endpoint_url(&url);
    (role.build().await.expect("a role"), web.build().await.expect("a role"))
}

/// One request after the other, each answered with what is to be sent.
fn serve(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut writer = stream;
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = ANSWER.lock().expect("nobody panics with it").clone();
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

/// A call, a status, and what goes with it.
pub fn run(input: &[u8]) {
    let [choice, status, body @ ..] = input else { return };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let mut answer = format!("HTTP/1.1 {status} X\r\n").into_bytes();
    let mut body = body;
    if choice & 2 != 0 {
        for header in ["Date", "Retry-After"] {
            let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
            let (value, rest) = body.split_at(end);
            answer.extend_from_slice(&[header.as_bytes(), b": ", value, b"\r\n"].concat());
            body = rest.get(1..).unwrap_or_default();
        }
    }
    answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    answer.extend_from_slice(body);
    let World { role, web, runtime, .. } = world();
    *ANSWER.lock().expect("nobody panics with it") = answer;
    let outcome = runtime.block_on(if choice % 2 == 0 { role.fetch() } else { web.fetch() });
    match outcome {
        Ok(issued) => {
            assert_eq!(status, 200);
            assert!(!issued.credentials.access_key_id.is_empty());
            assert!(!issued.credentials.secret_access_key.expose().is_empty());
            assert!(!issued.credentials.session_token.expose().is_empty());
        }
        Err(failure) => {
            let told = format!("{failure} {failure:?}");
            assert!(!told.contains(USER_SECRET) && !told.contains("a.web.token"), "{told}");
        }
    }
}
