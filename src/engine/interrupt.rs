//! Ctrl-C while steps are carried out: the call under way is finished, so that the engine is left as it was told.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether a run was asked to end.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_asked: AtomicBool,
    is_busy: AtomicBool,
    asked: Notify,
}

impl Interrupt {
    /// Returns an interrupt that nobody asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to end after the call under way; returns whether one is: else nothing needs to be waited for.
    pub fn ask(&self) -> bool {
        let was_asked = self.is_asked.swap(true, Ordering::SeqCst);
        self.asked.notify_waiters();
        self.is_busy.load(Ordering::SeqCst) && !was_asked
    }

    /// Returns whether the run was asked to end.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    /// Says whether something is under way that ends by itself once it is asked to.
    pub fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::SeqCst);
    }

    /// Returns once the run is asked to end.
    pub async fn asked(&self) {
        let asked = self.asked.notified();
        if !self.is_asked() {
            asked.await;
        }
    }
}
