//! Where things are if nobody says otherwise.

use std::{env, path::PathBuf};

/// The Unix socket: `$XDG_RUNTIME_DIR/rolekeeper/agent.sock`, else
/// `~/.local/state/rolekeeper/agent.sock`; `None` if neither is known.
pub fn default_socket() -> Option<PathBuf> {
    Some(default_folder()?.join("agent.sock"))
}

/// The socket's folder, which tokens and keys are in too.
pub(super) fn default_folder() -> Option<PathBuf> {
    let state = || Some(home()?.join(".local").join("state"));
    Some(absolute("XDG_RUNTIME_DIR").or_else(state)?.join("rolekeeper"))
}

/// The configuration file: `$XDG_CONFIG_HOME/rolekeeper/agent.toml`, else
/// `~/.config/rolekeeper/agent.toml`; `None` if neither is known. It need not be there.
pub fn default_file() -> Option<PathBuf> {
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?;
    Some(folder.join("rolekeeper/agent.toml"))
}

/// The XDG rules: a path that is not absolute is to be ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}
