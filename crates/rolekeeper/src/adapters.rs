//! Other crates' traits over refreshable credentials.
//!
//! # As a credentials provider
//!
//! [`RefreshableCredentials`](crate::RefreshableCredentials) is a `ProvideCredentials` and goes
//! into any client of the AWS SDK. **Pair it with `IdentityCache::no_cache()`.** The SDK's default
//! cache would keep a session until seconds before its end, stand still while it asks for the next
//! one, and not see that a newer one has long been there. Reading from us costs less than that
//! cache's own lookup.
//!
//! ```
//! # async fn example(credentials: rolekeeper::RefreshableCredentials) {
//! let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
//!     .credentials_provider(credentials)
//!     .identity_cache(aws_config::identity::IdentityCache::no_cache())
//!     .load()
//!     .await;
//! # }
//! ```
//!
//! # As an identity cache
//!
//! [`IdentityCache`] leaves the provider as it is, and makes every client made from a configuration
//! refresh our way.

mod identity_cache;
mod provider;

pub use identity_cache::IdentityCache;
pub(crate) use provider::SdkForm;
pub use provider::sdk_credentials;
