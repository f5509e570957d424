//! The one way to print: results on stdout, everything else on stderr, colour only on a terminal.

use std::{
    cell::Cell,
    fmt::{self, Display},
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
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
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self { gone: Cell::new(false) }
    }

    /// A line of the result.
    pub(crate) fn line(&self, line: impl Display) {
        if !self.gone.get() && writeln!(anstream::stdout().lock(), "{line}").is_err() {
            self.gone.set(true);
        }
    }

    /// A line for the person who is watching.
    pub(crate) fn note(&self, line: impl Display) {
        let _ = writeln!(anstream::stderr().lock(), "{line}");
    }

    /// Without an end of line, at once: live displays.
    pub(crate) fn live(&self, text: impl Display) {
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    pub(crate) fn warning(&self, message: impl Display) {
        let style = AnsiColor::Yellow.on_default();
        self.note(format_args!("{style}warning:{style:#} {message}"));
    }

    /// The error, and apart from it what to do next.
    pub(crate) fn trouble(&self, trouble: &Trouble) {
        self.note(format_args!("{BAD}error:{BAD:#} {}", trouble.message));
        if let Some(hint) = &trouble.hint {
            self.note(format_args!("{STRONG}hint:{STRONG:#} {hint}"));
        }
        if trouble.status == Status::USAGE {
            self.note("For more information, try '--help'.");
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

/// Warnings go to stderr, more of them with `-v`, and none without it while something is being
/// drawn there. Our own crates only: an SDK's debug log can hold what it sends.
pub(crate) fn log(verbose: u8, is_drawing: bool) {
    use tracing_subscriber::{Layer, filter::filter_fn, layer::SubscriberExt};
    let level = match verbose {
        0 if is_drawing => LevelFilter::OFF,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // What failed is told in words: see `events`.
    let is_told = |target: &str, level| target == "rolekeeper::events" && level == Level::WARN;
    let ours = filter_fn(move |metadata| {
        let target = metadata.target();
        target.starts_with("rolekeeper") && !is_told(target, *metadata.level())
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .event_format(Lines)
        .with_filter(level)
        .with_filter(ours);
    let subscriber = tracing_subscriber::registry().with(lines);
    // Set once, at start: a second time can't be.
    let _ = tracing::subscriber::set_global_default(subscriber);
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
