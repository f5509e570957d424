//! `rolekeeper completions`: scripts that their shells can read.

use std::process::Command;

use crate::support::Home;

#[test]
fn every_shell_can_read_its_script() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.rolekeeper(["completions", shell]).run().expect(0).stdout;
        for word in ["credential-process", "role-arn", "sandbox"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // What reads a script without running it.
        let check: &[&str] = match shell {
            "bash" | "zsh" => &["-n"],
            "fish" => &["--no-execute"],
            _ => continue,
        };
        let path = home.file(&format!("script.{shell}"), &script);
        match Command::new(shell).args(check).arg(&path).output() {
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && told.is_empty(), "{shell}: {told}");
            }
            Err(_) => eprintln!("skipped: no {shell} here"),
        }
    }
}

#[test]
fn bash_completes_verbs_and_options() {
    let home = Home::new();
    let script = home.rolekeeper(["completions", "bash"]).run().expect(0).stdout;
    let path = home.file("script.bash", &script);
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.len() - 1;
        let asked = format!(
            "source {path}; COMP_WORDS=({line}); COMP_CWORD={at}; \
             _rolekeeper rolekeeper '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            path = path.display(),
            last = words[at],
            before = words[at - 1],
        );
        let output = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("rolekeeper who"), "whoami");
    assert!(complete("rolekeeper exec --role-a").contains("--role-arn"));
    assert_eq!(complete("rolekeeper export --format pow"), "powershell");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let home = Home::new();
    let script = format!(
        "{} completions bash | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_rolekeeper")
    );
    let output =
        Command::new("bash").args(["-c", &script]).env("HOME", home.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n0\n"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
