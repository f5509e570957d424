//! Starting, pointing an SDK at it, stopping.

use crate::common::{demo, sts};
use rolekeeper_sandbox::{Config, Sandbox};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn only_the_loopback_interface_is_bound() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let started = Sandbox::builder().bind(address.parse().unwrap()).start().await;
        assert_eq!(started.unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{address}");
    }
}

#[tokio::test]
async fn the_environment_points_at_the_sandbox_as_a_user_it_has() {
    let config =
        "[users.only]\naccess_key_id = \"AKIAONLYONEUSER00000\"\nsecret_access_key = \"x\"";
    let config = Config::from_toml(config).unwrap();
    let sandbox = Sandbox::builder().config(config).start().await.unwrap();
    let environment: std::collections::BTreeMap<_, _> = sandbox.environment().into_iter().collect();
    assert_eq!(environment["AWS_ENDPOINT_URL"], sandbox.endpoint_url());
    assert_eq!(environment["AWS_ACCESS_KEY_ID"], "AKIAONLYONEUSER00000");
    assert_eq!(environment["AWS_SECRET_ACCESS_KEY"], "x");
    assert_eq!(environment["AWS_REGION"], "us-east-1");
    assert!(sandbox.user_credentials("demo").is_none());
}

#[tokio::test]
async fn the_port_is_free_again_after_a_shutdown() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let address = sandbox.endpoint_url().replace("http://", "");
    let idle = TcpStream::connect(&address).await.unwrap();
    sts("GetCallerIdentity", &[]).send(&sandbox, &demo(&sandbox)).await.is(200, "");
    sandbox.shutdown().await;
    drop(TcpListener::bind(&address).await.unwrap());
    let mut byte = [0];
    let closed = idle.peek(&mut byte).await;
    assert!(!matches!(closed, Ok(1..)), "{closed:?}");
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let address = sandbox.endpoint_url().replace("http://", "");
    drop(sandbox);
    let refused = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, refused).await.expect("it stops");
}

#[tokio::test]
async fn a_configuration_error_names_the_line_and_the_key_and_no_secret() {
    for (text, told) in [
        ("acount = \"1\"", "line 1: `acount`: unknown field `acount`"),
        ("account = \"12\"", "line 1: `account`: not 12 digits"),
        ("\n[roles.x]\ntrust = [\"user/y\"]", "line 3: `roles.x.trust`: no such user"),
        ("[roles.x]\ntrust = [\n  \"someone\",\n]", "line 3: "),
        (
            "[roles.x]\ntrust = []\nmax_session_duration = 60",
            "line 3: `roles.x.max_session_duration`: not within 3600 to 43200 seconds",
        ),
        (
            "[users.u]\naccess_key_id = \"A\"\nsecret_access_key = \"hush\"",
            "line 2: `users.u.access_key_id`: an access key id has 16",
        ),
        ("[users.u]\nsecret_access_key = \"hush", "line 2: `users.u.secret_access_key`: "),
        ("[users.u]\nsecret_access_key = [\"hush\"]", "line 2: `users.u.secret_access_key`: "),
        (
            "[users.u]\nmfa = \"hush, \\\"hush\\\"\"",
            "line 2: `users.u.mfa`: invalid type: string, expected a table",
        ),
        ("[users.u]\nmfa = { serial = \"s\", seed = \"hush\" }", "line "),
    ] {
        let error = Config::from_toml(text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{text}\n{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
