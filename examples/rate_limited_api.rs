//! An API with limits: ten requests a second for each user, twenty at once, and a daily count of what
//! each has used.
//!
//! With `Redis::open("redis://cache:6379")?` in place of the embedded store, all processes of the API
//! share the limits and the counters.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Counters, RateLimit, RateLimits, TokioRuntime};

struct Api {
    limits: RateLimits,
    used: Counters,
    limit: RateLimit,
}

/// What a request is answered with.
#[derive(Debug, PartialEq)]
enum Answer {
    Ok { remaining: u64 },
    TooManyRequests { retry_after: Duration },
}

impl Api {
    async fn request(&self, user: &str) -> Answer {
        match self.limits.request(user, &self.limit).await {
            Ok(verdict) if !verdict.is_allowed => Answer::TooManyRequests {
                retry_after: verdict.retry_after,
            },
            Ok(verdict) => {
                // Counting must not make the request fail.
                let day = ("2026-11-20", user);
                let _ = self.used.add_for(&day, 1, "48h").await;
                Answer::Ok {
                    remaining: verdict.remaining,
                }
            }
            // The store cannot be asked: here the request passes. A login would refuse it.
            Err(_) => Answer::Ok { remaining: 0 },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let api = Api {
        limits: RateLimits::open("api:requests", store.clone())?,
        used: Counters::open("api:used", store)?,
        limit: RateLimit::new(10, Duration::from_secs(1), 20)?,
    };

    let mut refused = 0;
    for _ in 0..30 {
        match api.request("ann").await {
            Answer::Ok { .. } => {}
            Answer::TooManyRequests { retry_after } => {
                assert!(retry_after <= Duration::from_millis(100));
                refused += 1;
            }
        }
    }
    // As many as the time that this took gives back.
    assert!(refused <= 10, "{refused}");
    assert_eq!(api.request("bob").await, Answer::Ok { remaining: 19 });

    let used = api.used.get(&("2026-11-20", "ann")).await?;
    assert_eq!(used, Some(30 - refused));
    println!("ann: {used:?} requests, {refused} refused");
    Ok(())
}
