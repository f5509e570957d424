//! A section of a credentials file is kept fresh, and nothing else in the file ever changes.

#[cfg(unix)]
mod files;
mod processes;
mod properties;
mod texts;

use std::{fs, path::Path, sync::Arc};

use rolekeeper::{Clock, Credentials, Issued, Session, WallTime};
use rolekeeper_agent::credentials_file::SectionName;

fn name(text: &str) -> SectionName {
    text.parse().unwrap()
}

/// All its values end in the same number, which is its generation too.
fn session(number: u64) -> Arc<Session> {
    let credentials = Credentials::new(
        format!("ASIA{number}"),
        format!("secret/{number}"),
        format!("token{}=={number}", "+".repeat(usize::try_from(number % 500).unwrap())),
    );
    let issued = Issued::new(credentials, WallTime::from_unix_secs(1_900_000_000))
        .with_account_id(format!("12345678{:04}", number % 10_000));
    Arc::new(Session::place(issued, Clock::System.now(), number))
}

/// What the file says of this section, as a client that knows nothing of us would read it.
fn read(file: &Path, section: &str) -> Vec<(String, String)> {
    let text = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&text);
    let mut is_ours = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_ours = line == format!("[{section}]");
        } else if let (true, Some((key, value))) = (is_ours, line.split_once('=')) {
            found.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// The number that all values of a section end in.
#[track_caller]
fn number(file: &Path, section: &str) -> Option<u64> {
    let keys = read(file, section);
    let number = |key: &str, after: char| {
        let value = keys.iter().find(|(found, _)| found == key).map(|(_, value)| value)?;
        Some(value.rsplit_once(after).unwrap().1.parse::<u64>().unwrap())
    };
    let number_of_id = number("aws_access_key_id", 'A');
    assert_eq!(number("aws_secret_access_key", '/'), number_of_id, "half of one session");
    assert_eq!(number("aws_session_token", '='), number_of_id, "half of one session");
    number_of_id
}
