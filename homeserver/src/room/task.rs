//! A room's one writer: takes requests in order, builds ahead of the commit, answers when it is durable.
//!
//! Several events of a room may be on their way to the disk at once, each built on the one before. If one can't be
//! written, the room goes back to what is durable, that request alone is refused, and the ones behind it are built
//! anew under the next epoch, before anyone was answered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use ruma::{EventId, OwnedEventId};
use tokio::sync::{mpsc, oneshot};

use super::{
    Draft, Import, RoomError, RoomSnapshot, Sent, TxnKey,
    builder::{Appended, Builder},
    context::Context,
    load,
    receive::{Incoming, Verdict},
    room::Shared,
    unit::{Placing, Step, Unit},
};
use crate::{
    commit::{CommitError, CommitReply},
    event::Event,
    storage,
};

/// The most units of one room on their way to the disk.
const MOST_IN_FLIGHT: usize = 128;

/// How many transaction ids the task remembers, so that a repetition that looked into the database too early is
/// still recognised.
const REMEMBERED: usize = 32;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, RoomError>>;

/// What the task is asked to do.
pub(super) enum Request {
    /// Send an event of a local user.
    Send {
        draft: Draft,
        /// How many transactions of the room were durable before the database was asked for this one.
        seen: u64,
        reply: Reply<Sent>,
    },
    /// Take in an event of another server.
    Receive { incoming: Box<Incoming>, reply: Reply<Verdict> },
    /// Take in history.
    Import { import: Arc<Import>, reply: Reply<Vec<OwnedEventId>> },
    /// Read the newest events anew: some were deleted.
    Reread { reply: Reply<()> },
    /// Write what there is, and end.
    Close { reply: Reply<()> },
}

/// A unit on its way to the disk.
struct InFlight {
    commit: CommitReply<()>,
    event: Arc<Event>,
    job: Job,
    /// Others that get the same answer.
    sends: Vec<Reply<Sent>>,
    receives: Vec<Reply<Verdict>>,
    imports: Vec<Reply<Vec<OwnedEventId>>>,
}

/// What a unit was built for, so that it can be built anew.
enum Job {
    Send(Draft),
    Receive(Box<Incoming>),
    Import(Arc<Import>, Vec<OwnedEventId>),
}

impl Job {
    fn txn(&self) -> Option<&TxnKey> {
        match self {
            Self::Send(draft) => draft.txn.as_ref(),
            Self::Receive(_) | Self::Import(..) => None,
        }
    }
}

/// The task's memory.
pub(super) struct Task {
    ctx: Arc<Context>,
    shared: Arc<Shared>,
    mailbox: mpsc::Receiver<Request>,
    /// The room with all that is in flight.
    view: RoomSnapshot,
    epoch: u64,
    in_flight: VecDeque<InFlight>,
    done: DoneTxns,
    /// Who waits for the task to end.
    closing: Vec<Reply<()>>,
}

/// The transactions that became durable last.
#[derive(Default)]
struct DoneTxns {
    sent: HashMap<TxnKey, Sent>,
    order: VecDeque<TxnKey>,
    /// How many there have been that are no longer here.
    forgotten: u64,
}

impl DoneTxns {
    fn insert(&mut self, key: TxnKey, sent: Sent) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent.remove(&oldest);
            self.forgotten += 1;
        }
        self.order.push_back(key.clone());
        self.sent.insert(key, sent);
    }
}

impl Task {
    /// Starts the task of a room that stands at `view`.
    pub(super) fn start(
        ctx: Arc<Context>,
        shared: Arc<Shared>,
        view: RoomSnapshot,
        mailbox: mpsc::Receiver<Request>,
    ) {
        let task = Self {
            ctx,
            shared,
            mailbox,
            view,
            epoch: 1,
            in_flight: VecDeque::new(),
            done: DoneTxns::default(),
            closing: Vec::new(),
        };
        tokio::spawn(task.run());
    }

    async fn run(mut self) {
        loop {
            let open = self.in_flight.len() < MOST_IN_FLIGHT;
            tokio::select! {
                biased;
                outcome = front(&mut self.in_flight), if !self.in_flight.is_empty() => {
                    self.settle(outcome).await;
                }
                request = self.mailbox.recv(), if open => match request {
                    Some(request) => self.handle(request).await,
                    None => break,
                },
            }
        }
        self.settle_all().await;
        let closing = std::mem::take(&mut self.closing);
        self.answer_all(closing, &Ok(()));
    }

    /// Waits until nothing is on its way.
    async fn settle_all(&mut self) {
        while !self.in_flight.is_empty() {
            let outcome = front(&mut self.in_flight).await;
            self.settle(outcome).await;
        }
    }

