//! The one way to print: results on stdout, everything else on stderr, colour only on a terminal.

mod log_thread;

use std::{
    cell::Cell,
    fmt::{self, Display},
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use rolekeeper::Clock;
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, time::FormatTime},
    registry::LookupSpan,
};

use crate::exit::{Status, Trouble};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

pub(crate) struct Printer {
    /// The reader of our stdout has gone: nobody is told anything more, and that is no failure of
    /// ours.
    gone: Cell<bool>,
    /// What is for people goes to the log: a program reads our stderr.
    logs: Cell<bool>,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self { gone: Cell::new(false), logs: Cell::new(false) }
    }

    /// From here on, nothing but log lines goes to stderr.
    pub(crate) fn only_log(&self) {
        self.logs.set(true);
    }

    /// A line of the result.
    pub(crate) fn line(&self, line: impl Display) {
        if !self.gone.get() && writeln!(anstream::stdout().lock(), "{line}").is_err() {
            self.gone.set(true);
        }
    }

    /// A line for the person who is watching.
    pub(crate) fn note(&self, line: impl Display) {
        if self.logs.get() {
            tracing::info!("{line}");
        } else {
            let _ = writeln!(anstream::stderr().lock(), "{line}");
        }
    }

    /// Without an end of line, at once: live displays.
    pub(crate) fn live(&self, text: impl Display) {
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    pub(crate) fn warning(&self, message: impl Display) {
        if self.logs.get() {
            tracing::warn!("{message}");
            return;
        }
        let style = AnsiColor::Yellow.on_default();
        self.note(format_args!("{style}warning:{style:#} {message}"));
    }

    /// The last error, and apart from it what to do next.
    pub(crate) fn trouble(&self, trouble: &Trouble) {
        self.error(trouble);
        if trouble.status == Status::USAGE && !self.logs.get() {
            self.note("For more information, try '--help'.");
        }
    }

    /// One of several errors.
    pub(crate) fn error(&self, trouble: &Trouble) {
        if self.logs.get() {
            tracing::error!(hint = trouble.hint.as_deref(), "{}", trouble.message);
            return;
        }
        self.note(format_args!("{BAD}error:{BAD:#} {}", trouble.message));
        if let Some(hint) = &trouble.hint {
            self.note(format_args!("{STRONG}hint:{STRONG:#} {hint}"));
        }
    }

    /// Whether a live display makes sense.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }
}

/// Styled text, for use within a line.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What a terminal has, if it has not been made wider.
pub(crate) const COLUMNS: usize = 80;

/// In lines of so many columns; a word that is longer gets a line of its own.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.extend([" ", word]);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people: `warning: what happened name=value`
    #[default]
    Text,
    /// For programs: one JSON object a line, with its time
    Json,
}

/// What a command wants logged if nobody asks for more or less of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logging {
    /// Warnings; what goes wrong with a session is told in words: see `events`.
    Warnings,
    /// Nothing, because something is being drawn on stderr.
    Nothing,
    /// All that happens to sessions, and who reads them: there is nobody else to tell.
    Service(LogFormat),
}

/// Log lines go to stderr, more of them with `-v`. Our own crates only: an SDK's debug log can hold
/// what it sends.
pub(crate) fn log(verbose: u8, logging: Logging) {
    use tracing_subscriber::{Layer, filter::filter_fn, layer::SubscriberExt};
    let is_service = matches!(logging, Logging::Service(_));
    let level = match verbose {
        0 if logging == Logging::Nothing => LevelFilter::OFF,
        0 if !is_service => LevelFilter::WARN,
        0 | 1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let is_told = move |target: &str, level| {
        !is_service && target == "rolekeeper::events" && level == Level::WARN
    };
    let ours = filter_fn(move |metadata| {
        let target = metadata.target();
        target.starts_with("rolekeeper") && !is_told(target, *metadata.level())
    });
    let writer: fn() -> Box<dyn Write> =
        if is_service { || Box::new(log_thread::LogThread) } else { || Box::new(io::stderr()) };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match logging {
        Logging::Service(LogFormat::Json) => {
            lines.json().with_timer(UtcTime).with_current_span(false).with_span_list(false).boxed()
        }
        _ => lines.event_format(Lines).boxed(),
    };
    let subscriber =
        tracing_subscriber::registry().with(lines.with_filter(level).with_filter(ours));
    // Set once, at start: a second time can't be.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Before the end: the last lines are on their way to stderr.
pub(crate) fn flush_log() {
    log_thread::flush();
}

/// RFC 3339 with milliseconds.
struct UtcTime;

impl FormatTime for UtcTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let nanos = Clock::System.now().wall.as_unix_nanos();
        let now = jiff::Timestamp::from_nanosecond(nanos.into()).map_err(|_| fmt::Error)?;
        write!(writer, "{now:.3}")
    }
}

/// The log in the same words as everything else on stderr: `warning: what happened name=value`.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        write!(writer, "{level}: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
