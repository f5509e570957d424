//! Any bytes as what listens at the agent's socket answers to a command. The first byte chooses the
//! question, and whether a head that makes sense stands before the rest.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

use rolekeeper_agent::local::client::{self, Answer};

const STATUSES: [u16; 4] = [200, 404, 503, 500];

/// What the socket says next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct World {
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(&stream);
            }
        });
        World { socket, _folder: folder }
    })
}

/// Once the question has ended.
fn serve(mut stream: &UnixStream) {
    let lines = BufReader::new(stream).lines();
    let _question = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).last();
    let answer = ANSWER.lock().expect("nobody panics with it").clone();
    let _ = stream.write_all(&answer);
}

/// A question, and all that comes back.
pub fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let mut answer = Vec::new();
    if choice & 2 == 0 {
        let status = STATUSES[usize::from(choice >> 2) % STATUSES.len()];
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", rest.len());
        answer.extend_from_slice(head.as_bytes());
    }
    answer.extend_from_slice(rest);
    let world = world();
    ANSWER.lock().expect("nobody panics with it").clone_from(&answer);
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = end.map(|end| &answer[end + 4..]);
    if choice & 1 == 0 {
        if let Ok(status) = client::status(&world.socket) {
            assert!(answer.starts_with(b"HTTP/1.1 200"));
            // What one agent has told, another program can be told again.
            let text = serde_json::to_vec(&status).expect("text");
            let again: client::AgentStatus = serde_json::from_slice(&text).expect("the same");
            assert_eq!(again.roles.len(), status.roles.len());
        }
        return;
    }
    match client::credentials_of_profile(&world.socket, "p") {
        // All of it or nothing: a document that was cut is handed to nobody.
        Ok(Answer::Here(document)) => {
            assert!(answer.starts_with(b"HTTP/1.1 200"));
            assert_eq!(Some(document.as_slice()), body);
        }
        Ok(Answer::NotServed) => assert!(answer.starts_with(b"HTTP/1.1 404")),
        Ok(Answer::Unavailable(_)) => assert!(answer.starts_with(b"HTTP/1.1 503")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
