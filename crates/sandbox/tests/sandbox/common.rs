//! A tiny client: signs by hand, speaks HTTP/1.1 over a raw socket, and takes the answer apart.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use rolekeeper_sandbox::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long what must happen may take before the test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whose name to sign in.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// A request to be signed and sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) service: &'static str,
    pub(crate) region: String,
    pub(crate) body: String,
    pub(crate) headers: Vec<(String, String)>,
    /// How far the client's clock is from the machine's, in seconds.
    pub(crate) skew: i64,
    /// Signs in the query, for this long.
    pub(crate) presigned: Option<Duration>,
    pub(crate) unsigned_payload: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Whether the body is as long as was announced.
    pub(crate) complete: bool,
}

// === impl Key ===

pub(crate) fn demo(sandbox: &Running) -> Key {
    let credentials = sandbox.user_credentials("demo").unwrap();
    Key { id: credentials.access_key_id, secret: credentials.secret_access_key, token: None }
}

// === impl Call ===

/// A call of the Query protocol: `sts("GetCallerIdentity", &[])`.
pub(crate) fn sts(action: &str, params: &[(&str, &str)]) -> Call {
    query("sts", "2011-06-15", action, params)
}

pub(crate) fn query(
    service: &'static str,
    version: &str,
    action: &str,
    params: &[(&str, &str)],
) -> Call {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", version);
    form.extend_pairs(params);
    Call {
        method: "POST",
        target: "/".to_owned(),
        service,
        region: "us-east-1".to_owned(),
        body: form.finish(),
        headers: vec![(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
        )],
        skew: 0,
        presigned: None,
        unsigned_payload: false,
    }
}

pub(crate) fn list_buckets() -> Call {
    Call {
        method: "GET",
        target: "/?x-id=ListBuckets".to_owned(),
        service: "s3",
        body: String::new(),
        headers: Vec::new(),
        ..sts("", &[])
    }
}

pub(crate) fn describe_db_instances() -> Call {
    query("rds", "2014-10-31", "DescribeDBInstances", &[])
}

/// AssumeRole of the built-in account's role of that name, with more parameters.
pub(crate) fn assume_role(role: &str, more: &[(&str, &str)]) -> Call {
    let arn = format!("arn:aws:iam::123456789012:role/{role}");
    let mut params = vec![("RoleArn", arn.as_str()), ("RoleSessionName", "test-session")];
    params.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    params.extend(more);
    sts("AssumeRole", &params)
}

impl Call {
    /// The request as bytes, signed.
    pub(crate) fn signed(&self, sandbox: &Running, key: &Key) -> String {
        let host = sandbox.endpoint_url().replace("http://", "");
        let mut headers = self.headers.clone();
        headers.push(("host".to_owned(), host));

        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if self.presigned.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = self.presigned;
        }
        let identity =
            Credentials::new(&key.id, &key.secret, key.token.clone(), None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(clock(self.skew))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let unsigned = self.unsigned_payload || (self.service == "s3" && self.presigned.is_some());
        let body = match unsigned {
            true => SignableBody::UnsignedPayload,
            false => SignableBody::Bytes(self.body.as_bytes()),
        };
        let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(self.method, &self.target, named, body).unwrap();
        let (signed, _) = sign(request, &params).unwrap().into_parts();
        let (added, query) = signed.into_parts();
        headers.extend(added.iter().map(|h| (h.name().to_owned(), h.value().to_owned())));
        let mut target = self.target.clone();
        for (name, value) in query {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(name);
            target.push('=');
            target.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        }
        raw(self.method, &target, &headers, &self.body)
    }

    pub(crate) async fn send(&self, sandbox: &Running, key: &Key) -> Answer {
        exchange(sandbox, self.signed(sandbox, key).as_bytes()).await.expect("an answer")
    }

    /// Sends it with no signature at all.
    pub(crate) async fn send_unsigned(&self, sandbox: &Running) -> Answer {
        let mut headers = self.headers.clone();
        headers.push(("host".to_owned(), sandbox.endpoint_url().replace("http://", "")));
        let request = raw(self.method, &self.target, &headers, &self.body);
        exchange(sandbox, request.as_bytes()).await.expect("an answer")
    }
}

#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub(crate) fn clock(skew: i64) -> SystemTime {
    let by = Duration::from_secs(skew.unsigned_abs());
    if skew < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
}

pub(crate) fn raw(method: &str, target: &str, headers: &[(String, String)], body: &str) -> String {
    let mut request = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{request}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// An admin request, with the right token and host unless told otherwise.
pub(crate) async fn admin(sandbox: &Running, method: &str, path: &str, body: &str) -> Answer {
    let headers = [
        ("host".to_owned(), sandbox.endpoint_url().replace("http://", "")),
        ("authorization".to_owned(), format!("Bearer {}", sandbox.admin_token())),
    ];
    let request = raw(method, path, &headers, body);
    exchange(sandbox, request.as_bytes()).await.expect("an answer")
}

/// Sends bytes and reads until the connection closes; nothing if there is no whole head.
pub(crate) async fn exchange(sandbox: &Running, request: &[u8]) -> Option<Answer> {
    converse(sandbox, request, false).await
}

/// The same for bytes that may be no whole request: tells that there will be no more.
pub(crate) async fn exchange_and_end(sandbox: &Running, request: &[u8]) -> Option<Answer> {
    converse(sandbox, request, true).await
}

async fn converse(sandbox: &Running, request: &[u8], end: bool) -> Option<Answer> {
    let address = sandbox.endpoint_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    // The server may close while we still send: what it answered is what matters.
    let _ = stream.write_all(request).await;
    if end {
        let _ = stream.shutdown().await;
    }
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 8192];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        bytes.extend_from_slice(&chunk[..read]);
    }
    Answer::parse(&String::from_utf8_lossy(&bytes))
}

// === impl Answer ===

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let announced = headers.get("content-length").and_then(|length| length.parse().ok());
        let complete = announced.is_none_or(|announced: usize| announced == body.len());
        Some(Self { status, headers, body: body.to_owned(), complete })
    }

    /// The text of the first element of that name.
    pub(crate) fn xml(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    }

    pub(crate) fn code(&self) -> String {
        self.xml("Code").unwrap_or_default()
    }

    /// The status and the error code: `(200, "")` if it was served.
    pub(crate) fn outcome(&self) -> (u16, String) {
        (self.status, self.code())
    }

    pub(crate) fn message(&self) -> String {
        self.xml("Message").unwrap_or_default()
    }

    /// The session it carries.
    #[track_caller]
    pub(crate) fn key(&self) -> Key {
        let part = |name| self.xml(name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        Key {
            id: part("AccessKeyId"),
            secret: part("SecretAccessKey"),
            token: Some(part("SessionToken")),
        }
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!(self.outcome(), (status, code.to_owned()), "{self:?}");
    }
}
