//! One thing after the other in each lane, all lanes at the same time; bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Jobs that may be waiting or under way in all lanes.
const WAITING: usize = 2_048;

type Job = (BoxFuture<'static, ()>, OwnedSemaphorePermit);
type Open = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Job>>>>;

/// See the module.
pub(super) struct Lanes {
    open: Open,
    room: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { open: Open::default(), room: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Lanes {
    /// Adds a job to a lane; waits only while there are too many.
    pub(super) async fn push(&self, lane: String, job: BoxFuture<'static, ()>) {
        // The semaphore is never closed.
        let Ok(permit) = self.room.clone().acquire_owned().await else { return };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut job = (job, permit);
        if let Some(sender) = open.get(&lane) {
            match sender.send(job) {
                Ok(()) => return,
                // Its worker is gone: it panicked over another job.
                Err(back) => job = back.0,
            }
        }
        let (sender, jobs) = mpsc::unbounded_channel();
        // The receiver is still here.
        let _ = sender.send(job);
        open.insert(lane.clone(), sender);
        tokio::spawn(work(self.open.clone(), lane, jobs));
    }
}

/// Works a lane off, and closes it.
async fn work(open: Open, lane: String, mut jobs: mpsc::UnboundedReceiver<Job>) {
    loop {
        let next = {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            // Under the lock nothing is added: a lane that is empty now is closed with nothing in it.
            let Ok(job) = jobs.try_recv() else {
                open.remove(&lane);
                return;
            };
            job
        };
        next.0.await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_lane_keeps_its_order_and_holds_up_no_other() {
        let lanes = Lanes::default();
        let done = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = oneshot::channel::<()>();
        let note = |name: &'static str| {
            let done = done.clone();
            async move { done.lock().unwrap().push(name) }
        };
        let first = note("a1");
        lanes
            .push(
                "a".into(),
                Box::pin(async move {
                    wait.await.unwrap();
                    first.await;
                }),
            )
            .await;
        lanes.push("a".into(), Box::pin(note("a2"))).await;
        let (told, heard) = oneshot::channel();
        let other = note("b1");
        lanes
            .push(
                "b".into(),
                Box::pin(async move {
                    other.await;
                    told.send(()).unwrap();
                }),
            )
            .await;
        heard.await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["b1"], "the other lane went on");
        go.send(()).unwrap();
        let (told, heard) = oneshot::channel();
        lanes.push("a".into(), Box::pin(async move { told.send(()).unwrap() })).await;
        heard.await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["b1", "a1", "a2"]);
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_itself_alone() {
        let lanes = Lanes::default();
        lanes.push("a".into(), Box::pin(async { panic!("on purpose") })).await;
        for _ in 0..3 {
            let (told, heard) = oneshot::channel();
            lanes.push("a".into(), Box::pin(async move { told.send(()).unwrap() })).await;
            if heard.await.is_ok() {
                return;
            }
        }
        panic!("the lane never worked again");
    }
}
