//! Decides who is calling: finds the key, its session, and verifies both, or says in each
//! service's own words why not.

use std::sync::Arc;

use crate::clock::Moment;
use crate::sessions::{Kind, Session};
use crate::sigv4::{Claim, Fault, Received};
use crate::trust::{self, Principal};
use crate::wire::{Refusal, Service};
use crate::world::World;

/// A verified caller.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) access_key_id: String,
    pub(crate) principal: Principal,
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) revoked: bool,
}

/// Why nobody could be verified.
#[derive(Debug)]
pub(crate) enum Unverified {
    UnknownKey,
    WrongToken,
    Expired,
    Signature(Fault),
}

// === impl Caller ===

impl Caller {
    pub(crate) fn verify(
        world: &World,
        request: &Received<'_>,
        claim: &Claim,
        now: Moment,
    ) -> Result<Self, Unverified> {
        let key_id = claim.access_key_id.as_str();
        let token = claim.session_token.as_deref();
        let found = world.sessions().find(key_id);
        let (secret, caller) = match found {
            Some(found) => {
                let session = found.session;
                match token {
                    // A temporary key on its own is no key.
                    None => return Err(Unverified::UnknownKey),
                    Some(token) if !session.session_token.is(token) => {
                        return Err(Unverified::WrongToken);
                    }
                    Some(_) if session.is_over(now, world.clock.aged()) => {
                        return Err(Unverified::Expired);
                    }
                    Some(_) => {}
                }
                let caller = Self {
                    access_key_id: key_id.to_owned(),
                    principal: session.grant.principal.clone(),
                    session: Some(Arc::clone(&session)),
                    revoked: found.revoked,
                };
                (session.secret_access_key.clone(), caller)
            }
            None => {
                let (name, user) =
                    world.config.user_by_key(key_id).ok_or(Unverified::UnknownKey)?;
                if token.is_some() {
                    return Err(Unverified::WrongToken);
                }
                let caller = Self {
                    access_key_id: key_id.to_owned(),
                    principal: Principal::User(name.to_owned()),
                    session: None,
                    revoked: false,
                };
                (user.secret_access_key.clone(), caller)
            }
        };
        claim.check_date(now).map_err(Unverified::Signature)?;
        claim.check_signature(request, secret.expose()).map_err(Unverified::Signature)?;
        Ok(caller)
    }

    pub(crate) fn arn(&self, world: &World) -> String {
        self.principal.arn(&world.config.account)
    }

    /// Which operation issued the caller's session, if it has one.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.session.as_ref().map(|session| session.grant.kind)
    }

    /// Refuses `action` (`s3:ListAllMyBuckets`) to a revoked session, and to one whose role is
    /// not allowed it.
    pub(crate) fn may(&self, world: &World, action: &str, resource: &str) -> Result<(), Refusal> {
        if self.revoked {
            let why = "with an explicit deny in an identity-based policy";
            return Err(self.denied(world, action, resource, why));
        }
        let Principal::Role { name, .. } = &self.principal else { return Ok(()) };
        let role = world.config.roles.get(name);
        let allowed = role.and_then(|role| role.allowed_actions.as_ref());
        if allowed.is_some_and(|allowed| !trust::allows(allowed, action)) {
            let why = format!("because no identity-based policy allows the {action} action");
            return Err(self.denied(world, action, resource, &why));
        }
        Ok(())
    }

    pub(crate) fn denied(&self, world: &World, action: &str, resource: &str, why: &str) -> Refusal {
        let arn = self.arn(world);
        let told =
            format!("User: {arn} is not authorized to perform: {action} on resource: {resource}");
        Refusal::access_denied(format!("{told} {why}").trim_end())
    }
}

// === impl Unverified ===

impl Unverified {
    pub(crate) fn refusal(self, service: Service) -> Refusal {
        match service {
            Service::S3 => self.s3(),
            Service::Sts | Service::Rds => self.query(),
        }
    }

    fn query(self) -> Refusal {
        let (status, code, message) = match self {
            Self::UnknownKey | Self::WrongToken => (
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.".to_owned(),
            ),
            Self::Expired => (
                403,
                "ExpiredToken",
                "The security token included in the request is expired".to_owned(),
            ),
            Self::Signature(Fault::Missing) => (
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token".to_owned(),
            ),
            Self::Signature(Fault::Malformed(message)) => (400, "IncompleteSignature", message),
            Self::Signature(Fault::Skewed(message)) => (403, "SignatureDoesNotMatch", message),
            Self::Signature(Fault::PresignedExpired) => {
                (403, "SignatureDoesNotMatch", "Signature expired".to_owned())
            }
            Self::Signature(Fault::Payload | Fault::Mismatch) => (
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
                    .to_owned(),
            ),
        };
        Refusal::new(status, code, message)
    }

    fn s3(self) -> Refusal {
        let (status, code, message) = match self {
            Self::UnknownKey => (
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.".to_owned(),
            ),
            Self::WrongToken => (
                400,
                "InvalidToken",
                "The provided token is malformed or otherwise invalid.".to_owned(),
            ),
            Self::Expired => (400, "ExpiredToken", "The provided token has expired.".to_owned()),
            Self::Signature(Fault::Missing) => (403, "AccessDenied", "Access Denied".to_owned()),
            Self::Signature(Fault::Malformed(message)) => {
                (400, "AuthorizationHeaderMalformed", message)
            }
            Self::Signature(Fault::Skewed(_)) => (
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large."
                    .to_owned(),
            ),
            Self::Signature(Fault::PresignedExpired) => {
                (403, "AccessDenied", "Request has expired".to_owned())
            }
            Self::Signature(Fault::Payload) => (
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed."
                    .to_owned(),
            ),
            Self::Signature(Fault::Mismatch) => (
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. \
                 Check your key and signing method."
                    .to_owned(),
            ),
        };
        Refusal::new(status, code, message)
    }
}
