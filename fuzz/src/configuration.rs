//! Any text as a configuration file.

use std::path::Path;

use rolekeeper_agent::config::Config;

/// A configuration file, as far as it is text.
pub fn run(input: &[u8]) {
    let text = crate::text(input);
    match Config::from_toml(text, Path::new("agent.toml")) {
        Ok(config) => {
            assert!(!config.roles.is_empty() && config.check().is_empty());
            for line in config.summary() {
                assert!(!line.is_empty());
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
                assert!(!problem.to_string().contains('\n'), "{problem:?}");
                assert!(problem.hint.is_none_or(|hint| !hint.contains('\n')));
            }
        }
    }
}
