//! One connection to the Redis that can be written to, however it is found.

use std::{io, sync::Arc};

use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ProtocolVersion, PushInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates, Value,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, TlsMode},
    cluster_async::ClusterConnection,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsConnector;

use super::{
    LIMIT,
    address::{Address, Host, Servers},
    news::News,
    tls,
    trouble::told,
};
use crate::stores::StoreError;

/// A connection that works, or did a moment ago. RESP3: what is published comes over the same one.
pub(super) struct Live {
    connection: Connection,
    pub(super) news: Arc<News>,
}

enum Connection {
    One(One),
    Cluster(ClusterConnection),
}

struct One {
    connection: MultiplexedConnection,
    _driver: Driver,
}

/// Moves the connection's bytes. Without its owner it would wait for answers that may never come.
struct Driver(AbortHandle);

/// Of a cluster, a node may send the caller on to another, once. Nothing else is tried again: who
/// calls goes on alone at once.
const REDIRECTIONS: u32 = 1;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

// === impl Live ===

impl Live {
    pub(super) async fn connect(address: &Address) -> Result<Self, StoreError> {
        let news = Arc::<News>::default();
        let connection = match &address.servers {
            Servers::One(host) => {
                let tls = tls_of(address)?;
                let one = One::store(address, host, tls.as_ref(), &news).await;
                Connection::One(one.map_err(|error| told(address, &error))?)
            }
            Servers::Sentinels { hosts, master } => {
                Connection::One(primary(address, hosts, master, &news).await?)
            }
            Servers::Cluster(hosts) => Connection::Cluster(cluster(address, hosts, &news).await?),
        };
        Ok(Self { connection, news })
    }

