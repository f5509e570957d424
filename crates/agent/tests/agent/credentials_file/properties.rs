//! Over any file at all.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rolekeeper_agent::credentials_file::{Keys, with_keys, without_keys};

use super::{name, session};

/// Lines as they are in such files, and now and then a worse one.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "[etl]",
        "[a]",
        "[b] # c",
        "[a]",
        "# comment",
        "  ; indented comment",
        "",
        "   ",
        "region = eu-central-1",
        "  nested = 1",
        "    deeper = 1",
        "\tregion = tab",
        "s3 =",
        "aws_access_key_id = OLD",
        "AWS_ACCESS_KEY_ID=OLD",
        "  aws_access_key_id = OLD",
        "aws_secret_access_key: old",
        "aws_session_token = old",
        "  aws_session_token = old",
        "aws_security_token = old",
        "aws_account_id",
        "x_security_token_expires = 2020-01-01T00:00:00Z",
        "= value",
        "junk",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let refused = prop::sample::select(vec!["[etl", " [a]", "[ etl ]", "[etl] # ]", "\0", "a\rb"])
        .prop_map(|text| text.as_bytes().to_vec());
    let any = prop::collection::vec(any::<u8>(), 0..12);
    prop_oneof![200 => known, 1 => refused, 4 => any]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n"]);
    let lines = prop::collection::vec((line(), end), 0..24);
    (lines, any::<bool>()).prop_map(|(lines, ends)| {
        let mut file = Vec::new();
        let count = lines.len();
        for (at, (text, end)) in lines.into_iter().enumerate() {
            file.extend(text);
            if ends || at + 1 < count {
                file.extend(end.as_bytes());
            }
        }
        file
    })
}

/// Where our section's lines are in the file, by the plainest reading there is.
fn split(file: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let mut at = 0;
    let (mut start, mut end) = (None, file.len());
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"[") {
            match start {
                None if line.starts_with(b"[etl]") => start = Some(at),
                Some(_) => {
                    end = at;
                    break;
                }
                None => {}
            }
        }
        at += line.len();
    }
    let start = start.unwrap_or(file.len());
    (&file[..start], &file[start..end], &file[end..])
}

fn without_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Keys, each with all of its value's lines.
type Keyed = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// As Python's configparser reads it.
fn parsed(file: &[u8]) -> BTreeMap<Vec<u8>, Keyed> {
    let mut sections: BTreeMap<_, Keyed> = BTreeMap::new();
    let mut section = b"(none)".to_vec();
    let mut key: Option<(Vec<u8>, usize)> = None;
    for line in file.split(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") || text.starts_with(b";") {
            continue;
        }
        let indent = line.len() - line.trim_ascii_start().len();
        let keys = sections.entry(section.clone()).or_default();
        if let Some((key, level)) = &key
            && indent > *level
        {
            keys.entry(key.clone()).or_default().push(text.to_vec());
            continue;
        }
        if let (true, Some(end)) =
            (text.starts_with(b"["), text.iter().rposition(|byte| *byte == b']'))
        {
            section = text[1..end].to_vec();
            sections.entry(section.clone()).or_default();
            key = None;
            continue;
        }
        let at = text.iter().position(|byte| matches!(byte, b'=' | b':')).unwrap_or(text.len());
        let found = text[..at].trim_ascii().to_ascii_lowercase();
        keys.insert(found.clone(), vec![text[at..].to_vec()]);
        key = Some((found, indent));
    }
    sections
}

fn is_ours(key: &[u8]) -> bool {
    key.starts_with(b"aws_") || key == b"x_security_token_expires"
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases.max(2000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn everything_outside_of_our_section_stays_byte_for_byte(file in file()) {
        let keys = Keys::of(&session(7)).unwrap();
        let Ok(content) = with_keys(&file, &name("etl"), &keys) else { return Ok(()) };
        let (before, ours, after) = split(&file);
        let (now_before, now_ours, now_after) = split(&content);
        if ours.is_empty() {
            // Added at the end, which needs a line of its own.
            prop_assert_eq!(without_end(before), without_end(now_before));
            prop_assert!(now_before.starts_with(before));
            prop_assert_eq!(file.is_empty() || file.ends_with(b"\n"), content.ends_with(b"\n"));
        } else {
            prop_assert_eq!(before, now_before);
        }
        prop_assert_eq!(after, now_after);
        prop_assert!(now_ours.starts_with(b"[etl]"));
    }

    #[test]
    fn clients_read_our_keys_and_all_that_they_read_before(file in file()) {
        let keys = Keys::of(&session(7)).unwrap();
        let Ok(content) = with_keys(&file, &name("etl"), &keys) else { return Ok(()) };
        let (mut before, mut now) = (parsed(&file), parsed(&content));
        let mut ours = now.remove(&b"etl"[..]).unwrap();
        let mut theirs = before.remove(&b"etl"[..]).unwrap_or_default();
        // Lines before any section, which mean nothing.
        before.retain(|_, keys| !keys.is_empty());
        now.retain(|_, keys| !keys.is_empty());
        prop_assert_eq!(before, now);
        let value = |key: &str| ours.get(key.as_bytes()).map(|lines| lines.as_slice());
        prop_assert_eq!(value("aws_access_key_id"), Some(&[b"= ASIA7".to_vec()][..]));
        prop_assert_eq!(value("aws_secret_access_key"), Some(&[b"= secret/7".to_vec()][..]));
        prop_assert_eq!(value("aws_session_token"), Some(&[b"= token+++++++==7".to_vec()][..]));
        prop_assert_eq!(value("aws_security_token"), None);
        ours.retain(|key, _| !is_ours(key));
        theirs.retain(|key, _| !is_ours(key));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn writing_twice_is_writing_once(file in file()) {
        let keys = Keys::of(&session(7)).unwrap();
        let Ok(once) = with_keys(&file, &name("etl"), &keys) else { return Ok(()) };
        prop_assert_eq!(&*with_keys(&once, &name("etl"), &keys).unwrap(), &*once);
        let other = Keys::of(&session(8)).unwrap();
        let two = with_keys(&once, &name("etl"), &other).unwrap();
        prop_assert_eq!(&*two, &*with_keys(&file, &name("etl"), &other).unwrap());
    }

    #[test]
    fn a_section_that_was_added_goes_without_a_trace(file in file()) {
        let keys = Keys::of(&session(7)).unwrap();
        let Ok(content) = with_keys(&file, &name("etl"), &keys) else { return Ok(()) };
        let gone = without_keys(&content, &name("etl")).unwrap();
        if split(&file).1.is_empty() {
            prop_assert_eq!(&*gone, &file);
        }
        prop_assert_eq!(&*without_keys(&gone, &name("etl")).unwrap(), &*gone);
    }

    #[test]
    fn any_bytes_are_a_file_or_are_refused(file in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = Keys::of(&session(7)).unwrap();
        if let Ok(content) = with_keys(&file, &name("etl"), &keys) {
            prop_assert!(content.starts_with(&file) || !split(&file).1.is_empty());
        }
        let _ = without_keys(&file, &name("etl"));
    }
}
