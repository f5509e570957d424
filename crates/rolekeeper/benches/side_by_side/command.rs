//! How long a command takes that prints one session.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rolekeeper_sandbox::Sandbox;
use tokio::task::spawn_blocking;

use crate::{
    measure::{median, monotonic},
    report::Row,
};

const ROUNDS: usize = 30;
/// The AWS CLI takes most of a second: it has a turn in each third round.
const ROUNDS_TO_ONE_OF_THE_AWS_CLI: usize = 3;

/// The programs, and the world that they are run in.
struct Commands {
    rolekeeper: PathBuf,
    aws: Option<Aws>,
    role_arn: String,
    variables: Vec<(String, String)>,
    home: PathBuf,
}

struct Aws {
    path: PathBuf,
    version: String,
}

pub(crate) async fn rows() -> io::Result<Vec<Row>> {
    let Some(rolekeeper) = built("rolekeeper") else {
        return Ok(vec![not_run(
            "`rolekeeper` is not built: cargo build --release -p rolekeeper-cli",
        )]);
    };
    let sandbox = Sandbox::builder().start().await?;
    let home = std::env::temp_dir().join(format!("side-by-side-{}", std::process::id()));
    fs::create_dir_all(home.join(".aws"))?;
    let role_arn = sandbox.role_arn("demo");
    // What both need to know, in the form that both read.
    let profile = "[profile bench]\ncredential_source = Environment\nrole_arn = ";
    fs::write(home.join(".aws/config"), format!("{profile}{role_arn}\n"))?;
    let commands = Commands {
        rolekeeper,
        aws: None,
        role_arn,
        variables: sandbox.environment(),
        home: home.clone(),
    };
    let row = spawn_blocking(move || commands.row()).await.map_err(io::Error::other)?;
    fs::remove_dir_all(home)?;
    sandbox.shutdown().await;
    Ok(vec![row?])
}

/// A program that this build made, beside which this benchmark lies.
fn built(name: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let path = here.parent()?.parent()?.join(name);
    path.is_file().then_some(path)
}

fn not_run(why: &str) -> Row {
    Row {
        what: WHAT.into(),
        must_be: MUST_BE.into(),
        ratios: "not run".into(),
        absolute: why.into(),
        met: Some(false),
    }
}

const WHAT: &str = "rolekeeper credential-process, start to exit, static base and the sandbox";
const MUST_BE: &str =
    "reported beside /bin/true and, where installed, aws configure export-credentials";

// === impl Commands ===

impl Commands {
    fn row(mut self) -> io::Result<Row> {
        self.aws = self.find_aws();
        let (mut ours, mut bare, mut aws) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            bare.push(timed(&mut self.command(Path::new("/bin/true"), &[]))?);
            ours.push(timed(&mut self.ours())?);
            if let Some(found) = &self.aws
                && round % ROUNDS_TO_ONE_OF_THE_AWS_CLI == 0
            {
                self.forget()?;
                aws.push(timed(&mut self.aws(&found.path))?);
            }
        }
        let [ours, bare, aws] = [ours, bare, aws].map(median);
        let millis = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        let (aws_ratio, aws_time) = match &self.aws {
            Some(Aws { version, .. }) => (
                format!("the AWS CLI takes {:.0} × as long", aws / ours),
                format!("aws {} ({version})", millis(aws)),
            ),
            None => (
                "the AWS CLI was not run".into(),
                "no AWS CLI v2 here (v1 has no such command)".into(),
            ),
        };
        Ok(Row {
            what: WHAT.into(),
            must_be: MUST_BE.into(),
            ratios: format!("{:.1} × /bin/true; {aws_ratio}", ours / bare),
            absolute: format!("{}; /bin/true {}; {aws_time}", millis(ours), millis(bare)),
            met: Some(true),
        })
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn ours(&self) -> Command {
        self.command(&self.rolekeeper, &["credential-process", "--role-arn", &self.role_arn])
    }

    fn aws(&self, path: &Path) -> Command {
        let arguments = ["configure", "export-credentials", "--profile", "bench"];
        self.command(path, &arguments)
    }

    /// The AWS CLI keeps the session of a role in a file; without it, it asks STS as we do.
    fn forget(&self) -> io::Result<()> {
        let kept = self.home.join(".aws/cli");
        if kept.exists() { fs::remove_dir_all(kept) } else { Ok(()) }
    }

    /// The tests' own, which has no shims before it, or else what is on PATH.
    fn find_aws(&self) -> Option<Aws> {
        let venv = built("rolekeeper")?.parent()?.parent()?.join("venv/bin/aws");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).map(|folder| folder.join("aws"));
        [venv].into_iter().chain(on_path).filter(|path| path.is_file()).find_map(|path| {
            timed(&mut self.aws(&path)).ok()?;
            let version = self.command(&path, &["--version"]).output().ok()?.stdout;
            let version = String::from_utf8_lossy(&version);
            let version = version.split_whitespace().next()?.to_owned();
            Some(Aws { path, version })
        })
    }
}

/// Seconds from before its start to after its end.
fn timed(command: &mut Command) -> io::Result<f64> {
    let before = monotonic();
    let run = command.output()?;
    let took: Duration = monotonic() - before;
    if run.status.success() {
        return Ok(took.as_secs_f64());
    }
    let why = String::from_utf8_lossy(&run.stderr).into_owned();
    Err(io::Error::other(format!("{command:?} failed: {why}")))
}
