//! Decides which service and operation a request is for, and has it answered.

use crate::caller::{Caller, Unverified};
use crate::clock::Moment;
use crate::faults::Plan;
use crate::limits::Params;
use crate::sigv4::{Claim, Fault, Received, query_pairs};
use crate::sts;
use crate::wire::{Answer, Refusal, Service, leaf, tree};
use crate::world::World;

const ANONYMOUS: &str = "anonymous";

/// A request, taken apart; nothing of it is verified.
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    /// The operation's name, if it is one the sandbox has.
    pub(crate) operation: Option<&'static str>,
    claim: Result<Claim, Fault>,
    params: Params<'a>,
    request: Received<'a>,
}

/// What a call came to, and who it was that called.
pub(crate) struct Answered {
    pub(crate) caller: String,
    pub(crate) answer: Result<Answer, Refusal>,
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(crate) fn read(request: Received<'a>) -> Self {
        let claim = Claim::read(&request);
        let mut params = Vec::new();
        if request.method == "POST" {
            params.extend(form_urlencoded::parse(request.body));
        }
        params.extend(query_pairs(request.uri));
        let params = Params(params);
        let action = params.get("Action");
        let scoped = claim.as_ref().ok().and_then(|claim| Service::from_scope(&claim.service));
        // Without a scope to go by, the Query protocol's own marks tell.
        let service = scoped.unwrap_or_else(|| match action {
            _ if params.get("Version") == Some(Service::Rds.version()) => Service::Rds,
            None if request.method == "GET" && claim == Err(Fault::Missing) => Service::S3,
            _ => Service::Sts,
        });
        let operation = match service {
            Service::S3 => {
                (request.method == "GET" && request.uri.path() == "/").then_some("ListBuckets")
            }
            Service::Sts | Service::Rds => action.and_then(|action| known(service, action)),
        };
        Self { service, operation, claim, params, request }
    }

    /// The name to count the call under.
    pub(crate) fn operation_name(&self) -> &'static str {
        self.operation.unwrap_or("Unknown")
    }

    /// Who it says is calling.
    pub(crate) fn claimed_caller(&self) -> &str {
        self.claim.as_ref().map_or(ANONYMOUS, |claim| claim.access_key_id.as_str())
    }

    pub(crate) fn answer(&self, world: &World, plan: &Plan, now: Moment) -> Answered {
        let claimed =
            |refusal| Answered { caller: self.claimed_caller().to_owned(), answer: Err(refusal) };
        let call = |region| sts::Call {
            world,
            params: &self.params,
            region,
            now,
            already_expired: plan.already_expired,
        };
        if self.operation == Some("AssumeRoleWithWebIdentity") {
            let answer = self
                .check_version()
                .and_then(|()| call(&world.config.region).assume_role_with_web_identity());
            return Answered { caller: ANONYMOUS.to_owned(), answer };
        }
        let claim = match &self.claim {
            Ok(claim) => claim,
            Err(fault) => {
                let unverified = Unverified::Signature(fault.clone());
                return claimed(unverified.refusal(self.service));
            }
        };
        if Service::from_scope(&claim.service).is_none() {
            let message = format!(
                "Credential should be scoped to a service the sandbox has: sts, s3 or rds, not {}",
                claim.service
            );
            return claimed(Refusal::new(403, "SignatureDoesNotMatch", message));
        }
        let caller = match Caller::verify(world, &self.request, claim, now) {
            Ok(caller) => caller,
            Err(unverified) => return claimed(unverified.refusal(self.service)),
        };
        let answer = self.check_operation().and_then(|operation| match self.service {
            Service::Sts => call(&claim.region).answer(operation, &caller),
            Service::S3 => {
                caller.may(world, "s3:ListAllMyBuckets", "*")?;
                Ok(list_buckets(world))
            }
            Service::Rds => {
                let resource =
                    format!("arn:aws:rds:{}:{}:db:*", claim.region, world.config.account);
                caller.may(world, "rds:DescribeDBInstances", &resource)?;
                Ok(describe_db_instances())
            }
        });
        Answered { caller: caller.arn(world), answer }
    }

    fn check_version(&self) -> Result<(), Refusal> {
        let version = self.params.get("Version");
        if self.service == Service::S3 || version == Some(self.service.version()) {
            return Ok(());
        }
        Err(self.no_such_action())
    }

    fn check_operation(&self) -> Result<&'static str, Refusal> {
        let method_fits = self.request.method == "GET" || self.request.method == "POST";
        match self.operation {
            Some(operation) if method_fits => self.check_version().map(|()| operation),
            _ if self.service == Service::S3 && self.request.uri.path() != "/" => {
                Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"))
            }
            _ if self.service == Service::S3 || !method_fits => {
                let message = "The specified method is not allowed against this resource.";
                Err(Refusal::new(405, "MethodNotAllowed", message))
            }
            _ => Err(self.no_such_action()),
        }
    }

    fn no_such_action(&self) -> Refusal {
        let Some(action) = self.params.get("Action") else {
            return Refusal::new(400, "MissingAction", "The request is missing an action.");
        };
        let action: String = action.chars().take(128).collect();
        let version = self.params.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
        let version: String = version.chars().take(32).collect();
        let message = format!("Could not find operation {action} for version {version}");
        Refusal::new(400, "InvalidAction", message)
    }
}

fn known(service: Service, action: &str) -> Option<&'static str> {
    let operations: &[&'static str] = match service {
        Service::Sts => &[
            "AssumeRole",
            "AssumeRoleWithWebIdentity",
            "GetCallerIdentity",
            "GetFederationToken",
            "GetSessionToken",
        ],
        Service::Rds => &["DescribeDBInstances"],
        Service::S3 => &[],
    };
    operations.iter().find(|operation| **operation == action).copied()
}

fn list_buckets(world: &World) -> Answer {
    let owner = vec![leaf("ID", &world.config.account), leaf("DisplayName", "sandbox")];
    let bucket =
        vec![leaf("Name", "rolekeeper-sandbox"), leaf("CreationDate", "2026-01-01T00:00:00.000Z")];
    let result = vec![tree("Owner", owner), tree("Buckets", vec![tree("Bucket", bucket)])];
    Answer { operation: "ListBuckets", result }
}

fn describe_db_instances() -> Answer {
    let instance = vec![
        leaf("DBInstanceIdentifier", "rolekeeper-sandbox"),
        leaf("DBInstanceClass", "db.t4g.micro"),
        leaf("Engine", "postgres"),
        leaf("DBInstanceStatus", "available"),
    ];
    let result = vec![tree("DBInstances", vec![tree("DBInstance", instance)])];
    Answer { operation: "DescribeDBInstances", result }
}
