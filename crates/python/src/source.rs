//! How a session is made, and with what: the library's sources and bases, from Python's arguments.

use std::{sync::Arc, time::Duration};

use pyo3::{exceptions::PyTimeoutError, prelude::*};
use rolekeeper::{
    Failure, Issued, RefreshableCredentials, Secret, Session, Source as RustSource,
    sources::{
        AssumeRole, Base as RustBase, CallerIdentity, Fetch, KeyOf, Place, Profile, WebIdentity,
        sort_sts_code as sorted,
    },
};

use crate::{
    callback::{Callback, mfa_prompt},
    errors::{self, Told},
    interpreter,
    moments::duration,
};

/// A recipe for sessions: everything that can be checked is checked when it is made.
#[derive(Clone)]
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Source {
    source: Arc<dyn RustSource>,
    /// The same, if it is a function of Python's.
    callback: Option<Arc<Callback>>,
    region: Option<String>,
}

/// With what a role is assumed.
#[pyclass(frozen, module = "rolekeeper._rolekeeper")]
pub(crate) struct Base(RustBase);

/// The sessions that another keeper holds.
#[derive(Debug)]
struct Held(RefreshableCredentials);

// === impl Source ===

#[pymethods]
impl Source {
    #[staticmethod]
    #[pyo3(signature = (
        role_arn, *, session_name = None, duration_seconds = None, external_id = None,
        policy = None, policy_arns = vec![], tags = vec![], transitive_tag_keys = vec![],
        source_identity = None, mfa_serial = None, mfa_token = None, provided_contexts = vec![],
        base = None, region = None, endpoint_url = None, fips = None, dual_stack = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "AssumeRole has them; all but one are named")]
    fn assume_role(
        py: Python<'_>,
        role_arn: String,
        session_name: Option<String>,
        duration_seconds: Option<u64>,
        external_id: Option<String>,
        policy: Option<String>,
        policy_arns: Vec<String>,
        tags: Vec<(String, String)>,
        transitive_tag_keys: Vec<String>,
        source_identity: Option<String>,
        mfa_serial: Option<String>,
        mfa_token: Option<Py<PyAny>>,
        provided_contexts: Vec<(String, String)>,
        base: Option<PyRef<'_, Base>>,
        region: Option<String>,
        endpoint_url: Option<String>,
        fips: Option<bool>,
        dual_stack: Option<bool>,
    ) -> PyResult<Self> {
        let place = Place { fips, dual_stack, ..place(region, endpoint_url) };
        let mut builder = AssumeRole::builder(role_arn).place(place);
        builder = given(builder, session_name, |builder, name| builder.session_name(name));
        builder = given(builder, duration_seconds, |builder, seconds| {
            builder.duration(Duration::from_secs(seconds))
        });
        builder = given(builder, external_id, |builder, id| builder.external_id(id));
        builder = given(builder, policy, |builder, json| builder.policy(json));
        builder = given(builder, source_identity, |builder, who| builder.source_identity(who));
        builder = given(builder, mfa_serial, |builder, serial| builder.mfa_serial(serial));
        builder = given(builder, mfa_token, |builder, ask| builder.mfa_prompt(mfa_prompt(ask)));
        builder = given(builder, base, |builder, base| builder.base(base.0.clone()));
        builder = policy_arns.into_iter().fold(builder, |builder, arn| builder.policy_arn(arn));
        builder = tags.into_iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        builder = transitive_tag_keys
            .into_iter()
            .fold(builder, |builder, key| builder.transitive_tag_key(key));
        builder = provided_contexts
            .into_iter()
            .fold(builder, |builder, (arn, assertion)| builder.provided_context(arn, assertion));
        let source = checked(py, move || builder.build())?;
        let region = source.region().map(str::to_owned);
        Ok(Self::native(source, region))
    }

    #[staticmethod]
    #[pyo3(signature = (
        role_arn, token_file, *, session_name = None, duration_seconds = None, policy = None,
        policy_arns = vec![], region = None, endpoint_url = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "all but two are named")]
    fn web_identity(
        py: Python<'_>,
        role_arn: String,
        token_file: std::path::PathBuf,
        session_name: Option<String>,
        duration_seconds: Option<u64>,
        policy: Option<String>,
        policy_arns: Vec<String>,
        region: Option<String>,
        endpoint_url: Option<String>,
    ) -> PyResult<Self> {
        let mut builder =
            WebIdentity::builder(role_arn, token_file).place(place(region.clone(), endpoint_url));
        builder = given(builder, session_name, |builder, name| builder.session_name(name));
        builder = given(builder, duration_seconds, |builder, seconds| {
            builder.duration(Duration::from_secs(seconds))
        });
        builder = given(builder, policy, |builder, json| builder.policy(json));
        builder = policy_arns.into_iter().fold(builder, |builder, arn| builder.policy_arn(arn));
        let source = checked(py, move || builder.build())?;
        Ok(Self::native(source, region))
    }

    /// What a profile means, as the AWS CLI reads it; `None`: the one that `AWS_PROFILE` names.
    #[staticmethod]
    #[pyo3(signature = (name, *, mfa_token = None, region = None, endpoint_url = None))]
    fn profile(
        py: Python<'_>,
        name: Option<String>,
        mfa_token: Option<Py<PyAny>>,
        region: Option<String>,
        endpoint_url: Option<String>,
    ) -> PyResult<Self> {
        let mut builder = match name {
            Some(name) => Profile::named(name),
            None => Profile::selected(),
        }
        .place(place(region, endpoint_url));
        builder = given(builder, mfa_token, |builder, ask| builder.mfa_prompt(mfa_prompt(ask)));
        let source = checked(py, move || builder.build())?;
        let region = source.region().map(str::to_owned);
        Ok(Self::native(source, region))
    }

    /// A function that returns an answer's tuple.
    #[staticmethod]
    #[pyo3(name = "callback")]
    fn of_callback(name: String, fetch: Py<PyAny>) -> Self {
        let callback = Arc::new(Callback::new(name, fetch));
        let source = Arc::clone(&callback);
        Self { source, callback: Some(callback), region: None }
    }

    #[getter]
    fn name(&self) -> String {
        self.source.name()
    }

    #[getter]
    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn __repr__(&self) -> String {
        format!("<Source {}>", self.source.name())
    }
}

