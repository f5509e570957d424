//! The same file with other keys in it, case by case.

use std::sync::Arc;

use rolekeeper::{Clock, Credentials, Issued, Session, WallTime};
use rolekeeper_agent::credentials_file::{
    Keys, SectionName, Unclear, setting, with_keys, without_keys,
};

use super::name;

fn session() -> Session {
    let issued = Issued::new(
        Credentials::new("ASIANEW", "new/secret+0", "new/token=="),
        WallTime::from_unix_secs(1_900_000_000),
    );
    place(issued.with_account_id("123456789012"))
}

fn place(issued: Issued) -> Session {
    Session::place(issued, Clock::System.now(), 1)
}

fn written(file: &str) -> Result<String, Unclear> {
    let keys = Keys::of(&session()).unwrap();
    with_keys(file.as_bytes(), &name("etl"), &keys)
        .map(|content| String::from_utf8(content.to_vec()).unwrap())
}

fn removed(file: &str) -> String {
    let content = without_keys(file.as_bytes(), &name("etl")).unwrap();
    String::from_utf8(content.to_vec()).unwrap()
}

const KEYS: &str = "\
aws_access_key_id = ASIANEW
aws_secret_access_key = new/secret+0
aws_session_token = new/token==
aws_account_id = 123456789012
x_security_token_expires = 2030-03-17T17:46:40Z
";

#[test]
fn a_section_that_is_not_there_is_added_at_the_end() {
    assert_eq!(written("").unwrap(), format!("[etl]\n{KEYS}"));
    assert_eq!(written("[a]\nx = 1\n").unwrap(), format!("[a]\nx = 1\n[etl]\n{KEYS}"));
    assert_eq!(written("# mine\n\n").unwrap(), format!("# mine\n\n[etl]\n{KEYS}"));
    // Sections of other names, however near.
    for near in ["[etl2]", "[ETL]", "[profile etl]", "[etl-fresh] ; [x]", "#[etl]", "; [etl]"] {
        let file = format!("{near}\nx = 1\n");
        assert_eq!(written(&file).unwrap(), format!("{file}[etl]\n{KEYS}"));
    }
}

#[test]
fn a_file_without_an_end_of_line_at_its_end_has_none_after_it_either() {
    let keys = KEYS.trim_end();
    assert_eq!(written("[a]\nx = 1").unwrap(), format!("[a]\nx = 1\n[etl]\n{keys}"));
    assert_eq!(written("[etl]").unwrap(), format!("[etl]\n{keys}"));
    assert_eq!(written("[etl]\nregion = x").unwrap(), format!("[etl]\n{KEYS}region = x"));
    assert_eq!(removed(&written("[a]\nx = 1").unwrap()), "[a]\nx = 1");
}

#[test]
fn lines_end_as_the_others_do() {
    let keys = KEYS.replace('\n', "\r\n");
    assert_eq!(written("[a]\r\nx = 1\r\n").unwrap(), format!("[a]\r\nx = 1\r\n[etl]\r\n{keys}"));
    assert_eq!(
        written("[a]\n[etl]\r\naws_security_token=t\r\n[b]\n").unwrap(),
        format!("[a]\n[etl]\r\n{keys}[b]\n"),
    );
    assert_eq!(
        written("[a]\r\nx = 1").unwrap(),
        format!("[a]\r\nx = 1\r\n[etl]\r\n{}", keys.trim_end())
    );
}

#[test]
fn keys_of_ours_keep_their_place_and_all_others_stay() {
    let file = "\
# first
[a]
aws_access_key_id = AKIAOTHER

[etl]
# about the Region
region = eu-central-1
AWS_Session_Token=old
  # within
output = json
aws_access_key_id: OLD

; after
[b]
aws_secret_access_key = other
";
    assert_eq!(
        written(file).unwrap(),
        "\
# first
[a]
aws_access_key_id = AKIAOTHER

[etl]
# about the Region
region = eu-central-1
aws_session_token = new/token==
  # within
output = json
aws_access_key_id = ASIANEW
aws_secret_access_key = new/secret+0
aws_account_id = 123456789012
x_security_token_expires = 2030-03-17T17:46:40Z

; after
[b]
aws_secret_access_key = other
"
    );
}

#[test]
fn what_would_go_before_ours_goes() {
    let file = "[etl]\naws_session_token = a\naws_security_token = b\naws_account_id = 9\n\
                aws_session_token = c\n  more of it\n\n  and more\nregion = x\n";
    let section = format!("[etl]\n{KEYS}\nregion = x\n");
    let mut lines: Vec<_> = section.lines().collect();
    let text = written(file).unwrap();
    let mut found: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, lines);
    // An account that is not known is not the one from before.
    let issued = Issued::new(Credentials::new("A", "s", ""), WallTime::from_unix_secs(0));
    let keys = Keys::of(&place(issued)).unwrap();
    let content = with_keys(file.as_bytes(), &name("etl"), &keys).unwrap();
    assert_eq!(
        String::from_utf8(content.to_vec()).unwrap(),
        "[etl]\naws_access_key_id = A\naws_secret_access_key = s\n\
         x_security_token_expires = 1970-01-01T00:00:00Z\n\nregion = x\n"
    );
}

