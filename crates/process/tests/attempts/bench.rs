//! How long an attempt takes that does nothing; told, never judged.

use crate::world::Attempt;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
async fn the_shortest_attempt_is_measured() {
    let mut times = Vec::new();
    for _ in 0..40 {
        let attempt = Attempt::of_command(&["/bin/true"]);
        let before = std::time::Instant::now();
        attempt.start().await.exited().await.unwrap();
        times.push(before.elapsed());
    }
    times.sort();
    println!("start to exited: p50 {:?}, p90 {:?}", times[20], times[36]);
}
