//! `rolekeeper sandbox`: lines that work as they are printed, and a summary at its end.

use std::process::Command;

use rustix::process::Signal;

use crate::support::{Home, Started, hidden, role};

/// Its lines, up to the last.
fn lines(sandbox: &mut Started) -> Vec<String> {
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("ROLEKEEPER_SANDBOX_TOKEN")) {
        lines.push(sandbox.line().expect("all lines"));
    }
    lines
}

/// Runs a script in a shell that has read the lines.
fn in_a_shell(home: &Home, lines: &[String], script: &str) -> String {
    let environment = home.rolekeeper([""; 0]).into_command();
    let mut shell = Command::new("sh");
    shell.args(["-ec", &format!("{}\n{script}", lines.join("\n"))]).env_clear();
    shell.current_dir(home.path());
    shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn its_lines_point_exec_at_it_and_ctrl_c_ends_it_with_a_summary() {
    let home = Home::new();
    let mut sandbox = home.rolekeeper(["sandbox", "--session-lifetime", "10s"]).start();
    let lines = lines(&mut sandbox);
    let us = env!("CARGO_BIN_EXE_rolekeeper");
    let script = format!(
        "{us} exec --role-arn {} -- {us} whoami --role-session-name inner --role-arn {}",
        role("demo"),
        role("chained")
    );
    let told = in_a_shell(&home, &lines, &script);
    assert!(told.contains("assumed-role/chained/inner"), "{told}");
    sandbox.signal(Signal::INT);
    let (status, stdout, stderr) = sandbox.output();
    assert!(status.success(), "{stderr}");
    assert_eq!(stdout, "");
    insta::assert_snapshot!(hidden(&format!("{}\n{stderr}", lines.join("\n"))));
}

#[test]
fn values_of_a_file_of_ones_own_are_quoted_for_the_shell() {
    let home = Home::new();
    let secret = "it's $HOME; `echo`";
    let config = home.file(
        "sandbox.toml",
        &format!(
            "account = \"123456789012\"\n[users.ci]\naccess_key_id = \"AKIAEXAMPLEEXAMPLE00\"\n\
             secret_access_key = \"{secret}\"\n[roles.demo]\ntrust = [\"user/ci\"]\n"
        ),
    );
    let mut sandbox = home.rolekeeper(["sandbox", "--config", config.to_str().unwrap()]).start();
    let lines = lines(&mut sandbox);
    let seen = in_a_shell(&home, &lines, "printenv AWS_SECRET_ACCESS_KEY");
    assert_eq!(seen.trim_end(), secret);
}

#[test]
fn json_is_one_object_with_the_same_names() {
    let home = Home::new();
    let mut sandbox = home.rolekeeper(["sandbox", "--json"]).start();
    let object: serde_json::Value = serde_json::from_str(&sandbox.line().unwrap()).unwrap();
    assert!(object["AWS_ENDPOINT_URL"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(object["AWS_ACCESS_KEY_ID"], "AKIAROLEKEEPERSANDBX");
    assert_eq!(object["ROLEKEEPER_SANDBOX_TOKEN"].as_str().unwrap().len(), 64);
    sandbox.signal(Signal::TERM);
    let (status, _, stderr) = sandbox.output();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("0 calls"), "{stderr}");
}

#[test]
fn it_misbehaves_from_the_start_if_told_to() {
    let home = Home::new();
    let faults = r#"{"fail": {"status": 503, "next": 1}}"#;
    let mut sandbox = home.rolekeeper(["sandbox", "--faults", faults]).start();
    let lines = lines(&mut sandbox);
    let us = env!("CARGO_BIN_EXE_rolekeeper");
    in_a_shell(&home, &lines, &format!("{us} whoami --role-arn {} 2> told", role("demo")));
    let told = std::fs::read_to_string(home.path().join("told")).unwrap();
    assert!(told.contains("ServiceUnavailable"), "{told}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = home.rolekeeper(["sandbox", "--listen", &address]).run().expect(70);
    assert!(ran.stderr.contains(&address), "{}", ran.stderr);
}
