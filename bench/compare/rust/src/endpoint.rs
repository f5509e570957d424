//! A container endpoint as of an ECS or EKS agent, which makes one AssumeRole for each request: for
//! those who can assume no role themselves.

use std::{io, net::SocketAddr};

use aws_sdk_sts::config::retry::RetryConfig;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::sandbox::ROLE;

/// Served until it is dropped.
pub(crate) struct Endpoint {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

// === impl Endpoint ===

impl Endpoint {
    pub(crate) async fn start(config: &aws_config::SdkConfig) -> io::Result<Self> {
        // Whoever asks decides whether to ask again.
        let config = aws_sdk_sts::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .build();
        let sts = aws_sdk_sts::Client::from_conf(config);
        let app = Router::new().route("/role", get(answer)).with_state(sts);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, serving })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/role", self.address)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(sts): State<aws_sdk_sts::Client>) -> impl IntoResponse {
    let answer = sts.assume_role().role_arn(ROLE).role_session_name("compare").send().await;
    let Some(session) = answer.ok().and_then(|answer| answer.credentials) else {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    };
    let body = json!({
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.session_token,
        "Expiration": session.expiration.to_string(),
    });
    (StatusCode::OK, body.to_string())
}