impl Source {
    fn native(source: impl RustSource, region: Option<String>) -> Self {
        Self { source: Arc::new(source), callback: None, region }
    }

    pub(crate) fn shared(&self) -> Arc<dyn RustSource> {
        Arc::clone(&self.source)
    }

    pub(crate) fn callback(&self) -> Option<Arc<Callback>> {
        self.callback.clone()
    }

    pub(crate) fn label(&self) -> String {
        self.source.name()
    }
}

// === impl Base ===

#[pymethods]
impl Base {
    #[staticmethod]
    fn default_chain() -> Self {
        Self(RustBase::default_chain())
    }

    #[staticmethod]
    fn profile(name: String) -> Self {
        Self(RustBase::profile(name))
    }

    #[staticmethod]
    #[pyo3(signature = (access_key, secret_key, token = None))]
    fn keys(access_key: &str, secret_key: String, token: Option<String>) -> Self {
        let (secret, token) = (Secret::new(secret_key), token.map(Secret::new));
        Self(RustBase::keys(access_key, &secret, token.as_ref()))
    }

    #[staticmethod]
    fn source(source: &Source) -> Self {
        Self(RustBase::role(source.shared()))
    }

    fn __repr__(&self) -> String {
        format!("<{:?}>", self.0)
    }
}

impl Base {
    pub(crate) fn of(credentials: RefreshableCredentials) -> Self {
        Self(RustBase::role(Arc::new(Held(credentials))))
    }
}

impl RustSource for Held {
    fn fetch(&self) -> Fetch<'_> {
        Box::pin(async move {
            let current = self.0.get().await.map_err(Failure::from)?;
            Ok(issued_again(&current))
        })
    }

    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn keeps_fresh(&self) -> bool {
        true
    }

    fn refused(&self, access_key_id: &str) {
        self.0.rejected(access_key_id);
    }

    fn store_key(&self) -> KeyOf<'_> {
        self.0.source().store_key()
    }
}

// === functions ===

/// A session as it was issued, as far as its credentials go on.
pub(crate) fn issued_again(session: &Session) -> Issued {
    let mut issued = Issued::new(session.credentials().clone(), session.expiration());
    issued.account_id = session.account_id().map(str::to_owned);
    issued.assumed_role_arn = session.assumed_role_arn().map(str::to_owned);
    issued
}

/// GetCallerIdentity with `base`: account, ARN, user id.
#[pyfunction]
#[pyo3(signature = (base, *, region = None, endpoint_url = None, timeout = 30.0))]
pub(crate) fn caller_identity(
    py: Python<'_>,
    base: &Base,
    region: Option<String>,
    endpoint_url: Option<String>,
    timeout: f64,
) -> PyResult<(String, String, String)> {
    let limit = duration("timeout", timeout)?;
    let asked = CallerIdentity::of(base.0.clone()).place(place(region, endpoint_url));
    let answer =
        interpreter::run(
            py,
            move || async move { tokio::time::timeout(limit, asked.ask()).await },
        )?;
    let identity = answer
        .map_err(|_| PyTimeoutError::new_err(format!("STS gave no answer within {timeout} s")))?
        .map_err(|failure| Told::of_failure(&failure).raise(py))?;
    Ok((identity.account, identity.arn, identity.user_id))
}

/// What a refusal of STS means: its kind, and what to do.
#[pyfunction]
pub(crate) fn sort_sts_code(
    code: &str,
    message: &str,
    status: u16,
) -> (&'static str, Option<String>) {
    let (kind, hint) = sorted(code, message, status);
    (errors::kind_name(kind), hint)
}

/// Makes a source, which reads files but calls nobody.
fn checked<S, F>(py: Python<'_>, build: impl FnOnce() -> F + Send + 'static) -> PyResult<S>
where
    S: Send + 'static,
    F: Future<Output = Result<S, Failure>>,
{
    let built = interpreter::run(py, build)?;
    built.map_err(|failure| Told::of_failure(&failure).raise(py))
}

fn place(region: Option<String>, endpoint_url: Option<String>) -> Place {
    Place { region, endpoint_url, ..Place::default() }
}

/// `builder` with `value`, if there is one.
fn given<B, T>(builder: B, value: Option<T>, set: impl FnOnce(B, T) -> B) -> B {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}
