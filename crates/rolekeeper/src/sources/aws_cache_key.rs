//! Under which name botocore would keep each source's session, where it could make one like it: a
//! profile of botocore's knows fewer parameters than AssumeRole has.

use super::{
    AssumeRole, WebIdentity,
    assume_role::Parameters,
    parameters::{ExternalId, MfaSerial, SessionDuration, SessionName},
};
use crate::stores::{AwsCacheKey, aws_cache::Arguments};

impl AssumeRole {
    pub(super) fn key_of_botocore(&self) -> Option<AwsCacheKey> {
        let Parameters {
            role_arn,
            session_name,
            duration,
            external_id,
            policy,
            policy_arns,
            tags,
            transitive_tag_keys,
            source_identity,
            mfa,
            contexts,
        } = &*self.parameters;
        let is_for_profiles = policy.is_none()
            && policy_arns.as_slice().is_empty()
            && tags.as_slice().is_empty()
            && transitive_tag_keys.as_slice().is_empty()
            && source_identity.is_none()
            && contexts.as_slice().is_empty();
        let arguments = Arguments {
            role_arn: role_arn.as_str(),
            session_name: session_name.as_ref().map(SessionName::as_str),
            external_id: external_id.as_ref().map(ExternalId::as_str),
            mfa_serial: mfa.as_ref().map(|(serial, _)| MfaSerial::as_str(serial)),
            duration_seconds: duration.map(SessionDuration::as_secs),
        };
        is_for_profiles.then_some(arguments)?.key()
    }
}

impl WebIdentity {
    /// botocore asks for no duration here, whatever a profile says.
    pub(super) fn key_of_botocore(&self) -> Option<AwsCacheKey> {
        let Self { role_arn, session_name, duration, policy, policy_arns, .. } = self;
        let is_for_profiles =
            duration.is_none() && policy.is_none() && policy_arns.as_slice().is_empty();
        let arguments = Arguments {
            role_arn: role_arn.as_str(),
            session_name: session_name.as_ref().map(SessionName::as_str),
            external_id: None,
            mfa_serial: None,
            duration_seconds: None,
        };
        is_for_profiles.then_some(arguments)?.key()
    }
}
