//! What goes wrong, and when: drawn from one seed, so that a run can be repeated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;

/// How often which fault happens, each in thousandths of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// A request is lost before it arrives.
    pub drop: u32,
    /// A request arrives, its answer is lost.
    pub drop_answer: u32,
    /// A request arrives twice.
    pub duplicate: u32,
    /// A request takes up to 2 seconds longer.
    pub delay: u32,
    /// What is sent arrives at once, the answer takes up to 2 seconds longer.
    pub late_answer: u32,
    /// A request is refused for half a second.
    pub rate_limit: u32,
    /// Events of different chats, and edits and their messages, come in another order.
    pub reorder: u32,
}

impl Rates {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        drop: 0,
        drop_answer: 0,
        duplicate: 0,
        delay: 0,
        late_answer: 0,
        rate_limit: 0,
        reorder: 0,
    };

    /// Everything goes wrong now and then.
    pub const SOME: Self = Self {
        drop: 20,
        drop_answer: 20,
        duplicate: 20,
        delay: 20,
        late_answer: 20,
        rate_limit: 10,
        reorder: 50,
    };
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Pass,
    /// It doesn't arrive.
    Drop,
    /// It arrives, its answer doesn't.
    DropAnswer,
    /// It arrives, its answer after this.
    LateAnswer(Duration),
    /// It arrives twice.
    Duplicate,
    /// It is refused, to be tried again after this.
    RateLimit(Duration),
}

/// A place in the code where a crash may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before a request leaves.
    BeforeRequest,
    /// The request was handled, its answer not yet read.
    AfterRequest,
    /// Before the bridge sees a transaction.
    BeforeTransaction,
    /// The bridge answered a transaction, the homeserver doesn't know yet.
    AfterTransaction,
    /// Before a call to the network.
    BeforeNetwork,
    /// The network has done it, its answer not yet read.
    AfterNetwork,
}

/// The source of all faults of a run. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Inner>,
}

struct Inner {
    rng: Mutex<SmallRng>,
    rates: Mutex<Rates>,
    homeserver_up: AtomicBool,
    network_up: AtomicBool,
    /// Points still to pass before the crash; 0 is none planned.
    fuse: AtomicU64,
    crashed: AtomicBool,
    crash: Notify,
    deaths: AtomicU64,
    passed: AtomicU64,
}

impl Faults {
    /// Faults of this seed; at first none happens.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                rng: Mutex::new(SmallRng::seed_from_u64(seed)),
                rates: Mutex::new(Rates::NONE),
                homeserver_up: AtomicBool::new(true),
                network_up: AtomicBool::new(true),
                fuse: AtomicU64::new(0),
                crashed: AtomicBool::new(false),
                crash: Notify::new(),
                deaths: AtomicU64::new(0),
                passed: AtomicU64::new(0),
            }),
        }
    }

    /// How often what happens from now on.
    pub fn set_rates(&self, rates: Rates) {
        *self.inner.rates.lock().unwrap_or_else(PoisonError::into_inner) = rates;
    }

    /// Stops or starts the homeserver for everybody.
    pub fn set_homeserver_up(&self, up: bool) {
        self.inner.homeserver_up.store(up, Ordering::SeqCst);
    }

    /// Whether the homeserver answers.
    pub fn homeserver_up(&self) -> bool {
        self.inner.homeserver_up.load(Ordering::SeqCst)
    }

    /// Stops or starts the network.
    pub fn set_network_up(&self, up: bool) {
        self.inner.network_up.store(up, Ordering::SeqCst);
    }

    /// Whether the network answers.
    pub fn network_up(&self) -> bool {
        self.inner.network_up.load(Ordering::SeqCst)
    }

    /// A number below `limit` (which is at least 1).
    pub fn below(&self, limit: u64) -> u64 {
        self.inner.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..limit.max(1))
    }

    /// Draws with a chance of so many thousandths.
    pub fn chance(&self, thousandths: u32) -> bool {
        thousandths > 0 && self.below(1000) < u64::from(thousandths)
    }

    /// The rates in force.
    pub fn rates(&self) -> Rates {
        *self.inner.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws what becomes of a request, after waiting if it is to be late.
    pub async fn fate(&self) -> Fate {
        let rates = self.rates();
        if self.chance(rates.delay) {
            tokio::time::sleep(Duration::from_millis(self.below(2_000))).await;
        }
        if self.chance(rates.drop) {
            Fate::Drop
        } else if self.chance(rates.drop_answer) {
            Fate::DropAnswer
        } else if self.chance(rates.late_answer) {
            Fate::LateAnswer(Duration::from_millis(self.below(2_000)))
        } else if self.chance(rates.duplicate) {
            Fate::Duplicate
        } else if self.chance(rates.rate_limit) {
            Fate::RateLimit(Duration::from_millis(500))
        } else {
            Fate::Pass
        }
    }

    /// Plans a crash at the `n`th point from now (the first is 1).
    pub fn crash_at(&self, n: u64) {
        self.inner.crashed.store(false, Ordering::SeqCst);
        self.inner.fuse.store(n, Ordering::SeqCst);
    }

    /// No crash is planned any more, and what waited at a point for its end may not go on.
    pub fn revive(&self) {
        self.inner.fuse.store(0, Ordering::SeqCst);
        self.inner.crashed.store(false, Ordering::SeqCst);
    }

    /// Points passed so far.
    pub fn passed(&self) -> u64 {
        self.inner.passed.load(Ordering::SeqCst)
    }

    /// Returns once the planned crash is due: then the bridge must be dropped.
    pub async fn crashed(&self) {
        loop {
            let notified = self.inner.crash.notified();
            if self.inner.crashed.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// The bridge dies now, if it isn't dead already.
    pub fn die(&self) {
        if !self.inner.crashed.swap(true, Ordering::SeqCst) {
            self.inner.deaths.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.crash.notify_waiters();
    }

    /// Whether the bridge has died and was not started again.
    pub fn is_dead(&self) -> bool {
        self.inner.crashed.load(Ordering::SeqCst)
    }

    /// How often the bridge has died.
    pub fn deaths(&self) -> u64 {
        self.inner.deaths.load(Ordering::SeqCst)
    }

    /// Returns once the bridge has died more often than `deaths` times, however short ago it was started again.
    pub async fn death_after(&self, deaths: u64) {
        loop {
            let notified = self.inner.crash.notified();
            if self.deaths() > deaths {
                return;
            }
            notified.await;
        }
    }

    /// A point is passed, unless the crash is due: then this never returns, as nothing does in a process that died.
    pub async fn point(&self, _at: CrashPoint) {
        self.inner.passed.fetch_add(1, Ordering::SeqCst);
        if self.inner.crashed.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let burnt =
            self.inner.fuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if burnt == Ok(1) {
            self.die();
            std::future::pending::<()>().await;
        }
        // So that other tasks, and a crash between, get their turn here.
        tokio::task::yield_now().await;
    }
}
