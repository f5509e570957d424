//! A section of a shared credentials file that is kept fresh, for programs that know no endpoint.
//!
//! Nothing but that section's keys ever changes, and the file is replaced whole or not at all.
//! Programs read the file when they start: a running one does not notice a new session in it.
//!
//! | file | decides |
//! |---|---|
//! | `name` | what a section may be called |
//! | `keys` | which keys a session becomes |
//! | `text` | where the section is, and the same file with other keys in it |
//! | `target` | which file it really is, and how it is replaced |
//! | `lock` | who may write |
//! | `system` | what of this is not the same on every system |
//! | `keeper` | when it is written |
//! | `error` | what can be in the way |

mod error;
mod keeper;
mod keys;
mod lock;
mod name;
#[cfg_attr(unix, path = "credentials_file/unix.rs")]
#[cfg_attr(not(unix), path = "credentials_file/elsewhere.rs")]
mod system;
mod target;
mod text;

pub use error::{Error, Unclear};
pub use keeper::{Keeper, Told};
pub use keys::Keys;
pub use name::{NotASectionName, SectionName};
pub use text::{setting, with_keys, without_keys};
