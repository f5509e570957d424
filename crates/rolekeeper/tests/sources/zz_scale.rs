use rolekeeper::Source;
fn rss() -> u64 { std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 }
#[allow(clippy::disallowed_methods)]
#[tokio::test]
#[ignore = "measure"]
async fn scale() {
    let sandbox = crate::support::sandbox().await;
    let one = crate::support::role(&sandbox, "demo").build().await.unwrap();
    let t = std::time::Instant::now();
    one.fetch().await.unwrap();
    eprintln!("first fetch {:?}", t.elapsed());
    let (t, r) = (std::time::Instant::now(), rss());
    let mut roles = Vec::new();
    for _ in 0..1000 { roles.push(crate::support::role(&sandbox, "demo").build().await.unwrap()); }
    eprintln!("build each {:?}, {} kB", t.elapsed() / 1000, (rss() - r) / 1000);
    let (t, r) = (std::time::Instant::now(), rss());
    for role in &roles { role.fetch().await.unwrap(); }
    eprintln!("fetch each {:?}, {} kB", t.elapsed() / 1000, (rss() - r) / 1000);
}
