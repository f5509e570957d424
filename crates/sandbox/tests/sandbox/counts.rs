//! Every call is counted once, under who called and what came of it.

use crate::common::{Key, assume_role, demo, list_buckets, sts};
use rolekeeper_sandbox::Sandbox;

#[tokio::test]
async fn calls_are_counted_by_operation_caller_and_result() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let key = demo(&sandbox);
    let session = assume_role("demo", &[]).send(&sandbox, &key).await.key();
    assume_role("demo", &[]).send(&sandbox, &key).await;
    assume_role("forbidden", &[]).send(&sandbox, &key).await;
    list_buckets().send(&sandbox, &session).await;
    let stranger = Key { id: "AKIASTRANGER00000000".to_owned(), ..key };
    sts("GetCallerIdentity", &[]).send(&sandbox, &stranger).await;
    sts("GetCallerIdentity", &[]).send_unsigned(&sandbox).await;
    sts("Nonsense", &[]).send_unsigned(&sandbox).await;

    let counts = sandbox.counts();
    let rows: Vec<_> = counts
        .rows
        .iter()
        .map(|row| (&*row.operation, &*row.caller, &*row.result, row.calls))
        .collect();
    let user = "arn:aws:iam::123456789012:user/demo";
    let role = "arn:aws:sts::123456789012:assumed-role/demo/test-session";
    assert_eq!(
        rows,
        [
            ("AssumeRole", user, "AccessDenied", 1),
            ("AssumeRole", user, "ok", 2),
            ("GetCallerIdentity", "AKIASTRANGER00000000", "InvalidClientTokenId", 1),
            ("GetCallerIdentity", "anonymous", "MissingAuthenticationToken", 1),
            ("ListBuckets", role, "ok", 1),
            ("Unknown", "anonymous", "MissingAuthenticationToken", 1),
        ]
    );
    assert_eq!((counts.calls("AssumeRole"), counts.ok("AssumeRole")), (3, 2));
    assert_eq!((counts.failed("AssumeRole"), counts.by_caller("AssumeRole", user)), (1, 3));
    assert_eq!((counts.total(), counts.hanging), (7, 0));
}
