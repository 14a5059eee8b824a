//! The log and what stands on it.

use std::path::PathBuf;

use claw_proxy::budget::Amount;
use claw_proxy::ledger::Ledger;
use claw_proxy::ledger::book::Reserved;
use claw_proxy::ledger::log::{AppendError, Log};
use claw_proxy::money::Money;

/// A folder that goes away at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_append_that_expects_something_else_changes_nothing() {
    let folder = Folder::new("conflict");
    let (mut log, found) = Log::open(&folder.0, 3).expect("opened");
    assert_eq!((found.records.len(), log.is_empty()), (0, true));
    assert_eq!(log.append(Some(0), &["a", "b"]).expect("appended"), 2);
    assert!(matches!(log.append(Some(1), &["c"]), Err(AppendError::Conflict(2))));
    assert!(matches!(log.append(None, &["x\ny"]), Err(AppendError::Record)));
    assert_eq!(log.append(Some(2), &["c"]).expect("appended"), 3);
    drop(log);
    let (log, found) = Log::open(&folder.0, 3).expect("opened");
    assert_eq!((found.records, log.len()), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 3));
}

#[test]
fn a_new_file_begins_with_a_summary_and_old_ones_go() {
    let folder = Folder::new("roll");
    let (mut log, _) = Log::open(&folder.0, 2).expect("opened");
    for round in 0..4 {
        log.append(None, &["x"]).expect("appended");
        log.roll(&format!("all before round {round}")).expect("rolled");
    }
    log.append(Some(8), &["last"]).expect("appended");
    drop(log);
    let (log, found) = Log::open(&folder.0, 2).expect("opened");
    assert_eq!((found.records, log.len()), (vec!["all before round 3".to_owned(), "last".to_owned()], 9));
    let names = std::fs::read_dir(&folder.0).expect("a folder").flatten().map(|entry| entry.file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().ends_with(".log")).count(), 2);
}

#[test]
fn a_summary_that_is_damaged_is_made_again_of_the_file_before_it() {
    let folder = Folder::new("headless");
    let (mut log, _) = Log::open(&folder.0, 3).expect("opened");
    log.append(None, &["one", "two"]).expect("appended");
    log.roll("one and two").expect("rolled");
    log.append(None, &["three"]).expect("appended");
    drop(log);
    let path = folder.0.join("00000000000000000002.log");
    let mut bent = std::fs::read(&path).expect("read");
    bent[12] ^= 1;
    std::fs::write(&path, &bent).expect("written");
    for is_first in [true, false] {
        let (_, found) = Log::open(&folder.0, 3).expect("opened");
        assert_eq!(
            (found.records, found.damaged > 0),
            (["one", "two", "three"].map(ToOwned::to_owned).to_vec(), is_first)
        );
    }
}

#[test]
fn one_process_alone_has_a_log() {
    let folder = Folder::new("locked");
    let (log, _) = Log::open(&folder.0, 2).expect("opened");
    let error = Log::open(&folder.0, 2).expect_err("another one has it");
    assert!(error.to_string().contains("another proxy"), "{error}");
    drop(log);
    Log::open(&folder.0, 2).expect("free again");
}

#[test]
fn what_is_cut_or_damaged_is_put_aside_and_every_record_stays() {
    let folder = Folder::new("damaged");
    let (mut log, _) = Log::open(&folder.0, 2).expect("opened");
    log.append(None, &["one", "two", "three"]).expect("appended");
    drop(log);
    let path = folder.0.join("00000000000000000000.log");
    let whole = std::fs::read(&path).expect("read");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let (log, found) = Log::open(&folder.0, 2).expect("opened");
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((found.records.len(), log.len()), (lines, lines as u64), "cut at {cut}");
    }
    let mut bent = whole.clone();
    bent[20] ^= 1;
    std::fs::write(&path, &bent).expect("written");
    let (mut log, found) = Log::open(&folder.0, 2).expect("opened");
    assert_eq!((found.records, found.damaged > 0), (vec!["one".to_owned(), "three".to_owned()], true));
    log.append(Some(2), &["after"]).expect("appended");
    drop(log);
    let (_, found) = Log::open(&folder.0, 2).expect("opened");
    assert_eq!((found.records.len(), found.damaged), (3, 0));
}

#[test]
fn a_call_without_an_end_is_settled_at_what_was_reserved_and_only_once() {
    let folder = Folder::new("unsettled");
    let amount = Amount { usd: Money(5), tokens: 7, requests: 1 };
    let (mut ledger, _) = Ledger::open(&folder.0, 1000).expect("opened");
    let reserved = Reserved {
        id: "a".to_owned(),
        at: 1000,
        agent: "bot".to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        amount,
        task: None,
    };
    ledger.reserve(&reserved).expect("written");
    assert_eq!(ledger.book.account("bot").reserved, amount);
    drop(ledger);
    let (mut ledger, opened) = Ledger::open(&folder.0, 2000).expect("opened");
    assert_eq!((opened.unsettled.len(), opened.unsettled[0].cost), (1, Money(5)));
    assert_eq!(ledger.book.account("bot").reserved, Amount::default());
    drop(ledger);
    let (ledger, opened) = Ledger::open(&folder.0, 3000).expect("opened");
    assert_eq!((opened.unsettled.len(), ledger.book.totals["bot"]["p/m"].cost), (0, Money(5)));
}
