//! `rolekeeper serve`: the agent, for programs that others start.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use rolekeeper::stores::SessionStore;
use rolekeeper_agent::{
    Agent, BindError, CONTAINER_PATH, Checked, Face, Listening, Plan, Planner, Role, RoleName,
    activation::{Inherited, Notifier},
    config::{self, Config, ImdsConfig, Problem},
    hardening,
};

use crate::{
    exit::{Status, Trouble},
    output::{LogFormat, Printer},
    signals::{End, Reload},
    store::StoreArguments,
    values,
};

#[derive(clap::Args)]
#[command(after_help = "\
Each role has a path of its own and a token in a file that only you can read;
what it prints at its start is what a program needs. A container endpoint is
what every SDK knows best; IMDS is for programs that know nothing else.

Examples:
  rolekeeper serve --profile etl --profile audit
  rolekeeper serve --config agent.toml --check
  rolekeeper serve --profile etl --imds etl=127.0.0.1:7347
  kill -HUP PID     # reads its configuration again, drops no session

docs/agent.md has the configuration file, curl sessions and metrics.")]
pub(crate) struct Arguments {
    /// A profile of ~/.aws/config to serve; give it again for more
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// What to serve, as TOML; default: ~/.config/rolekeeper/agent.toml, if no profile is named
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The container endpoint; default: 127.0.0.1:7345
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// An instance metadata service for one of the roles; give it again for more
    #[arg(long, value_name = "ROLE=ADDRESS:PORT", value_parser = imds)]
    imds: Vec<ImdsConfig>,

    /// Health and metrics; default: none
    #[arg(long, value_name = "ADDRESS:PORT")]
    operator: Option<SocketAddr>,

    /// The Unix socket for `status` and `credential-process`
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    /// Only check the configuration and say what would be served
    #[arg(long)]
    check: bool,

    /// How log lines look: for people, or one JSON object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) log: LogFormat,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    if arguments.log == LogFormat::Json {
        printer.only_log();
    }
    // Before there is any other thread: it takes variables out of the environment.
    let mut inherited = Inherited::take().map_err(Trouble::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::system("cannot start", error))?;
    runtime.block_on(async {
        let checked =
            arguments.checked(&inherited).await.map_err(|wrong| wrong.trouble(printer))?;
        let config = checked.config();
        let key_file = config.store_key_file.as_deref();
        let store = arguments.store.open_or(config.store.as_deref(), key_file)?;
        if arguments.check {
            checked.config().summary().into_iter().for_each(|line| printer.line(line));
            if let Some(store) = store {
                printer.line(format_args!("store      {}", store.name()));
            }
            return Ok(Status::OK);
        }
        for what in hardening::harden(checked.config().lock_memory).warnings() {
            printer.warning(what);
        }
        serve(arguments, checked, store, &mut inherited, printer).await
    })
}

/// Everything that is wrong with the configuration.
enum Wrong {
    Usage(Trouble),
    Problems(Vec<Problem>),
}

impl Arguments {
    /// The configuration as it is now: the file's, with what the command line says on top, and the
    /// addresses of sockets that systemd has bound.
    async fn checked(&self, inherited: &Inherited) -> Result<Checked, Wrong> {
        let (mut config, mut problems) = self.read()?;
        problems.extend(config.add_profiles(&self.profiles));
        if let Some(address) = self.listen {
            config.container = address;
        }
        config.imds.extend(self.imds.iter().cloned());
        config.operator = self.operator.or(config.operator);
        config.socket = self.socket.clone().or(config.socket);
        inherited.adopt_into(&mut config);
        match Checked::of(config).await {
            Ok(checked) if problems.is_empty() => return Ok(checked),
            Ok(_) => {}
            Err(more) => {
                let more = more.into_iter().filter(|problem| !follows(problem, &problems));
                let more: Vec<_> = more.collect();
                problems.extend(more);
            }
        }
        problems.sort_by_key(|problem| problem.line);
        Err(Wrong::Problems(problems))
    }

    fn read(&self) -> Result<(Config, Vec<Problem>), Wrong> {
        let default = || config::default_file().filter(|path| path.exists());
        let path = match &self.config {
            Some(path) => Some(path.clone()),
            None if self.profiles.is_empty() => default(),
            None => None,
        };
        let Some(path) = path else {
            if self.profiles.is_empty() {
                return Err(Wrong::Usage(Trouble::usage("nothing is named that could be served").with_hint(
                    "pass --profile NAME or --config FILE, or write ~/.config/rolekeeper/agent.toml",
                )));
            }
            return Ok((Config::default(), Vec::new()));
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Wrong::Usage(Trouble::usage(format!("cannot read {}: {error}", path.display())))
        })?;
        Ok(Config::read(&text, &path))
    }
}

impl Wrong {
    /// All but the last are told here.
    fn trouble(self, printer: &Printer) -> Trouble {
        match self {
            Self::Usage(trouble) => trouble,
            Self::Problems(mut problems) => {
                let last = problems.pop();
                for problem in problems {
                    printer.error(&trouble_of(&problem));
                }
                last.map_or_else(
                    || Trouble::usage("the configuration is wrong"),
                    |last| trouble_of(&last),
                )
            }
        }
    }
}

/// Whether a role makes no sense because of what has been told: what it is made of can't be read.
fn follows(problem: &Problem, told: &[Problem]) -> bool {
    let made_of = ["profile", "role_arn", "source_profile"];
    let keys = made_of.map(|key| format!("{}.{key}", problem.key));
    told.iter().any(|told| keys.contains(&told.key))
}

fn trouble_of(problem: &Problem) -> Trouble {
    let trouble = Trouble::usage(problem.to_string());
    match &problem.hint {
        Some(hint) => trouble.with_hint(hint),
        None => trouble,
    }
}

