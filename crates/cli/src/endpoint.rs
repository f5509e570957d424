//! A container-credentials endpoint for the one program that `exec` runs.
//!
//! On 127.0.0.1, which every SDK accepts, at a random port and behind a random token. It is right
//! about three things that others got wrong: it checks `Host` (a web page can make a browser call
//! any port of this machine), it compares tokens in constant time, and while no session is valid it
//! holds the request instead of answering an error that puts an SDK to sleep for minutes.
//!
//! | request | answer |
//! |---|---|
//! | `GET /credentials` with the token | 200 and the session |
//! | another path / method | 404 / 405 |
//! | no token or a wrong one | 401 |
//! | another `Host`, an `Origin`, a `Sec-Fetch-…` | 403 |
//! | no session to be had | 503 |

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rolekeeper::{Current, Error, RefreshableCredentials, Secret, Session};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

const PATH: &str = "/credentials";

/// botocore gives up after 2 s, the least patient of the SDKs that don't simply ask again.
const HOLD: Duration = Duration::from_millis(1500);

/// An SDK sends its request at once; who doesn't is no SDK.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// A GET with a token and a few headers; more is no SDK's.
const MOST_HEADERS: usize = 32;
const LARGEST_HEAD: usize = 8 * 1024;

/// 256 bits, in hexadecimal.
const TOKEN_BYTES: usize = 32;

pub(crate) struct Endpoint {
    address: SocketAddr,
    token: Secret,
}

struct Service {
    credentials: RefreshableCredentials,
    address: SocketAddr,
    token: Secret,
    /// The newest session's answer: made once a session, not once a request.
    body: Mutex<Option<(Arc<Session>, Bytes)>>,
}

type Answer = Response<Full<Bytes>>;
type Objection = (StatusCode, &'static str, &'static str);

// === impl Endpoint ===

impl Endpoint {
    /// Serves `credentials` in the background for as long as the runtime lives.
    pub(crate) async fn start(credentials: RefreshableCredentials) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let token = random_token()?;
        let service = Arc::new(Service {
            credentials,
            address,
            token: token.clone(),
            body: Mutex::default(),
        });
        tokio::spawn(accept(listener, service));
        Ok(Self { address, token })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// What `Authorization` has to be, word for word.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }
}

fn random_token() -> io::Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; TOKEN_BYTES]);
    getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or a peer that has gone: the next one may do.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let service = Arc::clone(&service);
                async move { Ok::<_, Infallible>(service.answer(&request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(MOST_HEADERS)
                .max_buf_size(LARGEST_HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
}

// === impl Service ===

impl Service {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if let Some((status, code, message)) = self.objection(request) {
            return refuse(status, code, message);
        }
        match self.credentials.get_patiently(HOLD).await {
            Ok(current) => reply(StatusCode::OK, self.body(&current)),
            Err(error) => unavailable(&error),
        }
    }

    /// Why this request is not answered with credentials.
    fn objection(&self, request: &Request<Incoming>) -> Option<Objection> {
        let headers = request.headers();
        let from_browser = headers.contains_key(header::ORIGIN)
            || headers.keys().any(|name: &HeaderName| name.as_str().starts_with("sec-fetch-"));
        if from_browser || !self.is_for_us(headers.get(header::HOST)) {
            return Some((StatusCode::FORBIDDEN, "Forbidden", "not for browsers"));
        }
        let given = headers.get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        if !bool::from(given.ct_eq(self.token.expose().as_bytes())) {
            let message = "the Authorization header is not this endpoint's token";
            return Some((StatusCode::UNAUTHORIZED, "Unauthorized", message));
        }
        if request.uri().path() != PATH {
            return Some((StatusCode::NOT_FOUND, "NotFound", "no such path"));
        }
        if request.method() != Method::GET {
            return Some((StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "GET only"));
        }
        None
    }

    /// The CRT leaves the port out of `Host`; everybody else sends both.
    fn is_for_us(&self, host: Option<&HeaderValue>) -> bool {
        let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
        host == self.address.to_string() || host == self.address.ip().to_string()
    }

    fn body(&self, current: &Current) -> Bytes {
        let session = current.share();
        let mut made = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, body)) = &*made
            && Arc::ptr_eq(of, &session)
        {
            return body.clone();
        }
        let body = Bytes::from(document(&session).to_string());
        *made = Some((session, body.clone()));
        body
    }
}

/// The session as SDKs read it. `Expiration` in the local clock's terms, since that is what they
/// compare it with.
fn document(session: &Session) -> serde_json::Value {
    let credentials = session.credentials();
    let mut document = json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "Token": credentials.session_token.expose(),
        "Expiration": session.expiration().to_string(),
    });
    if let Some(account_id) = session.account_id() {
        document["AccountId"] = account_id.into();
    }
    if let Some(arn) = session.assumed_role_arn() {
        document["RoleArn"] = arn.into();
    }
    document
}

fn unavailable(error: &Error) -> Answer {
    let code = error.code().unwrap_or("ServiceUnavailable");
    let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, code, &error.to_string());
    if let Some(wait) = error.next_try() {
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}

/// JavaScript reads `Code` and `Message`, Go `code` and `message`.
fn refuse(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = json!({ "Code": code, "Message": message, "code": code, "message": message });
    let mut answer = reply(status, Bytes::from(body.to_string()));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    answer
}

fn reply(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
