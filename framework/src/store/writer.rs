//! Group commit: everything that waits goes into one durable transaction.

use landbridge_database::{Database, DatabaseError, Sql, Value};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::StoreError;

type Statements = Vec<(Sql, Vec<Value>)>;
type Answer = Result<Vec<u64>, StoreError>;

struct Job {
    statements: Statements,
    answer: oneshot::Sender<Answer>,
}

/// How many statements go into one transaction at most: bounds how long a reader of the result waits.
const GROUP: usize = 512;

/// The task that writes. It ends with its last handle, as everything of a bridge does.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    task: AbortHandle,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    pub(super) fn start(db: Database) -> Self {
        let (jobs, receiver) = mpsc::channel(256);
        let task = tokio::spawn(run(db, receiver)).abort_handle();
        Self { jobs, task }
    }

    pub(super) async fn commit(&self, statements: Statements) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { statements, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

async fn run(db: Database, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let mut size = first.statements.len();
        let mut group = vec![first];
        while size < GROUP {
            let Ok(job) = jobs.try_recv() else { break };
            size += job.statements.len();
            group.push(job);
        }
        metrics::histogram!("landbridge_bridge_commit_group").record(group.len() as f64);
        match write(&db, &group).await {
            Ok(counts) => {
                for (job, counts) in group.into_iter().zip(counts) {
                    // Whoever asked may be gone; the commit stands.
                    let _ = job.answer.send(Ok(counts));
                }
            }
            // One bad batch must not fail its neighbours: each is tried alone, in order.
            Err(_) if group.len() > 1 => {
                for job in group {
                    let result = write(&db, std::slice::from_ref(&job)).await;
                    let result = result.map(|mut counts| counts.pop().unwrap_or_default());
                    let _ = job.answer.send(result.map_err(StoreError::from));
                }
            }
            Err(error) => {
                let error = StoreError::from(error);
                for job in group {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

async fn write(db: &Database, group: &[Job]) -> Result<Vec<Vec<u64>>, DatabaseError> {
    let statements = group.iter().flat_map(|job| job.statements.iter().cloned()).collect();
    let mut touched = db.begin().await?.commit_after(statements).await?.into_iter();
    Ok(group.iter().map(|job| touched.by_ref().take(job.statements.len()).collect()).collect())
}
