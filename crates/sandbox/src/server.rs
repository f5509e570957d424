//! Decides how connections and requests are taken: limits, time-outs, and what a call's plan of
//! faults does to its answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::admin;
use crate::faults::Outcome;
use crate::reply::{Closed, Reply, ascii};
use crate::services::Call;
use crate::sigv4::Received;
use crate::wire::{Refusal, Service};
use crate::world::World;

/// The largest request body: a web identity token and all tags are a tenth of it.
const LARGEST_BODY: usize = 1024 * 1024;
/// The largest request line and headers together; a session token fits forty times.
const LARGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;
/// How long a client may take over its headers, and then over its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many connections are served at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;
/// How long to leave the machine alone when it has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves until it is dropped, and every connection with it.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let world = Arc::clone(&world);
                connections.spawn(async move {
                    converse(stream, world).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, world: Arc<World>) {
    // A small answer is not to wait for the next one; without it, it is merely slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(Arc::clone(&world), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong on a connection is its client's affair, or a fault that was asked for.
    let _ = connection.await;
}

async fn answer(world: Arc<World>, request: Request<Incoming>) -> Result<Response<Reply>, Closed> {
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(refusal) => {
            let id = world.request_id();
            return Ok(refused(&world, Service::Sts, &refusal, &id));
        }
    };
    if head.uri.path().starts_with(admin::PREFIX) {
        return Ok(admin::answer(&world, &head, &body));
    }

    let call = Call::read(Received {
        method: head.method.as_str(),
        uri: &head.uri,
        headers: &head.headers,
        body: &body,
    });
    let (service, operation) = (call.service, call.operation_name());
    let plan = world.plan(service, operation).await;
    if !plan.latency.is_zero() {
        tokio::time::sleep(plan.latency).await;
    }
    let request_id = world.request_id();
    let count_fault = |result: &str| world.count(operation, call.claimed_caller(), result);
    match &plan.outcome {
        Outcome::Close => {
            count_fault("(closed)");
            return Err(Closed);
        }
        Outcome::Refuse(refusal) => {
            count_fault(&refusal.code);
            return Ok(refused(&world, service, refusal, &request_id));
        }
        Outcome::Malform => {
            count_fault("(malformed)");
            let body = "<AssumeRoleResponse><AssumeRoleResult>\u{1}& not XML";
            return Ok(respond(&world, StatusCode::OK, service, body.to_owned(), &request_id));
        }
        Outcome::Serve | Outcome::Truncate => {}
    }

    let answered = call.answer(&world, &plan, world.now());
    let truncate = matches!(plan.outcome, Outcome::Truncate);
    let response = match answered.answer {
        Ok(answer) => {
            let result = if truncate { "(truncated)" } else { "ok" };
            world.count(operation, &answered.caller, result);
            let missing = plan.missing_field.as_deref();
            let body = service.write_answer(answer, &request_id, missing);
            if truncate {
                return Ok(truncated(&world, service, &body, &request_id));
            }
            respond(&world, StatusCode::OK, service, body, &request_id)
        }
        Err(refusal) => {
            world.count(operation, &answered.caller, &refusal.code);
            refused(&world, service, &refusal, &request_id)
        }
    };
    Ok(response)
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, LARGEST_BODY).collect();
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::new(413, "RequestEntityTooLarge", "The body is larger than 1 MiB."))
        }
        Ok(Err(_)) => Err(Refusal::new(400, "MalformedInput", "The body could not be read.")),
        Err(_) => Err(Refusal::new(408, "RequestTimeout", "The body was not sent in time.")),
    }
}

fn refused(world: &World, service: Service, refusal: &Refusal, id: &str) -> Response<Reply> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = service.write_refusal(refusal, id);
    let mut response = respond(world, status, service, body, id);
    if let Some(seconds) = refusal.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn truncated(world: &World, service: Service, body: &str, id: &str) -> Response<Reply> {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let mut response = respond(world, StatusCode::OK, service, String::new(), id);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Reply::cut_off(half);
    response
}

fn respond(
    world: &World,
    status: StatusCode,
    service: Service,
    body: String,
    request_id: &str,
) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(service.content_type()));
    headers.insert(header::DATE, ascii(&world.date_header()));
    headers.insert("x-amzn-requestid", ascii(request_id));
    if service == Service::S3 {
        headers.insert("x-amz-request-id", ascii(request_id));
    }
    response
}

/// Binds, to nothing but the loopback interface.
pub(crate) async fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let why = "the sandbox binds to the loopback interface only: its keys are no secret";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    TcpListener::bind(address).await
}
