//! Any texts as the parameters of AssumeRole: ARNs, names, policies, tags.

use std::{sync::OnceLock, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use rolekeeper::{
    Secret, Source,
    sources::{AssumeRole, Base, Surroundings},
};
use tokio::runtime::Runtime;

#[derive(Arbitrary, Debug)]
struct Parameters<'a> {
    role_arn: &'a str,
    session_name: Option<&'a str>,
    seconds: Option<u32>,
    external_id: Option<&'a str>,
    policy: Option<&'a str>,
    policy_arns: Vec<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    transitive: Vec<&'a str>,
    source_identity: Option<&'a str>,
    mfa_serial: Option<&'a str>,
    contexts: Vec<(&'a str, &'a str)>,
    endpoint_url: Option<&'a str>,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    })
}

/// The parameters that these bytes make.
pub fn run(input: &[u8]) {
    let given = Parameters::arbitrary_take_rest(Unstructured::new(input));
    let Ok(given) = given else { return };
    // With a good ARN, the rest is looked at too.
    let arn = match given.role_arn {
        "" => "arn:aws:iam::123456789012:role/fuzz",
        arn => arn,
    };
    let seen = Surroundings::with_variables([
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    let keys = Base::keys("AKIAEXAMPLE", &Secret::new("secret"), None);
    let mut builder = AssumeRole::builder(arn).surroundings(seen).base(keys);
    if let Some(name) = given.session_name {
        builder = builder.session_name(name);
    }
    if let Some(seconds) = given.seconds {
        builder = builder.duration(Duration::from_secs(seconds.into()));
    }
    if let Some(id) = given.external_id {
        builder = builder.external_id(id);
    }
    if let Some(policy) = given.policy {
        builder = builder.policy(policy);
    }
    for arn in given.policy_arns {
        builder = builder.policy_arn(arn);
    }
    for (key, value) in given.tags {
        builder = builder.tag(key, value);
    }
    for key in given.transitive {
        builder = builder.transitive_tag_key(key);
    }
    if let Some(identity) = given.source_identity {
        builder = builder.source_identity(identity);
    }
    if let Some(serial) = given.mfa_serial {
        builder = builder.mfa_serial(serial);
    }
    for (provider, assertion) in given.contexts {
        builder = builder.provided_context(provider, assertion);
    }
    if let Some(url) = given.endpoint_url {
        builder = builder.endpoint_url(url);
    }
    match runtime().block_on(builder.build()) {
        Ok(role) => {
            assert_eq!(role.name(), arn);
            // What a store has it under can always be told.
            let key = runtime().block_on(role.store_key()).expect("keys that are here");
            assert!(key.is_some());
        }
        Err(failure) => assert!(!failure.message.is_empty()),
    }
}
