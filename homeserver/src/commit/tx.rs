//! The running write transaction, as units of work see it.

use landbridge_database::Transaction;

use crate::{
    feed::{Change, Published},
    nid::Pos,
};

/// Something to do once the transaction is durable.
type Callback = Box<dyn FnOnce() + Send>;

/// The running write transaction: SQL, the next positions, and what to tell the readers.
pub struct CommitTx {
    sql: Transaction,
    head: Pos,
    changes: Vec<Published>,
    callbacks: Vec<Callback>,
}

impl CommitTx {
    pub(super) const fn new(sql: Transaction, head: Pos) -> Self {
        Self { sql, head, changes: Vec::new(), callbacks: Vec::new() }
    }

    /// The transaction, for `storage`.
    pub const fn sql(&mut self) -> &mut Transaction {
        &mut self.sql
    }

    /// The next position.
    pub const fn next_pos(&mut self) -> Pos {
        self.head += 1;
        self.head
    }

    /// Tells the readers of the feed about a change at `pos`, once it is durable.
    pub fn publish(&mut self, pos: Pos, change: Change) {
        self.changes.push(Published { pos, change });
    }

    /// Calls `callback` once the transaction is durable: before the feed is published and before anyone is
    /// answered, in the order given. It is dropped if the transaction is undone. Must not block.
    pub fn on_commit(&mut self, callback: impl FnOnce() + Send + 'static) {
        self.callbacks.push(Box::new(callback));
    }

    /// What the transaction has published so far.
    pub fn changes(&self) -> &[Published] {
        &self.changes
    }

    pub(super) const fn head(&self) -> Pos {
        self.head
    }

    pub(super) fn into_parts(self) -> (Transaction, Vec<Published>, Vec<Callback>) {
        (self.sql, self.changes, self.callbacks)
    }
}