    /// Reads the newest events anew, after some were deleted.
    async fn reread(&mut self, reply: Reply<()>) {
        // What is on its way would bring them back when it arrives.
        self.settle_all().await;
        let mut snapshot = (*self.shared.published.snapshot.load_full()).clone();
        let read = load::recent(&self.ctx, &mut snapshot).await;
        if read.is_ok() {
            self.view.recent = snapshot.recent.clone();
            self.shared.published.snapshot.store(Arc::new(snapshot));
        }
        self.answer_all(vec![reply], &read);
    }

    async fn handle(&mut self, request: Request) {
        self.recount_interest().await;
        match request {
            Request::Send { draft, seen, reply } => self.send(draft, seen, reply).await,
            Request::Import { import, reply } => self.import(import, vec![reply]).await,
            Request::Receive { incoming, reply } => self.receive(incoming, vec![reply]).await,
            Request::Reread { reply } => self.reread(reply).await,
            Request::Close { reply } => {
                // What waits already is still carried out; nothing more is taken.
                self.mailbox.close();
                self.closing.push(reply);
            }
        }
    }

    async fn send(&mut self, draft: Draft, seen: u64, reply: Reply<Sent>) {
        if let Some(txn) = &draft.txn {
            let same = |flight: &&mut InFlight| flight.job.txn() == Some(txn);
            if let Some(first) = self.in_flight.iter_mut().find(same) {
                first.sends.push(reply);
                return;
            }
            if let Some(sent) = self.done.sent.get(txn) {
                self.answer(vec![reply], &Ok(Sent { replay: true, ..sent.clone() }));
                return;
            }
            if self.done.forgotten > seen {
                // Transactions went by between that look and this one.
                match find_txn(&self.ctx, txn).await {
                    Ok(Some(sent)) => return self.answer(vec![reply], &Ok(sent)),
                    Ok(None) => {}
                    Err(error) => return self.answer(vec![reply], &Err(error)),
                }
            }
        }
        self.build(draft, vec![reply]).await;
    }

    /// Builds an event and puts it on its way.
    async fn build(&mut self, draft: Draft, replies: Vec<Reply<Sent>>) {
        let txn = draft.txn.clone();
        let ctx = self.ctx.clone();
        let shared = self.shared.clone();
        let mut builder = Builder::new(&ctx, &shared.published, &self.view);
        match builder.append(draft.clone()).await {
            Ok(Appended::New(event)) => {
                let Builder { view, steps, .. } = builder;
                let flight =
                    self.put_in_flight(view, steps, event, Job::Send(draft), txn, Placing::Live);
                flight.sends = replies;
            }
            Ok(Appended::Same(event)) => {
                let id = &event.pdu.event_id;
                if let Some(flight) = self.on_its_way(id) {
                    flight.sends.extend(replies);
                } else {
                    let sent = Sent { event_id: id.clone(), event: Some(event), replay: true };
                    self.answer(replies, &Ok(sent));
                }
            }
            Err(error) => {
                builder.abandon();
                self.answer(replies, &Err(error));
            }
        }
    }

    /// Judges an event of another server and puts it on its way.
    async fn receive(&mut self, incoming: Box<Incoming>, replies: Vec<Reply<Verdict>>) {
        let ctx = self.ctx.clone();
        let shared = self.shared.clone();
        let mut builder = Builder::new(&ctx, &shared.published, &self.view);
        let mut verdict = builder.receive((*incoming).clone()).await;
        if matches!(verdict, Ok(Verdict::Decided(_)))
            && let Err(error) = builder.merge_extremities().await
        {
            verdict = Err(error);
        }
        match verdict {
            Ok(Verdict::Decided(event)) => {
                let Builder { view, steps, .. } = builder;
                let flight = self.put_in_flight(
                    view,
                    steps,
                    event,
                    Job::Receive(incoming),
                    None,
                    Placing::Live,
                );
                flight.receives = replies;
            }
            Ok(Verdict::Known(event)) => match self.on_its_way(&event.pdu.event_id) {
                Some(flight) => flight.receives.extend(replies),
                None => self.answer_all(replies, &Ok(Verdict::Known(event))),
            },
            other => {
                builder.abandon();
                shared.published.pending.remove_id(&incoming.pdu.event_id);
                self.answer_all(replies, &other);
            }
        }
    }

    /// Takes in history and puts it on its way.
    async fn import(&mut self, import: Arc<Import>, replies: Vec<Reply<Vec<OwnedEventId>>>) {
        let ctx = self.ctx.clone();
        let shared = self.shared.clone();
        let mut builder = Builder::new(&ctx, &shared.published, &self.view);
        let built = builder.import(&import).await;
        match (built, builder.steps.first().map(|step| step.event.clone())) {
            (Ok((ids, placing)), Some(event)) => {
                let Builder { view, steps, .. } = builder;
                let job = Job::Import(import, ids);
                let flight = self.put_in_flight(view, steps, event, job, None, placing);
                flight.imports = replies;
            }
            // All of it was here before; what is still on its way is durable when what came last is.
            (Ok((ids, _)), None) => match self.in_flight.back_mut() {
                Some(InFlight { job: Job::Import(_, last), imports, .. }) if *last == ids => {
                    imports.extend(replies);
                }
                _ => self.answer_all(replies, &Ok(ids)),
            },
            (Err(error), _) => {
                builder.abandon();
                self.answer_all(replies, &Err(error));
            }
        }
    }

