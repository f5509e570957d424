//! `rolekeeper export`: one session in the words of a shell.

use clap::ValueEnum;
use rolekeeper_agent::document;

use super::{PATIENCE, block_on};
use crate::{
    environment,
    exit::{Status, Trouble},
    identity::RoleArguments,
    output::Printer,
    store::Usual,
    values::posix_quoted,
};

#[derive(clap::Args)]
#[command(after_help = "\
What is exported is never refreshed. Use it to look at a session, or where nothing else works.

Examples:
  eval \"$(rolekeeper export --role-arn arn:aws:iam::123456789012:role/etl)\"
  rolekeeper export --profile etl --format fish | source
  rolekeeper export --profile etl --format json | jq -r .Expiration")]
pub(crate) struct Arguments {
    /// In which words
    #[arg(long, value_enum, default_value_t = Format::Env)]
    format: Format,

    #[command(flatten)]
    role: RoleArguments,
}

/// The formats of `aws configure export-credentials`.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// export NAME='value'
    Env,
    /// NAME='value'
    EnvNoExport,
    /// As credential-process prints it
    #[value(alias = "process")]
    Json,
    /// $Env:NAME='value'
    Powershell,
    /// set NAME=value
    WindowsCmd,
    /// set -gx NAME 'value'
    Fish,
}

pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<Status, Trouble> {
    let Arguments { role, format } = arguments;
    let session = block_on(async {
        // It is not refreshed: it is to last as long as a session can.
        let identity = role.identity(printer, Usual::Nowhere).await?;
        identity.session(PATIENCE, printer).await
    })?;
    if matches!(format, Format::Json) {
        printer.line(String::from_utf8_lossy(&document::process(&session)));
        return Ok(Status::OK);
    }
    for (name, value) in environment::session(&session) {
        printer.line(format.assignment(name, &value.to_string_lossy())?);
    }
    Ok(Status::OK)
}

impl Format {
    /// One assignment, quoted so that the shell sees exactly `value`.
    fn assignment(self, name: &str, value: &str) -> Result<String, Trouble> {
        Ok(match self {
            Self::Env => format!("export {name}={}", posix_quoted(value)),
            Self::EnvNoExport => format!("{name}={}", posix_quoted(value)),
            Self::Powershell => format!("$Env:{name}='{}'", value.replace('\'', "''")),
            Self::Fish => {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                format!("set -gx {name} '{value}'")
            }
            Self::WindowsCmd => {
                // cmd has no way to write these in a `set`.
                if value.contains(['%', '"', '\r', '\n', '^', '&', '|', '<', '>']) {
                    return Err(Trouble::usage(format!("cmd cannot take the value of {name}"))
                        .with_hint("use --format powershell"));
                }
                format!("set {name}={value}")
            }
            Self::Json => unreachable!("printed as a whole"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_sees_the_value_as_it_is() {
        let line = |format: Format| format.assignment("N", r"a'b\c").expect("can be written");
        assert_eq!(line(Format::Env), r"export N='a'\''b\c'");
        assert_eq!(line(Format::EnvNoExport), r"N='a'\''b\c'");
        assert_eq!(line(Format::Powershell), r"$Env:N='a''b\c'");
        assert_eq!(line(Format::Fish), r"set -gx N 'a\'b\\c'");
        assert_eq!(line(Format::WindowsCmd), r"set N=a'b\c");
    }

    #[test]
    fn what_cmd_cannot_take_is_refused() {
        assert!(Format::WindowsCmd.assignment("N", "50%").is_err());
    }
}