async fn serve(
    arguments: &Arguments,
    checked: Checked,
    store: Option<Arc<dyn SessionStore>>,
    inherited: &mut Inherited,
    printer: &Printer,
) -> Result<Status, Trouble> {
    let notifier = Notifier::from_env();
    let mut watchdog = notifier.watchdog_interval().map(tokio::time::interval);
    let mut signals = Signals::listen()?;
    let agent = Agent::new();
    let mut planner = Planner::new(checked.config());
    if let Some(store) = store {
        printer.note(format_args!("sharing sessions through {}", store.name()));
        planner = planner.with_store(store);
    }
    // Before a session is fetched or a token made.
    let mut places = Plan { roles: Vec::new(), listeners: checked.listeners() };
    inherited.hand_over(&mut places);
    let cannot = |error: BindError| Trouble::system("cannot serve", error);
    let bound = agent.bind(places.listeners).map_err(cannot)?;
    let plan =
        planner.plan(checked).map_err(|problems| Wrong::Problems(problems).trouble(printer))?;
    let listening = agent.serve_at(bound, plan.roles).await.map_err(cannot)?;
    let mut introduction = Introduction::default();
    introduction.tell(&agent, &listening, printer);
    printer.note(format_args!("{}; stop with Ctrl-C", served(&agent)));
    notifier.ready(&served(&agent));
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = due(watchdog.as_mut()) => {
                notifier.alive();
                continue;
            }
        };
        match signal {
            Signal::Reload => {
                notifier.reloading();
                let reload = reload(arguments, &agent, &mut planner, inherited, printer);
                if let Some(listening) = reload.await {
                    introduction.tell(&agent, &listening, printer);
                    let served = served(&agent);
                    printer.note(format_args!("read the configuration again: {served}"));
                }
                notifier.ready(&served(&agent));
            }
            Signal::End => break,
        }
    }
    notifier.stopping();
    agent.shutdown();
    Ok(Status::OK)
}

/// The next time that the service manager wants to hear of us; never, if it doesn't.
async fn due(watchdog: Option<&mut tokio::time::Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Serves what the configuration says now; if anything is wrong with it, all stays as it is.
async fn reload(
    arguments: &Arguments,
    agent: &Agent,
    planner: &mut Planner,
    inherited: &Inherited,
    printer: &Printer,
) -> Option<Vec<Listening>> {
    let plan = async {
        let checked = arguments.checked(inherited).await.map_err(|wrong| wrong.trouble(printer))?;
        let bound = agent
            .bind(checked.listeners())
            .map_err(|error| Trouble::system("cannot serve what the configuration says", error))?;
        // From here on the sessions of roles that are gone have ended.
        let plan = planner.plan(checked);
        let plan = plan.map_err(|problems| Wrong::Problems(problems).trouble(printer))?;
        Ok((bound, plan.roles))
    };
    let (bound, roles) = match plan.await {
        Ok(plan) => plan,
        Err(trouble) => {
            printer.trouble(&trouble);
            printer.warning("nothing was changed: everything is served as before");
            return None;
        }
    };
    agent.serve_at(bound, roles).await.map_err(|error| printer.warning(error)).ok()
}

fn served(agent: &Agent) -> String {
    match agent.roles().len() {
        1 => "serving 1 role".to_owned(),
        number => format!("serving {number} roles"),
    }
}

/// What a program needs to read each role; what was told at the start is not told again.
#[derive(Default)]
struct Introduction {
    /// Hashes of the texts, since an agent may serve thousands of roles: that two of them are the
    /// same is less likely than that a bit falls over.
    told: HashSet<u64>,
    hasher: RandomState,
}

impl Introduction {
    fn tell(&mut self, agent: &Agent, listening: &[Listening], printer: &Printer) {
        for Listening { address, face } in listening {
            match face {
                Face::Container => {
                    for role in agent.roles() {
                        self.line(printer, &container(*address, &role));
                    }
                }
                Face::Imds { role, .. } => {
                    let url =
                        export("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{address}/"));
                    self.line(printer, &format!("# {role} over IMDS\n{url}"));
                }
                Face::Operator => {
                    self.line(printer, &format!("# health and metrics: http://{address}/metrics"));
                }
                Face::Local => {}
            }
        }
    }

    fn line(&mut self, printer: &Printer, text: &str) {
        if self.told.insert(self.hasher.hash_one(text)) {
            printer.line(text);
        }
    }
}

fn container(address: SocketAddr, role: &Role) -> String {
    let url = format!("http://{address}{CONTAINER_PATH}{}", role.name());
    let mut text = format!("# {}: {}\n", role.name(), role.credentials().name());
    text += &export("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
    if let Some(file) = role.tokens().file() {
        let file = file.display().to_string();
        text += "\n";
        text += &export("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file);
    }
    text
}

fn export(name: &str, value: &str) -> String {
    format!("export {name}={}", values::posix_quoted(value))
}

fn imds(text: &str) -> Result<ImdsConfig, String> {
    let (role, address) = text.split_once('=').ok_or("expected ROLE=ADDRESS:PORT")?;
    let role = RoleName::parse(role).map_err(|error| error.to_string())?;
    let listen = address
        .parse()
        .map_err(|_| format!("`{address}` is not an address and a port such as 127.0.0.1:7347"))?;
    Ok(ImdsConfig { listen, role, v1: false })
}

/// What an operator asks of us while we run.
enum Signal {
    Reload,
    End,
}

struct Signals {
    reload: Reload,
    end: End,
}

impl Signals {
    fn listen() -> Result<Self, Trouble> {
        Ok(Self { reload: Reload::listen()?, end: End::listen()? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            () = self.reload.next() => Signal::Reload,
            _ = self.end.next() => Signal::End,
        }
    }
}