    /// Hands a unit to the committer.
    fn put_in_flight(
        &mut self,
        view: RoomSnapshot,
        steps: Vec<Step>,
        event: Arc<Event>,
        job: Job,
        txn: Option<TxnKey>,
        placing: Placing,
    ) -> &mut InFlight {
        self.view = view.without_head();
        let unit = Unit { steps, after: Arc::new(view), txn, birth: None, placing };
        let work = unit.work(self.ctx.clone(), self.shared.published.clone());
        let commit = self.ctx.committer.enqueue(Some((self.shared.info.nid, self.epoch)), work);
        let flight = InFlight {
            commit,
            event,
            job,
            sends: Vec::new(),
            receives: Vec::new(),
            imports: Vec::new(),
        };
        self.in_flight.push_back(flight);
        self.in_flight.back_mut().expect("it was just put there")
    }

    /// The unit that brings an event, if it isn't durable yet.
    fn on_its_way(&mut self, id: &EventId) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().find(|flight| flight.event.pdu.event_id == id)
    }

    /// The oldest unit on its way has arrived, or never will.
    async fn settle(&mut self, outcome: Result<(), CommitError>) {
        let Some(flight) = self.in_flight.pop_front() else { return };
        let InFlight { event, job, sends, receives, imports, .. } = flight;
        match outcome {
            Ok(()) => {
                let event_id = event.pdu.event_id.clone();
                let sent = Sent { event_id, event: Some(event.clone()), replay: false };
                if let Some(txn) = job.txn() {
                    self.done.insert(txn.clone(), Sent { event: None, ..sent.clone() });
                    self.shared.txns.fetch_add(1, Ordering::AcqRel);
                }
                self.answer(sends, &Ok(sent));
                self.answer_all(receives, &Ok(Verdict::Decided(event)));
                if let Job::Import(_, ids) = job {
                    self.answer_all(imports, &Ok(ids));
                }
            }
            Err(error) => {
                tracing::warn!(room = %self.shared.info.id, %error, "an event could not be written");
                self.epoch += 1;
                self.shared.published.pending.clear();
                self.view = self.shared.published.snapshot.load().without_head();
                let error = RoomError::from(error);
                self.answer(sends, &Err(error.clone()));
                self.answer_all(receives, &Err(error.clone()));
                self.answer_all(imports, &Err(error));
                for behind in std::mem::take(&mut self.in_flight) {
                    match behind.job {
                        Job::Send(draft) => self.build(draft, behind.sends).await,
                        Job::Receive(incoming) => self.receive(incoming, behind.receives).await,
                        Job::Import(import, _) => self.import(import, behind.imports).await,
                    }
                }
            }
        }
    }

    fn answer(&self, replies: Vec<Reply<Sent>>, answer: &Result<Sent, RoomError>) {
        for (index, reply) in replies.into_iter().enumerate() {
            let answer =
                answer.clone().map(|sent| Sent { replay: sent.replay || index > 0, ..sent });
            // Whoever asked may be gone; what was done stays done.
            let _ = reply.send(answer);
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn answer_all<T: Clone>(&self, replies: Vec<Reply<T>>, answer: &Result<T, RoomError>) {
        for reply in replies {
            let _ = reply.send(answer.clone());
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Follows a change of the appservice registrations and of the room's aliases.
    async fn recount_interest(&mut self) {
        let aliases_changed = self.shared.aliases_changed.swap(false, Ordering::AcqRel);
        if aliases_changed || self.view.interest.is_stale(&*self.ctx.interest) {
            super::load::count_interest(&self.ctx, &mut self.view).await;
        }
    }
}

async fn front(in_flight: &mut VecDeque<InFlight>) -> Result<(), CommitError> {
    match in_flight.front_mut() {
        Some(first) => (&mut first.commit).await,
        None => std::future::pending().await,
    }
}

/// The event that an earlier request with the same transaction id sent.
pub(super) async fn find_txn(ctx: &Context, txn: &TxnKey) -> Result<Option<Sent>, RoomError> {
    let Some((nid, id)) = storage::txns::get(&ctx.db, &txn.scope, &txn.path).await? else {
        return Ok(None);
    };
    let event_id = ruma::EventId::parse(id)
        .map_err(|error| RoomError::Storage(format!("damaged transaction: {error}")))?;
    Ok(Some(Sent { event_id, event: ctx.events.cached(nid), replay: true }))
}
