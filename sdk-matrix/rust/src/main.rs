//! One client of the AWS SDK for Rust, made once, that calls STS for as many seconds as it is told;
//! 0: one call.

use std::{error::Error, io::Write, pin::pin, time::Duration};

use aws_config::BehaviorVersion;
use serde_json::json;
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut seconds = || -> Result<Duration, Box<dyn Error>> {
        Ok(Duration::from_secs_f64(arguments.next().ok_or("SECONDS PAUSE")?.parse()?))
    };
    let (length, pause) = (seconds()?, seconds()?);

    // Everything is on this machine: nobody needs TLS.
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let sts = aws_sdk_sts::Client::new(&config);
    let mut over = pin!(sleep(length));
    let (mut calls, mut failed, mut first_error) = (0, 0, None);
    loop {
        calls += 1;
        if let Err(error) = sts.get_caller_identity().send().await {
            failed += 1;
            first_error.get_or_insert_with(|| format!("{error:?}"));
        }
        tokio::select! {
            biased;
            () = &mut over => break,
            () = sleep(pause) => {}
        }
    }
    let told = json!({"calls": calls, "failed": failed, "first_error": first_error});
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}
