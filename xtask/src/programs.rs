//! Programs that a step needs, and the Debian packages that have them.

use std::process::Command;

use crate::shell;

/// A program, and an argument with which it does nothing.
pub(crate) type Program = (&'static str, &'static str);

/// The first that is missing, and how to get it.
pub(crate) fn missing(programs: &[Program], debian: &[&str]) -> Option<String> {
    let (program, _) = programs.iter().find(|(program, word)| !shell::works(program, &[word]))?;
    let how = match debian {
        [] => String::new(),
        packages => format!(" (Debian: apt-get install {})", packages.join(" ")),
    };
    Some(format!("{program} is missing; install it{how}"))
}

/// What is still missing after, on Debian and as root, the packages were installed.
pub(crate) fn missing_after_install(programs: &[Program], debian: &[&str]) -> Option<String> {
    missing(programs, debian)?;
    install(debian);
    missing(programs, debian)
}

/// Does nothing where there is no Debian, or no right to.
pub(crate) fn install(debian: &[&str]) {
    if !debian.is_empty()
        && shell::works("sh", &["-c", "test \"$(id -u)\" = 0 && command -v apt-get"])
    {
        let update = shell::run(Command::new("apt-get").args(["update", "-qq"]));
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(debian);
        // As in single-user mode: no server is to begin by itself.
        install.env("RUNLEVEL", "1").env("DEBIAN_FRONTEND", "noninteractive");
        let _ = update.and_then(|()| shell::run(&mut install));
    }
}
