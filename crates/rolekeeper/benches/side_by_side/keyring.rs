//! Ten thousand roles in one keyring: what each costs in memory, threads and CPU.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use rolekeeper::{
    Keyring, RefreshPolicy, Secret, Source,
    sources::{AssumeRole, Base, Surroundings},
};

use crate::{
    machine,
    measure::process_cpu,
    report::Row,
    source::{HOUR, Sts},
};

const ROLES: u32 = 10_000;

/// Each role has an account of its own here, so nobody queues.
const PACE: NonZeroU32 = NonZeroU32::MAX;

pub(crate) async fn rows() -> Vec<Row> {
    // First: how much an `AssumeRole` takes, in a keyring and with nothing fetched yet.
    let base = Base::keys("AKIAEXAMPLE", &Secret::new("secret"), None);
    let role = |number: u32| {
        AssumeRole::builder(format!("arn:aws:iam::{number:012}:role/side-by-side"))
            .region("us-east-1")
            .base(base.clone())
            .surroundings(Surroundings::with_variables([("AWS_EC2_METADATA_DISABLED", "true")]))
            .build()
    };
    let sources = Keyring::new().with_policy(RefreshPolicy::on_demand());
    let warm = role(0).await.expect("a well-formed role");
    let before = machine::resident_bytes();
    for number in 1..=ROLES {
        let source = role(number).await.expect("a well-formed role");
        sources.get_or_insert(number, || source);
    }
    let bytes_unfetched = per_role(machine::resident_bytes() - before);

    // Then: with a session held and a refresher at work for each, over an instant source.
    let keyring = Keyring::new().with_pace(PACE);
    let (threads, files) = (machine::threads(), machine::files());
    let before = machine::resident_bytes();
    for number in 1..=ROLES {
        let account = Some(format!("{number:012}"));
        keyring.get_or_insert(number, || Sts::of_account(Duration::ZERO, HOUR, account));
    }
    let all = keyring.all();
    for credentials in &all {
        credentials.get().await.expect("the source works");
    }
    let bytes_held = per_role(machine::resident_bytes() - before);
    let (threads, files) = (machine::threads() - threads, machine::files() - files);

    let before = process_cpu();
    for credentials in &all {
        credentials.refresh_now().await.expect("the source works");
    }
    let refresh = (process_cpu() - before) / ROLES;
    let before = process_cpu();
    let bare = Sts::new(Duration::ZERO, HOUR);
    for _ in 0..ROLES {
        bare.fetch().await.expect("the source works");
    }
    let fetch = (process_cpu() - before) / ROLES;
    drop((warm, Arc::new(sources)));

    vec![Row {
        what: "10,000 roles in one keyring".into(),
        must_be:
            "bytes a role and CPU a refresh, reported; no thread or timer per role beyond what \
                  tokio keeps"
                .into(),
        ratios: format!(
            "threads more: {threads}, for all roles (the clock watch); files or system timers \
             more: {files}"
        ),
        absolute: format!(
            "{bytes_unfetched} bytes a role over AssumeRole before its first fetch; {bytes_held} \
             bytes with session and refresher; {:.1} µs CPU a refresh_now(), of which the instant \
             source {:.1}",
            refresh.as_secs_f64() * 1e6,
            fetch.as_secs_f64() * 1e6
        ),
        met: Some(threads <= 1 && files == 0),
    }]
}

fn per_role(bytes: i64) -> i64 {
    bytes / i64::from(ROLES)
}
