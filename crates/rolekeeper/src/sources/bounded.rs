//! How much of an answer is read: whoever answers in a service's place, with an answer that has no
//! end, does not get this process' memory.

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream, config_bag::ConfigBag};

/// A session is some kilobytes; the largest token that a service may think of leaves room here.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Calls through this client, and reads no answer that is larger than that.
#[derive(Debug)]
pub(super) struct Bounded(pub(super) SharedHttpClient);

#[derive(Debug)]
struct Connector(SharedHttpConnector);

// === impl Bounded ===

impl HttpClient for Bounded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

// === impl Connector ===

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer: HttpResponse = answer.await?;
            *answer.body_mut() = read(answer.take_body()).await;
            Ok(answer)
        })
    }
}

/// The whole body. One that breaks off or is too large is a body that can't be read: the SDK then
/// says so of the answer, whose head it has.
async fn read(body: SdkBody) -> SdkBody {
    let mut stream = ByteStream::new(body);
    let (mut pieces, mut size) = (Vec::new(), 0);
    loop {
        match stream.try_next().await {
            Ok(Some(piece)) if size + piece.len() <= LARGEST_ANSWER => {
                size += piece.len();
                pieces.push(piece);
            }
            Ok(Some(_)) => {
                tracing::warn!("an answer of more than {} kB is not read", LARGEST_ANSWER / 1024);
                return SdkBody::taken();
            }
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "an answer broke off");
                return SdkBody::taken();
            }
        }
    }
    // Most often there is one. Copies of what has secrets in it are made as seldom as can be.
    if pieces.len() == 1 {
        return pieces.pop().map_or_else(SdkBody::empty, SdkBody::from);
    }
    let mut whole = Vec::with_capacity(size);
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    SdkBody::from(whole)
}
