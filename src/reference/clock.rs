//! Where the time comes from: the host's clock, or one that a test moves by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A clock that schedules are read against.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time.
    fn now(&self) -> DateTime<Utc>;

    /// Waits. It may return early or late: the caller reads the time again.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The host's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
