//! Decides what the STS operations answer.

use std::sync::Arc;
use std::time::Duration;

use crate::caller::Caller;
use crate::clock::Moment;
use crate::limits::{Letters, Params, Tag, Violations, packed_policy_size};
use crate::random::stable_id;
use crate::sessions::{Grant, Kind, Session};
use crate::trust::Principal;
use crate::web_identity;
use crate::wire::{Answer, Node, Refusal, leaf, tree};
use crate::world::World;

/// The longest any role's session may be asked for: 12 hours.
const LONGEST_ROLE: u64 = 43_200;
/// The longest a user's own session may be asked for: 36 hours.
const LONGEST_USER: u64 = 129_600;
/// What a role's session lasts if nothing is asked, and the most when a role assumes a role.
const HOUR: u64 = 3600;

/// One call of STS, its caller verified.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) params: &'a Params<'a>,
    pub(crate) region: &'a str,
    pub(crate) now: Moment,
    /// A fault: what is issued has expired already.
    pub(crate) already_expired: bool,
}

/// What AssumeRole and AssumeRoleWithWebIdentity have in common.
struct RoleRequest {
    role_arn: String,
    session_name: String,
    duration: Duration,
    packed_policy_size: Option<usize>,
    tags: Vec<Tag>,
}

// === impl Call ===

