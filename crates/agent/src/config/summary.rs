//! What a configuration comes to, for `--check`. No secret is in it.

use std::fmt::Display;

use super::{Config, Identity, RoleConfig, TokenConfig, value::shown};

// === impl Config ===

impl Config {
    /// One line for each listener and role, and for what holds for all.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!("container  http://{}/role/NAME", self.container)];
        for imds in &self.imds {
            let versions = if imds.v1 { ", version 1 too" } else { "" };
            lines.push(format!("imds       http://{} serves {}{versions}", imds.listen, imds.role));
        }
        if let Some(operator) = self.operator {
            lines.push(format!("operator   http://{operator}"));
        }
        if let Some(socket) = &self.socket {
            lines.push(format!("socket     {}", socket.display()));
        }
        lines.push(format!("pace       {} fetches a second for each account", self.pace));
        if let Some(idle) = self.idle_after {
            lines.push(format!(
                "idle       a role that nobody has read for {} is let go",
                shown(idle)
            ));
        }
        if self.beyond_loopback {
            lines.push("listeners may be reached from other machines".to_owned());
        }
        lines.extend(self.roles.iter().map(|role| self.summary_of(role)));
        lines
    }

    fn summary_of(&self, role: &RoleConfig) -> String {
        let mut line = format!("role       {}: ", role.name);
        match &role.identity {
            Identity::Profile(name) => line.push_str(&format!("profile {name}")),
            Identity::Role(assumed) => {
                line.push_str(&assumed.role_arn);
                if let Some(source) = &assumed.source_profile {
                    line.push_str(&format!(" with profile {source}"));
                }
            }
        }
        match (&role.token, self.token_file(role)) {
            (TokenConfig::Variable(name), _) => line.push_str(&format!("; token in ${name}")),
            (_, Some(path)) => line.push_str(&format!("; token in {}", path.display())),
            (_, None) => {}
        }
        if let Some(rotate) = role.rotate_token {
            line.push_str(&format!(", a new one every {}", shown(rotate)));
        }
        let allow = &role.allow;
        for (what, who) in [
            ("users", listed(&allow.uids)),
            ("groups", listed(&allow.gids)),
            ("programs", listed(allow.executables.iter().map(|path| path.display()))),
        ] {
            if !who.is_empty() {
                line.push_str(&format!("; only for {what} {who}"));
            }
        }
        line
    }
}

fn listed(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
