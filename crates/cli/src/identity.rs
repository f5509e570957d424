//! Which identity a command works with: the arguments that most verbs share, turned into a source.

mod mfa;

use std::{sync::Arc, time::Duration};

use clap::Args;
use rolekeeper::{
    Clock, Failure, RefreshPolicy, RefreshableCredentials, Session, Source,
    sources::{AssumeRole, Base, CallerIdentity, Place, Profile},
    stores::{AwsCache, SessionStore, Shared},
};

use crate::{
    aws_cache::AwsCacheArguments,
    events,
    exit::Trouble,
    output::Printer,
    store::{StoreArguments, Usual},
    values::{self, duration, pair},
};
use mfa::Asker;

/// An attempt may take as long as a person needs to type an MFA code; the calls have time limits of
/// their own.
const ATTEMPT_WITH_A_PERSON: Duration = Duration::from_secs(120);

#[derive(Args)]
#[command(next_help_heading = "Role")]
pub(crate) struct RoleArguments {
    /// The role to assume; given again, the first one assumes the second, and so on
    #[arg(long, value_name = "ARN")]
    role_arn: Vec<String>,

    /// A profile of ~/.aws/config: alone, it says everything; with --role-arn, it is the base
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// What CloudTrail calls the session: 2 to 64 letters, digits and _+=,.@-; default: user, host,
    /// process
    #[arg(long, value_name = "NAME", requires = "role_arn")]
    role_session_name: Option<String>,

    /// How long a session lasts: 15m to 12h, at most the role's maximum, 1h when chained
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "role_arn")]
    duration: Option<Duration>,

    /// What the role's trust policy asks of third parties
    #[arg(long, value_name = "ID", requires = "role_arn")]
    external_id: Option<String>,

    /// A session policy: JSON, or file://PATH
    #[arg(long, value_name = "JSON", requires = "role_arn")]
    policy: Option<String>,

    /// A managed policy that narrows the session; up to 10
    #[arg(long, value_name = "ARN", requires = "role_arn")]
    policy_arn: Vec<String>,

    /// A session tag; up to 50
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, requires = "role_arn")]
    tag: Vec<(String, String)>,

    /// A tag that further roles inherit
    #[arg(long, value_name = "KEY", requires = "role_arn")]
    transitive_tag_key: Vec<String>,

    /// Who stands behind the session, kept through all further roles
    #[arg(long, value_name = "IDENTITY", requires = "role_arn")]
    source_identity: Option<String>,

    /// An assertion of a trusted context provider
    #[arg(long, value_name = "ARN=ASSERTION", value_parser = pair, requires = "role_arn")]
    provided_context: Vec<(String, String)>,

    /// The MFA device that the role asks for
    #[arg(long, value_name = "ARN", requires = "role_arn")]
    mfa_serial: Option<String>,

    /// The MFA code for the first session; without it, the terminal is asked
    #[arg(long, value_name = "CODE", conflicts_with = "mfa_process")]
    mfa_code: Option<String>,

    /// A program that prints an MFA code, run for each session
    #[arg(long, value_name = "COMMAND")]
    mfa_process: Option<String>,

    /// Where to call STS
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Another STS than the Region's
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Call the FIPS endpoint
    #[arg(long)]
    fips: bool,

    /// Call the endpoint that has IPv6 addresses too
    #[arg(long)]
    dual_stack: bool,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    aws_cache: AwsCacheArguments,
}

/// A checked identity: nobody has been called yet.
pub(crate) struct Identity {
    source: Arc<dyn Source>,
    profile: Option<String>,
    region: Option<String>,
    place: Place,
    asker: Asker,
    store: Option<Arc<dyn SessionStore>>,
    aws_cache: Option<AwsCache>,
}

