//! Any bytes as a shared credentials file in which a section is kept. The first byte chooses the
//! section.

use rolekeeper::{Clock, Credentials, Issued, Session, WallTime};
use rolekeeper_agent::credentials_file::{Keys, SectionName, setting, with_keys, without_keys};

const SECTIONS: [&str; 4] = ["etl", "default", "a/b:c", "ETL"];
const ID: &str = "ASIAEXAMPLE";
const SECRET: &str = "the/secret+key";
const TOKEN: &str = "a+session/token==";

fn keys(token: &str) -> Keys {
    let credentials = Credentials::new(ID, SECRET, token);
    let end = WallTime::from_unix_secs(1_900_000_000);
    let issued = Issued::new(credentials, end).with_account_id("123456789012");
    Keys::of(&Session::place(issued, Clock::System.now(), 1)).expect("plain values")
}

/// A file's lines as they are, but for the end of the last.
fn lines(file: &[u8]) -> Vec<&[u8]> {
    let end = |line| matches!(line, b'\n' | b'\r');
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| line.iter().rposition(|byte| !end(*byte)).map_or(&[][..], |at| &line[..=at]))
        .collect()
}

/// A section, and a file.
pub fn run(input: &[u8]) {
    let Some((choice, file)) = input.split_first() else { return };
    let section = SECTIONS[usize::from(*choice) % SECTIONS.len()];
    let name: SectionName = section.parse().expect("a name");
    let value = |file: &[u8], key: &str| setting(file, &name, key);
    let keys_of_today = keys(TOKEN);
    let written = match with_keys(file, &name, &keys_of_today) {
        Ok(written) => written,
        Err(why) => {
            let lines = lines(file).len();
            assert!(!why.to_string().contains('\n'), "{why}");
            if let rolekeeper_agent::credentials_file::Unclear::Header { line } = why {
                assert!((1..=lines).contains(&line), "{why}");
            }
            return;
        }
    };
    for (key, expected) in [
        ("aws_access_key_id", Some(ID)),
        ("aws_secret_access_key", Some(SECRET)),
        ("aws_session_token", Some(TOKEN)),
        ("aws_account_id", Some("123456789012")),
        ("aws_security_token", None),
    ] {
        assert_eq!(value(&written, key).as_deref(), expected, "{key}");
    }
    // Once more, it is as it was; and another session takes exactly its place.
    let again = with_keys(&written, &name, &keys_of_today).expect("it has just been written");
    assert_eq!(*again, *written);
    let next = with_keys(&written, &name, &keys("another")).expect("it has just been written");
    assert_eq!(*with_keys(&next, &name, &keys_of_today).expect("the same"), *written);
    // No line of others is lost, changed or moved.
    let is_ours = |line: &[u8]| {
        let key = line.trim_ascii_start().to_ascii_lowercase();
        key.starts_with(b"aws_") || key.starts_with(b"x_security_token_expires")
    };
    let header = format!("[{section}]").into_bytes();
    let mut left = lines(&written).into_iter();
    let mut is_value_of_ours = false;
    for line in lines(file) {
        let text = line.trim_ascii_start();
        // One that was before a value of ours may be the last now, and goes with that one's end.
        if text.is_empty() {
            continue;
        }
        // A comment ends no value, and stays also where the value goes.
        if !text.starts_with(b"#") && !text.starts_with(b";") {
            // What is indented may be more of a value of ours, and goes with it.
            is_value_of_ours = is_ours(line) || (is_value_of_ours && text.len() < line.len());
            if is_value_of_ours {
                continue;
            }
        }
        assert!(left.any(|kept| kept == line), "{:?}", String::from_utf8_lossy(line));
    }
    let gone = without_keys(&written, &name).expect("it has just been written");
    assert_eq!(value(&gone, "aws_secret_access_key"), None);
    assert_eq!(*without_keys(&gone, &name).expect("the same"), *gone);
    if !lines(file).contains(&&header[..]) && setting(file, &name, "").is_none() {
        let has_header = lines(file).iter().any(|line| line.starts_with(&header));
        assert!(has_header || *gone == *file, "a section that was added left a trace");
    }
}
