//! What goes wrong, and when.

use std::time::Duration;

use rolekeeper_sandbox::{AssumeRoleRefusal, Faults, Running};

use super::{ROLE, display::Display, work::Side};

/// How often the display is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// One thing after the other, as shares of the whole time in percent.
enum Step {
    Refuse,
    Mend(&'static str),
    TakeDown,
    Revoke,
}

const STEPS: [(u32, Step); 5] = [
    (20, Step::Refuse),
    (30, Step::Mend("AssumeRole is allowed again")),
    (45, Step::TakeDown),
    (60, Step::Mend("STS is back")),
    (75, Step::Revoke),
];

/// Tells it to its end.
pub(super) async fn tell(
    sandbox: &Running,
    total: Duration,
    display: &mut Display<'_>,
    sides: [&Side; 2],
) {
    let mut passed = Duration::ZERO;
    for (percent, step) in STEPS {
        let at = total * percent / 100;
        passed = draw_until(at, passed, display, sides).await;
        let what = step.take(sandbox);
        display.tell(passed, what, sides);
    }
    draw_until(total, passed, display, sides).await;
}

async fn draw_until(
    at: Duration,
    mut passed: Duration,
    display: &mut Display<'_>,
    sides: [&Side; 2],
) -> Duration {
    while passed < at {
        let frame = FRAME.min(at - passed);
        tokio::time::sleep(frame).await;
        passed += frame;
        display.draw(passed, sides);
    }
    passed
}

impl Step {
    fn take(&self, sandbox: &Running) -> &'static str {
        let only = vec!["AssumeRole".to_owned()];
        match self {
            Self::Refuse => {
                let refuse_assume_role = Some(AssumeRoleRefusal {
                    code: "AccessDenied".to_owned(),
                    status: 403,
                    message: "a policy was changed by mistake".to_owned(),
                });
                sandbox.faults().set(Faults { only, refuse_assume_role, ..Faults::default() });
                "AssumeRole is refused (AccessDenied)"
            }
            Self::TakeDown => {
                sandbox.faults().set(Faults { only, close_connection: true, ..Faults::default() });
                "STS is down: connections to AssumeRole are dropped"
            }
            Self::Mend(what) => {
                sandbox.faults().clear();
                what
            }
            Self::Revoke => {
                sandbox.revoke_sessions(ROLE);
                "all sessions of the role are revoked"
            }
        }
    }
}
