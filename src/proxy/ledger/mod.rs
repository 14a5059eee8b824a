//! The ledger: what every call was reserved and what it cost, on disk before the call goes out and after it has ended.
//!
//! Numbers are kept in memory, so that a look costs the same however long the log is; the log makes them again after a
//! restart. A call that was under way when the process died is settled at what was reserved for it.

pub mod book;
pub mod log;

use std::collections::VecDeque;
use std::path::Path;

use book::{Book, Entry, Settled};
use log::{AppendError, Log};

/// How many files of the log are kept: about 64 MiB, a quarter of a million calls.
const KEPT: usize = 64;

/// Calls whose end could not be written, at most: beyond it nothing new is taken even where the pod wants that.
const UNWRITTEN: usize = 100_000;

/// The ledger of a proxy.
#[derive(Debug)]
pub struct Ledger {
    log: Log,
    /// The numbers.
    pub book: Book,
    /// Entries of calls that have ended, which the disk did not take yet.
    unwritten: VecDeque<String>,
}

/// The ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk refuses.
    #[error("{0}")]
    Append(#[from] AppendError),
    /// The disk refuses.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// It was written by something newer.
    #[error("record {0} of the ledger is of a kind that this claw does not know: was it written by a newer one?")]
    Kind(usize),
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Opened {
    /// Calls that had no end: they were settled at what was reserved for them.
    pub unsettled: Vec<Settled>,
    /// Bytes that were no record.
    pub damaged: u64,
}

impl Ledger {
    /// Opens the ledger of a directory.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn open(folder: &Path, now: u64) -> Result<(Self, Opened), LedgerError> {
        let (log, found) = Log::open(folder, KEPT)?;
        let mut book = Book::default();
        for (index, record) in found.records.iter().enumerate() {
            let entry: Entry = serde_json::from_str(record).map_err(|_| LedgerError::Kind(index))?;
            book.apply(entry);
        }
        let mut ledger = Self { log, book, unwritten: VecDeque::new() };
        let unsettled = ledger.book.unsettled(now);
        for settled in &unsettled {
            ledger.settle(settled.clone())?;
        }
        Ok((ledger, Opened { unsettled, damaged: found.damaged }))
    }

    /// Returns how many ends of calls wait to be written.
    pub fn waiting(&self) -> usize {
        self.unwritten.len()
    }

    /// Writes what waits to be written.
    ///
    /// # Errors
    /// Where the disk still refuses.
    pub fn catch_up(&mut self) -> Result<(), LedgerError> {
        while let Some(entry) = self.unwritten.front() {
            self.log.append(None, &[entry])?;
            self.unwritten.pop_front();
        }
        Ok(())
    }

    /// Writes that a call goes out, with what is reserved for it.
    ///
    /// # Errors
    /// Where the disk refuses: the call must not go out, unless the pod allows it.
    pub fn reserve(&mut self, reserved: &book::Reserved) -> Result<(), LedgerError> {
        self.catch_up()?;
        self.write(&Entry::Reserve(reserved.clone()))?;
        self.book.apply(Entry::Reserve(reserved.clone()));
        Ok(())
    }

    /// Keeps a reservation in memory alone: the disk refused it, and the pod allows that.
    pub fn reserve_unwritten(&mut self, reserved: &book::Reserved) {
        self.book.apply(Entry::Reserve(reserved.clone()));
    }

    /// Returns whether more can be kept in memory.
    pub fn has_room(&self) -> bool {
        self.unwritten.len() < UNWRITTEN
    }

    /// Settles a call. Where the disk refuses, the entry is kept and written later.
    ///
    /// # Errors
    /// Where the disk refuses; the numbers are right all the same.
    pub fn settle(&mut self, settled: Settled) -> Result<(), LedgerError> {
        let entry = Entry::Settle(Box::new(settled));
        let text = text_of(&entry);
        self.book.apply(entry);
        let written = match self.catch_up() {
            Ok(()) => self.log.append(None, &[&text]).map(|_| ()).map_err(LedgerError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            self.unwritten.push_back(text);
            return Err(error);
        }
        if self.log.is_full() {
            self.roll()?;
        }
        Ok(())
    }

    /// Writes that an operator changed something.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn note(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        self.write(entry)?;
        self.book.apply(entry.clone());
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        self.log.append(None, &[&text_of(entry)])?;
        Ok(())
    }

    /// Begins a new file: the numbers, and the calls that are under way.
    fn roll(&mut self) -> Result<(), LedgerError> {
        let summary = text_of(&Entry::Summary(Box::new(self.book.summary())));
        self.log.roll(&summary)?;
        Ok(())
    }

    /// Writes everything to the disk for good.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        self.catch_up()?;
        self.log.sync()?;
        Ok(())
    }
}

fn text_of(entry: &Entry) -> String {
    // Entries hold texts and numbers: writing them cannot fail.
    serde_json::to_string(entry).unwrap_or_default()
}

/// Fills the ledger of a directory with rows of calls, for the benchmark: half of them reservations, half their ends.
///
/// # Errors
/// Where the disk refuses.
pub fn fill(folder: &Path, rows: u64) -> Result<(), LedgerError> {
    let at = crate::calendar::now();
    let (mut ledger, _) = Ledger::open(folder, at)?;
    for number in 0..rows / 2 {
        let id = format!("fill-{number:x}");
        let (provider, model) = ("openai".to_owned(), format!("model-{}", number % 7));
        let agent = format!("agent-{}", number % 50);
        let amount = crate::budget::Amount { usd: crate::money::Money(1_000_000), tokens: 100, requests: 1 };
        let reserved = book::Reserved {
            id: id.clone(),
            at,
            agent: agent.clone(),
            provider: provider.clone(),
            model: model.clone(),
            amount,
            task: None,
        };
        ledger.reserve(&reserved)?;
        let usage = crate::wire::usage::Usage { input_uncached: 60, output: 40, ..Default::default() };
        let settled = Settled {
            id,
            at,
            agent,
            provider,
            model,
            usage,
            cost: amount.usd,
            pricing: book::Pricing::Exact,
            why: None,
            prices: "fill".to_owned(),
            is_counted: true,
            task: None,
        };
        ledger.settle(settled)?;
    }
    ledger.flush()
}
