//! Other crates' traits over refreshable credentials.

mod identity_cache;
mod provider;

pub use identity_cache::IdentityCache;
pub(crate) use provider::SdkForm;
pub use provider::sdk_credentials;