impl Call<'_> {
    pub(crate) fn answer(
        &self,
        operation: &'static str,
        caller: &Caller,
    ) -> Result<Answer, Refusal> {
        let result = match operation {
            // Needs no permission and cannot be denied, says its documentation.
            "GetCallerIdentity" => Ok(self.get_caller_identity(caller)),
            _ => {
                self.check_kind(operation, caller)?;
                match operation {
                    "AssumeRole" => self.assume_role(caller),
                    "GetSessionToken" => self.get_session_token(caller),
                    "GetFederationToken" => self.get_federation_token(caller),
                    _ => Err(Refusal::new(400, "InvalidAction", "Could not find operation")),
                }
            }
        }?;
        Ok(Answer { operation, result })
    }

    /// Refuses to a session what its kind may not call.
    fn check_kind(&self, operation: &str, caller: &Caller) -> Result<(), Refusal> {
        let allowed = match caller.kind() {
            None => true,
            Some(Kind::AssumedRole | Kind::SessionToken) => operation == "AssumeRole",
            Some(Kind::Federated) => false,
        };
        if allowed {
            return Ok(());
        }
        let message = format!("Cannot call {operation} with session credentials");
        Err(Refusal::access_denied(message))
    }

    fn check_region(&self) -> Result<(), Refusal> {
        if !self.world.config.disabled_regions.iter().any(|region| region == self.region) {
            return Ok(());
        }
        let account = &self.world.config.account;
        let message = format!(
            "STS is not activated in this region for account:{account}. Your account \
             administrator can activate STS in this region using the IAM Console."
        );
        Err(Refusal::new(403, "RegionDisabledException", message))
    }

    fn get_caller_identity(&self, caller: &Caller) -> Vec<Node> {
        let account = &self.world.config.account;
        let user_id = match &caller.principal {
            Principal::User(name) => stable_id("AIDA", name),
            Principal::Role { name, session } => assumed_role_id(name, session),
            Principal::Federated(name) => format!("{account}:{name}"),
        };
        vec![leaf("Arn", caller.arn(self.world)), leaf("UserId", user_id), leaf("Account", account)]
    }

    fn assume_role(&self, caller: &Caller) -> Result<Vec<Node>, Refusal> {
        let params = self.params;
        let mut violations = Violations::default();
        let tags = violations.tags(params)?;
        let external_id = params.get("ExternalId");
        violations.text(external_id, "externalId", (2, 1224), Letters::ExternalId);
        let source_identity = params.get("SourceIdentity");
        violations.text(source_identity, "sourceIdentity", (2, 64), Letters::Name);
        violations.mfa(params);
        let transitive = params.strings("TransitiveTagKeys");
        violations.at_most("transitiveTagKeys", transitive.len(), 50);
        let contexts = (1..=6)
            .take_while(|n| {
                params.get(&format!("ProvidedContexts.member.{n}.ProviderArn")).is_some()
            })
            .count();
        violations.at_most("providedContexts", contexts, 5);
        let request = self.role_request(violations, tags)?;
        if source_identity.is_some_and(|identity| identity.starts_with("aws:")) {
            return Err(Refusal::validation("SourceIdentity must not begin with aws:"));
        }
        self.check_region()?;

        let action = "sts:AssumeRole";
        caller.may(self.world, action, &request.role_arn)?;
        let denied = || caller.denied(self.world, action, &request.role_arn, "");
        let (name, role) = self.role(&request.role_arn).ok_or_else(denied)?;
        if !role.trust.iter().any(|trusted| trusted.covers(&caller.principal)) {
            return Err(denied());
        }
        if role.external_id.is_some() && role.external_id.as_deref() != external_id {
            return Err(denied());
        }
        let chained = caller.kind() == Some(Kind::AssumedRole);
        if chained && request.duration.as_secs() > HOUR {
            return Err(Refusal::validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                 assumed by role chaining",
            ));
        }
        self.check_role_maximum(role.max_session_duration, request.duration)?;

        let session = caller.session.as_ref().map(|session| &session.grant);
        let inherited = session.and_then(|grant| grant.source_identity.as_deref());
        if inherited.is_some() && source_identity.is_some() && inherited != source_identity {
            return Err(denied());
        }
        let mut transitive_tags = session.map_or_else(Vec::new, |g| g.transitive_tags.clone());
        for (key, value) in &request.tags {
            if transitive_tags.iter().any(|(known, _)| known.eq_ignore_ascii_case(key)) {
                return Err(Refusal::new(
                    400,
                    "InvalidParameterValue",
                    "One of the specified transitive tag keys can't be set because it conflicts \
                     with a transitive tag key from the calling session.",
                ));
            }
            if transitive.iter().any(|wanted| wanted.eq_ignore_ascii_case(key)) {
                transitive_tags.push((key.clone(), value.clone()));
            }
        }
        // Last, since it uses the code up.
        let mfa = self.check_mfa(caller)? || session.is_some_and(|grant| grant.mfa);
        if role.require_mfa && !mfa {
            return Err(denied());
        }

        let source_identity = inherited.or(source_identity).map(str::to_owned);
        let session = self.issue(
            request.duration,
            Grant {
                kind: Kind::AssumedRole,
                principal: Principal::Role {
                    name: name.to_owned(),
                    session: request.session_name.clone(),
                },
                issued_by: Some(caller.access_key_id.clone()),
                mfa: false,
                source_identity: source_identity.clone(),
                transitive_tags,
            },
        )?;
        let mut result = vec![credentials(&session), self.assumed_role_user(&session)];
        result.extend(packed_size(request.packed_policy_size));
        result.extend(source_identity.map(|identity| leaf("SourceIdentity", identity)));
        Ok(result)
    }

    /// AssumeRoleWithWebIdentity: nobody signed the call, the token speaks for its bearer.
    pub(crate) fn assume_role_with_web_identity(&self) -> Result<Answer, Refusal> {
        let mut violations = Violations::default();
        let token = violations.require(self.params.get("WebIdentityToken"), "webIdentityToken");
        violations.text(Some(&token), "webIdentityToken", (4, 20_000), Letters::Any);
        let request = self.role_request(violations, Vec::new())?;
        self.check_region()?;

        let identity = web_identity::verify(&self.world.config, &token, self.now)?;
        let denied =
            || Refusal::access_denied("Not authorized to perform sts:AssumeRoleWithWebIdentity");
        let (name, role) = self.role(&request.role_arn).ok_or_else(denied)?;
        let trusted = role.trust.iter().any(|trusted| trusted.covers_issuer(&identity.issuer));
        let subject_fits =
            role.subjects.as_ref().is_none_or(|subjects| subjects.contains(&identity.subject));
        if !trusted || !subject_fits {
            return Err(denied());
        }
        self.check_role_maximum(role.max_session_duration, request.duration)?;
        let session = self.issue(
            request.duration,
            Grant {
                kind: Kind::AssumedRole,
                principal: Principal::Role { name: name.to_owned(), session: request.session_name },
                issued_by: None,
                mfa: false,
                source_identity: None,
                transitive_tags: Vec::new(),
            },
        )?;
        let mut result = vec![
            leaf("SubjectFromWebIdentityToken", identity.subject),
            leaf("Audience", identity.audience),
            self.assumed_role_user(&session),
            credentials(&session),
            leaf("Provider", identity.url),
        ];
        result.extend(packed_size(request.packed_policy_size));
        Ok(Answer { operation: "AssumeRoleWithWebIdentity", result })
    }

    fn get_session_token(&self, caller: &Caller) -> Result<Vec<Node>, Refusal> {
        let mut violations = Violations::default();
        let duration = violations.duration(self.params, LONGEST_USER, LONGEST_ROLE);
        violations.mfa(self.params);
        violations.done()?;
        self.check_region()?;
        let mfa = self.check_mfa(caller)?;
        let session = self.issue(
            duration,
            Grant {
                kind: Kind::SessionToken,
                principal: caller.principal.clone(),
                issued_by: Some(caller.access_key_id.clone()),
                mfa,
                source_identity: None,
                transitive_tags: Vec::new(),
            },
        )?;
        Ok(vec![credentials(&session)])
    }

    fn get_federation_token(&self, caller: &Caller) -> Result<Vec<Node>, Refusal> {
        let mut violations = Violations::default();
        let name = violations.require(self.params.get("Name"), "name");
        violations.text(Some(&name), "name", (2, 32), Letters::Name);
        let policy = self.params.get("Policy");
        violations.text(policy, "policy", (1, 2048), Letters::Any);
        let duration = violations.duration(self.params, LONGEST_USER, LONGEST_ROLE);
        let tags = violations.tags(self.params)?;
        let arns = violations.policy_arns(self.params);
        violations.done()?;
        self.check_region()?;
        let size = packed_policy_size(policy, &arns, &tags)?;
        let principal = Principal::Federated(name.clone());
        let arn = principal.arn(&self.world.config.account);
        let session = self.issue(
            duration,
            Grant {
                kind: Kind::Federated,
                principal,
                issued_by: Some(caller.access_key_id.clone()),
                mfa: false,
                source_identity: None,
                transitive_tags: Vec::new(),
            },
        )?;
        let user_id = format!("{}:{name}", self.world.config.account);
        let user = vec![leaf("FederatedUserId", user_id), leaf("Arn", arn)];
        let mut result = vec![credentials(&session), tree("FederatedUser", user)];
        result.extend(packed_size(size));
        Ok(result)
    }

    fn role_request(
        &self,
        mut violations: Violations,
        tags: Vec<Tag>,
    ) -> Result<RoleRequest, Refusal> {
        let params = self.params;
        let role_arn = violations.require(params.get("RoleArn"), "roleArn");
        let session_name = violations.require(params.get("RoleSessionName"), "roleSessionName");
        violations.text(params.get("RoleArn"), "roleArn", (20, 2048), Letters::Any);
        let name = params.get("RoleSessionName");
        violations.text(name, "roleSessionName", (2, 64), Letters::Name);
        let duration = violations.duration(params, LONGEST_ROLE, HOUR);
        let policy = params.get("Policy");
        let arns = violations.policy_arns(params);
        violations.done()?;
        if !role_arn.starts_with("arn:") {
            return Err(Refusal::validation(format!("{role_arn} is invalid")));
        }
        let packed_policy_size = packed_policy_size(policy, &arns, &tags)?;
        Ok(RoleRequest { role_arn, session_name, duration, packed_policy_size, tags })
    }

    fn role(&self, arn: &str) -> Option<(&str, &crate::config::Role)> {
        let config = &self.world.config;
        let name = arn.strip_prefix("arn:aws:iam::")?.strip_prefix(config.account.as_str())?;
        let (name, role) = config.roles.get_key_value(name.strip_prefix(":role/")?)?;
        Some((name, role))
    }

    fn check_role_maximum(&self, maximum: Duration, asked: Duration) -> Result<(), Refusal> {
        if asked <= maximum {
            return Ok(());
        }
        Err(Refusal::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ))
    }

    /// Whether the caller proved an MFA device; refuses a proof that is wrong.
    fn check_mfa(&self, caller: &Caller) -> Result<bool, Refusal> {
        let (serial, code) = match (self.params.get("SerialNumber"), self.params.get("TokenCode")) {
            (None, None) => return Ok(false),
            (Some(serial), Some(code)) => (serial, code),
            _ => {
                return Err(Refusal::validation(
                    "SerialNumber and TokenCode must be given together",
                ));
            }
        };
        // Only a user has a device, and only the user's own key may show it.
        let device = match (&caller.principal, &caller.session) {
            (Principal::User(name), None) => self.world.config.users.get(name),
            _ => None,
        }
        .and_then(|user| user.mfa.as_ref())
        .filter(|device| device.serial == serial)
        .ok_or_else(|| {
            Refusal::access_denied(
                "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify \
                 your MFA serial number is valid and associated with this user.",
            )
        })?;
        let mut used = self.world.used_codes();
        if used.accept(serial, &device.seed.0, code, self.now) {
            return Ok(true);
        }
        Err(Refusal::access_denied(
            "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
        ))
    }

    fn issue(&self, asked: Duration, grant: Grant) -> Result<Arc<Session>, Refusal> {
        let world = self.world;
        let expiration = if self.already_expired {
            self.now.minus(Duration::from_secs(60))
        } else {
            self.now.plus(world.session_lifetime.unwrap_or(asked))
        };
        let (expiration, aged) = (expiration.up_to_second(), world.clock.aged());
        let issued = world.sessions().issue(grant, self.now, expiration, aged);
        issued.map_err(|_| Refusal::internal())
    }

    fn assumed_role_user(&self, session: &Session) -> Node {
        let principal = &session.grant.principal;
        let id = match principal {
            Principal::Role { name, session } => assumed_role_id(name, session),
            Principal::User(name) | Principal::Federated(name) => stable_id("AIDA", name),
        };
        let arn = principal.arn(&self.world.config.account);
        tree("AssumedRoleUser", vec![leaf("AssumedRoleId", id), leaf("Arn", arn)])
    }
}

fn assumed_role_id(role: &str, session: &str) -> String {
    format!("{}:{session}", stable_id("AROA", role))
}

fn credentials(session: &Session) -> Node {
    tree(
        "Credentials",
        vec![
            leaf("AccessKeyId", &session.access_key_id),
            leaf("SecretAccessKey", session.secret_access_key.expose()),
            leaf("SessionToken", session.session_token.expose()),
            leaf("Expiration", session.expiration.iso()),
        ],
    )
}

fn packed_size(percent: Option<usize>) -> Option<Node> {
    percent.map(|percent| leaf("PackedPolicySize", percent.to_string()))
}