impl RoleArguments {
    /// Checks everything that can be checked here. `usual` is the store if none is named.
    pub(crate) async fn identity(
        self,
        printer: &Printer,
        usual: Usual,
    ) -> Result<Identity, Trouble> {
        let (store, aws_cache) = (self.store.open(usual)?, self.aws_cache.open()?);
        let asker = Asker::new(self.mfa_code.as_deref(), self.mfa_process.as_deref())?;
        let (profile, place) = (self.profile.clone(), self.place());
        let (source, region): (Arc<dyn Source>, _) = if self.role_arn.is_empty() {
            let source = self.profile_source(&asker).await?;
            let region = source.region().map(str::to_owned);
            (Arc::new(source), region)
        } else {
            let source = self.role_source(&asker, printer).await?;
            let region = source.region().map(str::to_owned);
            (Arc::new(source), region)
        };
        Ok(Identity { source, profile, region, place, asker, store, aws_cache })
    }

    /// Whatever the AWS CLI has of it: STS is asked.
    pub(crate) fn leaving_aws_cache_alone(mut self) -> Self {
        self.aws_cache.leave_alone();
        self
    }

    /// The profile that was named.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The profile, if that alone says which role: what an agent may have.
    pub(crate) fn only_profile(&self) -> Option<String> {
        let lists = [&self.role_arn, &self.policy_arn, &self.transitive_tag_key];
        let options = [
            &self.role_session_name,
            &self.external_id,
            &self.policy,
            &self.source_identity,
            &self.mfa_serial,
            &self.mfa_code,
            &self.mfa_process,
            &self.region,
            &self.endpoint_url,
        ];
        let is_alone = lists.iter().all(|list| list.is_empty())
            && options.iter().all(|option| option.is_none())
            && (self.tag.is_empty() && self.provided_context.is_empty())
            && self.duration.is_none()
            && !(self.fips || self.dual_stack);
        let selected = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        self.profile.clone().or_else(selected).filter(|_| is_alone)
    }

    /// Whether there is a role to look at, and not the base identity alone.
    pub(crate) fn names_a_role(&self) -> bool {
        !self.role_arn.is_empty()
            || self.profile.is_some()
            || std::env::var_os("AWS_PROFILE").is_some()
    }

    /// Who signs the first call, as STS sees it; `None` if nobody does, since a web identity token
    /// is enough.
    pub(crate) async fn base_identity(&self) -> Result<Option<CallerIdentity>, Failure> {
        let base = match &self.profile {
            None if self.role_arn.is_empty() && std::env::var_os("AWS_PROFILE").is_some() => {
                Profile::selected().build().await?.base()
            }
            None => Some(Base::default_chain()),
            Some(profile) => Profile::named(profile).build().await?.base(),
        };
        let Some(base) = base else { return Ok(None) };
        let mut request = CallerIdentity::of(base).place(self.place());
        if let Some(profile) = &self.profile {
            request = request.profile(profile);
        }
        request.ask().await.map(Some)
    }

    /// With what the first role is assumed.
    async fn base(&self, asker: &Asker) -> Result<Base, Trouble> {
        let Some(name) = &self.profile else { return Ok(Base::default_chain()) };
        let profile = Profile::named(name).mfa_prompt(asker.prompt()).place(self.place());
        let profile = profile.build().await?;
        Ok(if profile.has_role() { Base::role(Arc::new(profile)) } else { Base::profile(name) })
    }

    async fn profile_source(self, asker: &Asker) -> Result<Profile, Trouble> {
        let place = self.place();
        let builder = match self.profile {
            Some(name) => Profile::named(name),
            None if std::env::var_os("AWS_PROFILE").is_some() => Profile::selected(),
            None => {
                return Err(Trouble::usage("no role is named")
                    .with_hint("pass --role-arn ARN or --profile NAME, or set AWS_PROFILE"));
            }
        };
        Ok(builder.mfa_prompt(asker.prompt()).place(place).build().await?)
    }