    pub(super) async fn query(&self, command: &Cmd) -> RedisResult<Value> {
        match &self.connection {
            Connection::One(one) => command.query_async(&mut one.connection.clone()).await,
            Connection::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    pub(super) async fn subscribe(&self, channel: &str) -> RedisResult<()> {
        match &self.connection {
            Connection::One(one) => one.connection.clone().subscribe(channel).await,
            Connection::Cluster(cluster) => cluster.clone().subscribe(channel).await,
        }
    }

    pub(super) async fn unsubscribe(&self, channel: &str) -> RedisResult<()> {
        match &self.connection {
            Connection::One(one) => one.connection.clone().unsubscribe(channel).await,
            Connection::Cluster(cluster) => cluster.clone().unsubscribe(channel).await,
        }
    }
}

// === impl One ===

impl One {
    /// To a Redis that keeps sessions.
    async fn store(
        address: &Address,
        host: &Host,
        tls: Option<&Arc<ClientConfig>>,
        news: &Arc<News>,
    ) -> RedisResult<Self> {
        let who = with_password(address, RedisConnectionInfo::default())
            .set_db(address.database)
            .set_protocol(ProtocolVersion::RESP3);
        let config = AsyncConnectionConfig::new().set_push_sender(heard_by(news));
        Self::open(host, tls, &who, config).await
    }

    async fn open(
        host: &Host,
        tls: Option<&Arc<ClientConfig>>,
        who: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> RedisResult<Self> {
        // The caller's own limit is for all of a call.
        let config = config.set_response_timeout(None).set_connection_timeout(None);
        let stream = reach(host, tls).await?;
        let (connection, driver) =
            MultiplexedConnection::new_with_config(who, stream, config).await?;
        let driver = Driver(tokio::spawn(driver).abort_handle());
        Ok(Self { connection, _driver: driver })
    }

    async fn query(&self, command: &Cmd) -> RedisResult<Value> {
        command.query_async(&mut self.connection.clone()).await
    }
}

// === impl Driver ===

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tls_of(address: &Address) -> Result<Option<Arc<ClientConfig>>, StoreError> {
    address.tls.as_ref().map(tls::config).transpose()
}

fn with_password(address: &Address, mut who: RedisConnectionInfo) -> RedisConnectionInfo {
    if let Some(user) = &address.user {
        who = who.set_username(user);
    }
    if let Some(password) = &address.password {
        who = who.set_password(password.expose());
    }
    who
}

fn heard_by(
    news: &Arc<News>,
) -> impl Fn(PushInfo) -> Result<(), RedisError> + Send + Sync + 'static {
    let news = Arc::clone(news);
    move |push| {
        news.told(&push);
        Ok(())
    }
}

async fn reach(host: &Host, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect((&*host.name, host.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.name.clone()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

/// The primary that the sentinels name. All are asked at once: one that is gone, or stands still,
/// keeps nobody waiting.
async fn primary(
    address: &Address,
    sentinels: &[Host],
    master: &str,
    news: &Arc<News>,
) -> Result<One, StoreError> {
    let tls = tls_of(address)?;
    let mut asked = JoinSet::new();
    for host in sentinels {
        let (address, host, tls) = (address.clone(), host.clone(), tls.clone());
        let master = master.to_owned();
        asked.spawn(async move { ask_sentinel(&address, &host, tls.as_ref(), &master).await });
    }
    let mut tried = Vec::new();
    let (mut refused, mut unreached) = (None, None);
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(Some(host))) if tried.contains(&host) => {}
            Ok(Ok(Some(host))) => {
                match One::store(address, &host, tls.as_ref(), news).await {
                    Ok(one) if is_primary(&one).await => return Ok(one),
                    Ok(_) => refused = Some(no_primary(address, &host)),
                    Err(error) => refused = Some(told(address, &error)),
                }
                tried.push(host);
            }
            Ok(Ok(None)) => {
                refused.get_or_insert_with(|| {
                    StoreError::new(format!("the sentinels of {address} know no `{master}`"))
                        .with_hint("ask one for the names: SENTINEL MASTERS")
                });
            }
            Ok(Err(error)) => unreached = Some(told(address, &error)),
            Err(_) => {}
        }
    }
    Err(refused.or(unreached).unwrap_or_else(|| StoreError::new("no sentinel was asked")))
}

/// Without a password at first, which most have none of: one that has none refuses any.
async fn ask_sentinel(
    address: &Address,
    host: &Host,
    tls: Option<&Arc<ClientConfig>>,
    master: &str,
) -> RedisResult<Option<Host>> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let ask = |who: RedisConnectionInfo| {
        let command = &command;
        async move {
            let one = One::open(host, tls, &who, AsyncConnectionConfig::new()).await?;
            one.query(command).await
        }
    };
    let answer = match ask(RedisConnectionInfo::default()).await {
        Err(error) if error.code() == Some("NOAUTH") && address.password.is_some() => {
            ask(with_password(address, RedisConnectionInfo::default())).await?
        }
        answer => answer?,
    };
    let found: Option<(String, u16)> = redis::from_redis_value(answer)?;
    Ok(found.map(|(name, port)| Host { name, port }))
}

/// In the middle of a fail-over a sentinel may still name the old one. Who may not ask believes it.
async fn is_primary(one: &One) -> bool {
    match one.query(&redis::cmd("ROLE")).await {
        Ok(Value::Array(parts)) => {
            matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master")
        }
        Ok(_) | Err(_) => true,
    }
}

fn no_primary(address: &Address, host: &Host) -> StoreError {
    StoreError::new(format!("{host}, which the sentinels of {address} name, is no primary"))
        .with_hint("it mends itself when they have agreed on another")
}

async fn cluster(
    address: &Address,
    hosts: &[Host],
    news: &Arc<News>,
) -> Result<ClusterConnection, StoreError> {
    let nodes = hosts.iter().map(|Host { name, port }| match &address.tls {
        None => ConnectionAddr::Tcp(name.clone(), *port),
        Some(_) => ConnectionAddr::TcpTls {
            host: name.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
    });
    let mut builder = ClusterClient::builder(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .retries(REDIRECTIONS)
        .connection_timeout(LIMIT)
        .response_timeout(LIMIT)
        .overall_response_timeout(Some(LIMIT))
        .push_sender(heard_by(news));
    if let Some(user) = &address.user {
        builder = builder.username(user);
    }
    if let Some(password) = &address.password {
        builder = builder.password(password.expose());
    }
    if let Some(roots) = &address.tls {
        // That client goes by the process' own choice of cryptography, and panics where two are
        // compiled in and none is chosen.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates =
            TlsCertificates { client_tls: None, root_cert: Some(tls::as_pem(roots)?) };
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    let connection = async { builder.build()?.get_async_connection().await };
    connection.await.map_err(|error| told(address, &error))
}
