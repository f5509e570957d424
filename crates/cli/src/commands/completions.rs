//! `rolekeeper completions`: what Tab does.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{exit::Status, output::Printer};

#[derive(clap::Args)]
#[command(after_help = "\
Example, for ~/.bashrc:
  source <(rolekeeper completions bash)")]
pub(crate) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, printer: &Printer) -> Status {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::Arguments::command(),
        "rolekeeper",
        &mut script,
    );
    printer.line(String::from_utf8_lossy(&script).trim_end());
    Status::OK
}
