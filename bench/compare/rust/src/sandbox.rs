//! The STS that all call: `rolekeeper sandbox`, a process of its own.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

/// The role that all assume.
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/demo";

/// So long the STS takes to answer, where a row doesn't say otherwise.
pub(crate) const LATENCY: Duration = Duration::from_millis(100);

pub(crate) struct Sandbox {
    process: Child,
    token: String,
    variables: BTreeMap<String, String>,
}

// === impl Sandbox ===

impl Sandbox {
    /// Whose sessions live for so many seconds, whatever is asked for.
    pub(crate) fn start(program: &Path, lifetime: u64, latency: Duration) -> io::Result<Self> {
        let mut process = Command::new(program)
            .args(["sandbox", "--json", "--listen", "127.0.0.1:0"])
            .args(["--session-lifetime", &format!("{lifetime}s")])
            .args(["--faults", &late(latency, "")])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let out = process.stdout.take().ok_or_else(|| io::Error::other("it is piped"))?;
        BufReader::new(out).read_line(&mut line)?;
        let mut variables: BTreeMap<String, String> = serde_json::from_str(&line)?;
        let token = variables.remove("ROLEKEEPER_SANDBOX_TOKEN").unwrap_or_default();
        Ok(Self { process, token, variables })
    }

    /// What points an SDK at it.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub(crate) fn url(&self) -> String {
        self.variable("AWS_ENDPOINT_URL")
    }

    pub(crate) fn variable(&self, name: &str) -> String {
        self.variables.get(name).cloned().unwrap_or_default()
    }

    /// From now on it answers 503, as slowly as before.
    pub(crate) fn go_down(&self) -> io::Result<()> {
        self.admin("PUT", "faults", &late(LATENCY, r#","fail":{"status":503}"#)).map(drop)
    }

    pub(crate) fn come_back(&self) -> io::Result<()> {
        self.admin("PUT", "faults", &late(LATENCY, "")).map(drop)
    }

    /// All calls of AssumeRole that it has seen, whatever became of them.
    pub(crate) fn calls(&self) -> io::Result<u64> {
        let counts = self.admin("GET", "counts", "")?;
        let rows = counts["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_roles = rows.iter().filter(|row| row["operation"] == "AssumeRole");
        Ok(of_roles.filter_map(|row| row["calls"].as_u64()).sum())
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let address = self.url().replace("http://", "");
        let mut connection = TcpStream::connect(&address)?;
        let (token, length) = (&self.token, body.len());
        write!(
            connection,
            "{method} /_sandbox/{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer \
             {token}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if !head.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("the sandbox answered {head}")));
        }
        Ok(serde_json::from_str(body)?)
    }
}

/// The faults of an STS that is slow, and what else it is.
fn late(latency: Duration, further: &str) -> String {
    format!(r#"{{"only":["AssumeRole"],"latency_ms":{}{further}}}"#, latency.as_millis())
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
