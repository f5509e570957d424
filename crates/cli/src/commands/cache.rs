//! `rolekeeper cache`: the sessions that commands of this user share.

use rolekeeper::{
    Clock,
    stores::{Entry, FileStore},
};

use super::status::words;
use crate::{
    exit::{Status, Trouble},
    output::Printer,
    store::trouble,
};

#[derive(clap::Args)]
#[command(after_help = "\
The cache is a folder of sealed files: $XDG_CACHE_HOME/rolekeeper, else
~/.cache/rolekeeper. Its key lies in $XDG_STATE_HOME/rolekeeper/store.key, else
~/.local/state/rolekeeper/store.key. Commands leave it alone with --store none,
or with ROLEKEEPER_STORE=none.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Print each session: whose it is, and how long it is valid
    List,
    /// Take all sessions out: the next command fetches a new one
    Clear,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let store = FileStore::of_user().map_err(trouble)?;
    match arguments.task {
        Task::List => list(&store.entries().map_err(trouble)?, printer),
        Task::Clear => {
            let count = store.clear().map_err(trouble)?;
            let sessions = if count == 1 { "session" } else { "sessions" };
            printer
                .note(format_args!("took {count} {sessions} out of {}", store.folder().display()));
        }
    }
    Ok(Status::OK)
}

fn list(entries: &[Entry], printer: &Printer) {
    if entries.is_empty() {
        printer.note("no session is stored");
        return;
    }
    let now = Clock::System.now();
    printer.line(format_args!("{:>9}  {:20}  SESSION", "VALID FOR", "ACCESS KEY"));
    for Entry { session, key, .. } in entries {
        match session {
            Ok(session) => {
                let valid_for = match session.remaining(now).as_secs() {
                    0 => "nothing".to_owned(),
                    seconds => words(seconds),
                };
                let arn = session.assumed_role_arn().unwrap_or("-");
                printer.line(format_args!("{valid_for:>9}  {:20}  {arn}", session.access_key_id()));
            }
            Err(why) => {
                let key = &key.to_string()[..16];
                printer.line(format_args!("{:>9}  {:20}  {key}…: {why}", "-", "-"));
            }
        }
    }
}
