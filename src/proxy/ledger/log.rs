//! An append-only log in a directory, with one primitive: conditional append. It knows nothing of what its records mean.
//!
//! A record is a line, `<crc32> <text>`, and has a number; a file is called after the number of its first record, which its
//! owner makes a summary of all before it, so that opening reads one file and old files can go. What was appended survives
//! the death of the process at once, and that of the machine once it was synced, which happens in the background every 200 ms.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Bytes after which a new file is begun.
const FILE_BYTES: u64 = 1 << 20;

/// The most bytes of a record.
const RECORD_BYTES: usize = 16 << 20;

/// How long a lock is waited for: so many times so long.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// How often what was appended is written to the disk for good.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has gone on since: it holds this many records.
    #[error("the log holds {0} records, and others were expected")]
    Conflict(u64),
    /// The record holds a line break or is too long.
    #[error("a record is one line of at most 16 MiB")]
    Record,
    /// The disk is full, or refuses.
    #[error("the log cannot be written: {0}")]
    Disk(#[from] io::Error),
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// The records of the newest file, in order; the first is a summary, but for a log that has none yet.
    pub records: Vec<String>,
    /// Bytes that were no record: the last one was cut off, or the file is damaged. They were put aside, and no record with them.
    pub damaged: u64,
}

/// A log that is open.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    file: Arc<File>,
    /// The number of the first record of the file.
    first: u64,
    /// The number the next record gets.
    next: u64,
    /// The length of the file.
    bytes: u64,
    /// How many files are kept.
    kept: usize,
    /// Nobody else writes here.
    _lock: File,
    sync: SyncSender<Arc<File>>,
}

fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.log"))
}

/// Returns the numbers of the files of a directory, in order.
fn files(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|name| name.parse().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the records of bytes, and what lies between and behind them that is none.
fn records(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n").and_then(checked) {
            Some(text) => found.push(text),
            None => rest.extend_from_slice(line),
        }
    }
    (found, rest)
}

/// Returns the line of a record.
fn line(record: &str) -> String {
    format!("{:08x} {record}\n", crc32fast::hash(record.as_bytes()))
}

/// Returns the lock of a directory, which goes with the process that has it. One that is about to end is waited for.
fn lock(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "another proxy has it"))
}

fn checked(line: &[u8]) -> Option<String> {
    let (sum, text) = line.split_at_checked(8)?;
    let text = text.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if sum != crc32fast::hash(text) {
        return None;
    }
    String::from_utf8(text.to_vec()).ok()
}

impl Log {
    /// Opens the log of a directory, which is made where it is not there. `kept` files are kept at most.
    ///
    /// # Errors
    /// Where the directory or a file cannot be read or written, or another process has it.
    pub fn open(folder: &Path, kept: usize) -> io::Result<(Self, Found)> {
        std::fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let known = files(folder)?;
        let first = known.last().copied().unwrap_or(0);
        let path = path(folder, first);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut found, rest) = records(&bytes);
        let is_headless = bytes.split(|byte| *byte == b'\n').next().and_then(checked).is_none();
        if !rest.is_empty() || is_headless && known.len() > 1 {
            if let Some(before) = known.iter().rev().nth(1).filter(|_| is_headless) {
                // What the summary said stands in the file before it, too.
                let (before, _) = records(&std::fs::read(self::path(folder, *before))?);
                found.splice(0..0, before);
            }
            // A cut record is of no use to anyone, but nothing that was written is thrown away.
            let aside = folder.join(format!("{first:020}.damaged"));
            let mut aside = OpenOptions::new().create(true).append(true).open(aside)?;
            aside.write_all(&rest)?;
            aside.sync_all()?;
            let part = folder.join("next.part");
            let mut new = OpenOptions::new().create(true).write(true).truncate(true).open(&part)?;
            let lines: String = found.iter().map(|record| line(record)).collect();
            new.write_all(lines.as_bytes())?;
            new.sync_all()?;
            std::fs::rename(&part, &path)?;
            File::open(folder)?.sync_all()?;
            file = OpenOptions::new().append(true).open(&path)?;
        }
        let good = file.metadata()?.len();
        let (sync, wanted) = sync_channel(1);
        std::thread::Builder::new()
            .name("ledger-sync".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || sync_loop(&wanted))?;
        let next = first + found.len() as u64;
        let log =
            Self { folder: folder.to_owned(), file: Arc::new(file), first, next, bytes: good, kept, _lock: lock, sync };
        Ok((log, Found { records: found, damaged: rest.len() as u64 }))
    }

    /// Returns how many records the log holds, those of files that are gone with it.
    pub fn len(&self) -> u64 {
        self.next
    }

    /// Returns whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Appends records, all or none, and returns how many the log holds then. With `expected`, only where it holds that many
    /// now.
    ///
    /// # Errors
    /// Where it holds another number, a record is none, or the disk refuses; the log is then as it was.
    pub fn append(&mut self, expected: Option<u64>, records: &[&str]) -> Result<u64, AppendError> {
        if expected.is_some_and(|expected| expected != self.next) {
            return Err(AppendError::Conflict(self.next));
        }
        if records.iter().any(|record| record.contains('\n') || record.len() > RECORD_BYTES) {
            return Err(AppendError::Record);
        }
        let length = records.iter().map(|record| record.len() + 10).sum();
        let mut bytes = Vec::with_capacity(length);
        for record in records {
            bytes.extend_from_slice(line(record).as_bytes());
        }
        if let Err(error) = (&*self.file).write_all(&bytes) {
            // A part may have been written: it goes, or the next record would not be read.
            self.file.set_len(self.bytes)?;
            return Err(AppendError::Disk(error));
        }
        self.bytes += bytes.len() as u64;
        self.next += records.len() as u64;
        // One that is waiting syncs what is written now, too.
        let _ = self.sync.try_send(Arc::clone(&self.file));
        Ok(self.next)
    }

    /// Returns whether a new file should be begun.
    pub fn is_full(&self) -> bool {
        self.bytes >= FILE_BYTES
    }

    /// Begins a new file with a summary of all before it; the oldest files go.
    ///
    /// # Errors
    /// Where the disk refuses; the log then goes on in the file it has.
    pub fn roll(&mut self, summary: &str) -> Result<(), AppendError> {
        if summary.contains('\n') || summary.len() > RECORD_BYTES {
            return Err(AppendError::Record);
        }
        self.file.sync_data()?;
        let line = line(summary);
        let (new, part) = (path(&self.folder, self.next), self.folder.join("next.part"));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&part)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, &new)?;
        File::open(&self.folder)?.sync_all()?;
        self.file = Arc::new(OpenOptions::new().append(true).open(&new)?);
        self.first = self.next;
        self.next += 1;
        self.bytes = line.len() as u64;
        let known = files(&self.folder)?;
        for old in known.iter().take(known.len().saturating_sub(self.kept.max(1))) {
            std::fs::remove_file(path(&self.folder, *old))?;
        }
        Ok(())
    }

    /// Writes what was appended to the disk for good.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn sync_loop(wanted: &Receiver<Arc<File>>) {
    loop {
        match wanted.recv_timeout(Duration::from_secs(3600)) {
            Ok(file) => {
                std::thread::sleep(SYNC_EVERY);
                // Where the disk refuses, the next append tells.
                let _ = file.sync_data();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
