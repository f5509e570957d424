//! Where STS is called and what a source sees of this machine: the same settings on every builder.

/// Where STS is called: all of a builder's settings of this kind in one value. What is `None` comes
/// from the environment and the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Without it: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's `region`.
    pub region: Option<String>,
    /// Without it: `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, the profile's `endpoint_url`.
    pub endpoint_url: Option<String>,
    /// Without it: `AWS_USE_FIPS_ENDPOINT`, the profile.
    pub fips: Option<bool>,
    /// Without it: `AWS_USE_DUALSTACK_ENDPOINT`, the profile.
    pub dual_stack: Option<bool>,
}

/// The settings of a builder that has an `endpoint` and a `seen`.
macro_rules! place_setters {
    () => {
        /// Where STS is called. Without it: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's
        /// `region` (not that of the profiles it stands on).
        pub fn region(mut self, region: impl Into<String>) -> Self {
            self.endpoint.place.region = Some(region.into());
            self
        }

        /// Whether to call the FIPS endpoint. Without it: `AWS_USE_FIPS_ENDPOINT`, the profile.
        pub fn fips(mut self, on: bool) -> Self {
            self.endpoint.place.fips = Some(on);
            self
        }

        /// Whether to call the endpoint that has IPv6 addresses too. Without it:
        /// `AWS_USE_DUALSTACK_ENDPOINT`, the profile.
        pub fn dual_stack(mut self, on: bool) -> Self {
            self.endpoint.place.dual_stack = Some(on);
            self
        }

        /// Another STS than the Region's: `http://` and `https://` both do. Without it:
        /// `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, the profile's `endpoint_url`. If no Region
        /// is set, requests are signed for `us-east-1`.
        pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
            self.endpoint.place.endpoint_url = Some(url.into());
            self
        }

        /// All of these in one value.
        pub fn place(mut self, place: $crate::sources::Place) -> Self {
            self.endpoint.place = place;
            self
        }

        /// The environment, files and clock to go by. Without it: this process' own, the
        /// environment as it was when this builder was made.
        pub fn surroundings(mut self, seen: Surroundings) -> Self {
            self.seen = seen;
            self
        }
    };
}

pub(super) use place_setters;