    /// The last role, standing on the ones before it; the parameters are the last one's.
    async fn role_source(
        mut self,
        asker: &Asker,
        printer: &Printer,
    ) -> Result<AssumeRole, Trouble> {
        let mut base = self.base(asker).await?;
        let Some(last) = self.role_arn.pop() else {
            return Err(Trouble::usage("no role is named"));
        };
        for arn in std::mem::take(&mut self.role_arn) {
            let mut builder = AssumeRole::builder(arn).base(base).place(self.place());
            if let Some(name) = &self.role_session_name {
                builder = builder.session_name(name);
            }
            let role = builder.build().await?;
            base = Base::role(Arc::new(role));
        }
        let mut builder = AssumeRole::builder(last).base(base).place(self.place());
        if let Some(name) = self.role_session_name {
            builder = builder.session_name(name);
        }
        if let Some(duration) = self.duration {
            builder = builder.duration(duration);
        }
        if let Some(id) = self.external_id {
            builder = builder.external_id(id);
        }
        if let Some(policy) = self.policy {
            builder = builder.policy(
                values::text_or_file(&policy)
                    .map_err(|why| Trouble::usage(format!("--policy: {why}")))?,
            );
        }
        for arn in self.policy_arn {
            builder = builder.policy_arn(arn);
        }
        for (key, value) in self.tag {
            builder = builder.tag(key, value);
        }
        for key in self.transitive_tag_key {
            builder = builder.transitive_tag_key(key);
        }
        if let Some(identity) = self.source_identity {
            builder = builder.source_identity(identity);
        }
        for (provider, assertion) in self.provided_context {
            builder = builder.provided_context(provider, assertion);
        }
        if let Some(serial) = self.mfa_serial {
            builder = builder.mfa_serial(serial).mfa_prompt(asker.prompt());
        } else if self.mfa_code.is_some() || self.mfa_process.is_some() {
            printer.warning("an MFA code is of no use without --mfa-serial");
        }
        Ok(builder.build().await?)
    }

    fn place(&self) -> Place {
        Place {
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            fips: self.fips.then_some(true),
            dual_stack: self.dual_stack.then_some(true),
        }
    }
}

impl Identity {
    /// The Region that STS is called in.
    pub(crate) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The profile that was named on the command line.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Where STS is called.
    pub(crate) fn place(&self) -> Place {
        Place { region: self.region.clone(), ..self.place.clone() }
    }

    /// The role's ARN, or the profile.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }

    /// Kept fresh from now on.
    pub(crate) fn keep(&self) -> RefreshableCredentials {
        let policy = RefreshPolicy::default().with_attempt_timeout(ATTEMPT_WITH_A_PERSON);
        let mut builder = RefreshableCredentials::builder(Arc::clone(&self.source)).policy(policy);
        if let Some(store) = &self.store {
            builder = builder.store(Arc::clone(store));
        }
        if let Some(cache) = &self.aws_cache {
            builder = builder.aws_cache(cache.clone());
        }
        builder.build()
    }

    /// Waits for the first session: for `patience`, but for as long as a person is being asked.
    pub(crate) async fn first(
        &self,
        credentials: &RefreshableCredentials,
        patience: Duration,
        printer: &Printer,
    ) -> Result<Arc<Session>, Trouble> {
        let told = events::tell(credentials.events(), printer);
        let got = async {
            loop {
                match credentials.get_patiently(patience).await {
                    Ok(current) => return Ok(current.share()),
                    Err(_) if self.asker.is_asking() => {}
                    Err(error) => return Err(self.asker.advise(error.into())),
                }
            }
        };
        tokio::select! {
            biased;
            got = got => got,
            never = told => match never {},
        }
    }

    /// One that is at hand costs no threads. The AWS CLI's cache goes before a store, and may be to
    /// have what the store has: that takes the whole way.
    async fn glance(&self) -> Option<Session> {
        if self.aws_cache.is_some() {
            return None;
        }
        let store = Arc::clone(self.store.as_ref()?);
        let (source, policy) = (Arc::clone(&self.source), Arc::new(RefreshPolicy::default()));
        Shared::new(source, store, policy, Clock::System, u64::from(std::process::id()))
            .glance()
            .await
    }

    /// One session, and no refreshing.
    pub(crate) async fn session(
        &self,
        patience: Duration,
        printer: &Printer,
    ) -> Result<Arc<Session>, Trouble> {
        if let Some(session) = self.glance().await {
            return Ok(Arc::new(session));
        }
        let credentials = self.keep();
        let session = self.first(&credentials, patience, printer).await?;
        self.asker.finished();
        Ok(session)
    }

    /// From here on the terminal is the program's: nobody is asked any more.
    pub(crate) fn leave_terminal(&self) {
        self.asker.finished();
    }
}