#[test]
fn indented_keys_have_indented_neighbours() {
    // Python reads a line that is indented further than the one before it as part of its value.
    let file = "[etl]\n  region = x\n  output = json\n";
    let indented: String = KEYS.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(written(file).unwrap(), format!("[etl]\n{indented}  region = x\n  output = json\n"));
    let file = "[etl]\n\tregion = x\n\taws_session_token = t\n\toutput = json\n";
    let text = written(file).unwrap();
    assert!(text.lines().skip(1).all(|line| line.starts_with('\t')), "{text}");
    // A value that looks like a key.
    let file = "[etl]\ns3 =\n  aws_access_key_id = nested\n";
    assert_eq!(
        written(file).unwrap(),
        format!("[etl]\n{KEYS}s3 =\n  aws_access_key_id = nested\n")
    );
}

#[test]
fn a_file_that_sdks_read_differently_is_refused_with_its_line() {
    for (file, expected) in [
        ("[a]\nx = 1\n[broken\n", Unclear::Header { line: 3 }),
        ("[a]\n  [b]\n", Unclear::Header { line: 2 }),
        ("[a]\n[ etl ]\n", Unclear::Header { line: 2 }),
        ("[etl] # see [b]\n", Unclear::Header { line: 1 }),
        ("[etl]]\n", Unclear::Header { line: 1 }),
        ("\n[etl]\n[b]\n[etl]\n", Unclear::Twice { first: 2, second: 4 }),
        ("[a]\r[etl]\rx = 1", Unclear::NotText),
        ("[\0a\0]\0\n\0", Unclear::NotText),
    ] {
        assert_eq!(written(file), Err(expected), "{file:?}");
        assert!(without_keys(file.as_bytes(), &name("etl")).is_err());
    }
    // Somebody else's headers are somebody else's.
    for file in ["[a] # b\n", "[a] junk\n", "[a]]\n", "[a]\n[a]\n", "[]\n", "[ b ]\n"] {
        assert_eq!(written(file).unwrap(), format!("{file}[etl]\n{KEYS}"));
    }
    assert_eq!(written("[etl] # mine\n").unwrap(), format!("[etl] # mine\n{KEYS}"));
}

#[test]
fn a_long_term_key_is_not_overwritten() {
    let file = "[etl]\nregion = x\naws_access_key_id = AKIA\naws_secret_access_key = s\n";
    assert_eq!(written(file), Err(Unclear::LongTermKey { line: 3 }));
    assert_eq!(removed(file), file);
    let told = Unclear::LongTermKey { line: 3 }.to_string();
    assert!(told.contains("line 3") && !told.contains("AKIA"), "{told}");
    // One of ours without a token: it was made of a key that has none.
    let issued = Issued::new(Credentials::new("A", "s", ""), WallTime::from_unix_secs(0));
    let keys = Keys::of(&place(issued)).unwrap();
    let once = with_keys(b"", &name("etl"), &keys).unwrap();
    assert_eq!(with_keys(&once, &name("etl"), &keys).unwrap(), once);
}

#[test]
fn a_value_that_could_become_a_line_is_refused_and_not_shown() {
    for wrong in ["to\nken", "to ken", "tokén", "t\r", "t\0"] {
        let credentials = Credentials::new("ASIA", "secret", wrong);
        let session = place(Issued::new(credentials, WallTime::from_unix_secs(0)));
        let refused = Keys::of(&session).err().unwrap();
        assert_eq!(refused, Unclear::Value { key: "aws_session_token" });
        assert!(!refused.to_string().contains(wrong));
    }
}

#[test]
fn removal_leaves_what_is_not_ours() {
    let added = written("[a]\nx = 1\n").unwrap();
    assert_eq!(removed(&added), "[a]\nx = 1\n");
    assert_eq!(removed(&written("").unwrap()), "");
    assert_eq!(removed(&format!("[a]\n[etl]\n{KEYS}\n[b]\n")), "[a]\n\n[b]\n");
    assert_eq!(removed(&format!("[etl]\nregion = x\n{KEYS}[b]\n")), "[etl]\nregion = x\n[b]\n");
    assert_eq!(removed(&format!("[etl]\n# mine\n{KEYS}")), "[etl]\n# mine\n");
    assert_eq!(removed("[a]\nx = 1\n"), "[a]\nx = 1\n");
}

#[test]
fn one_setting_is_found_in_its_section() {
    let file = b"[a]\nsource_profile = no\n[etl]\n# c\nSource_Profile=base # x\nempty\n\xff = 1\n";
    let found = |key| setting(file, &name("etl"), key);
    assert_eq!(found("source_profile").as_deref(), Some("base # x"));
    assert_eq!(found("empty"), None);
    assert_eq!(found("region"), None);
}

#[test]
fn names_that_some_sdk_does_not_read_are_refused() {
    for good in ["default", "etl-fresh", "a.b/c@d:e+f%20_", "0"] {
        assert_eq!(good.parse::<SectionName>().map(|name| name.to_string()), Ok(good.to_owned()));
    }
    let long = "x".repeat(65);
    for wrong in ["", "a b", "a]", "[a", "a\nb", "#a", "é", "DEFAULT", &long] {
        assert!(wrong.parse::<SectionName>().is_err(), "{wrong}");
    }
}

#[test]
fn no_secret_is_in_what_is_told() {
    let session = Arc::new(session());
    let told = format!("{session:?} {:?}", Unclear::Value { key: "aws_session_token" });
    assert!(!told.contains("new/secret") && !told.contains("new/token"), "{told}");
}
