//! S3's ListBuckets: a call that a session must be good for, signed with the SDK's own SigV4.

use std::time::{Duration, SystemTime};

use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rolekeeper::{Clock, Session, adapters::sdk_credentials};
use rolekeeper_sandbox::Running;

/// No call on loopback takes longer unless something is wrong.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct BucketList {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: String,
    host: String,
    region: String,
    clock: Clock,
}

pub(super) enum Answer {
    Served,
    /// The session is no good: expired, revoked.
    Rejected,
    Failed,
}

impl BucketList {
    pub(super) fn at(sandbox: &Running) -> Self {
        let endpoint = sandbox.endpoint_url();
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            host: endpoint.trim_start_matches("http://").to_owned(),
            url: format!("{endpoint}/"),
            region: sandbox.region().to_owned(),
            clock: Clock::default(),
        }
    }

    pub(super) async fn ask(&self, session: &Session) -> Answer {
        let Some(request) = self.signed(session) else { return Answer::Failed };
        let answer = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        let Ok(Ok(answer)) = answer else { return Answer::Failed };
        let status = answer.status();
        let Ok(body) = answer.into_body().collect().await else { return Answer::Failed };
        let body = body.to_bytes();
        let says = |code: &str| body.windows(code.len()).any(|window| window == code.as_bytes());
        if status == StatusCode::OK {
            Answer::Served
        } else if says("ExpiredToken") || says("AccessDenied") {
            Answer::Rejected
        } else {
            Answer::Failed
        }
    }

    fn signed(&self, session: &Session) -> Option<Request<Empty<Bytes>>> {
        let identity = sdk_credentials(session).into();
        // S3's own ways: a hash of the body among the headers, and paths as they are.
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(self.clock.now().wall))
            .settings(settings)
            .build()
            .ok()?;
        let headers = [("host", self.host.as_str())];
        let body = SignableBody::Bytes(&[]);
        let signable = SignableRequest::new("GET", &self.url, headers.into_iter(), body).ok()?;
        let (instructions, _) = sign(signable, &parameters.into()).ok()?.into_parts();
        let mut request =
            Request::get(&self.url).header("host", &self.host).body(Empty::new()).ok()?;
        instructions.apply_to_request_http1x(&mut request);
        Some(request)
    }
}
