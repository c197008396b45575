//! Forgetting what was synced, when its owner had it erased everywhere.

use super::error::Result;
use super::placement;
use super::store::History;

impl History {
    /// Removes every record that has been in the account, wherever it lies now and whether it waits to go up in another
    /// state; what never left this device stays. Nothing is marked as deleted: the account it was deleted from is gone,
    /// and the user may import it again. Returns how many records went.
    ///
    /// # Errors
    /// What the database says; then nothing was removed.
    pub fn forget_synced(&self) -> Result<u64> {
        let device = self.device_id()?;
        let removed = self.write(|db| {
            let gone = "synced = 1 AND id NOT IN (SELECT id FROM deleted_records WHERE kept = 1)";
            db.execute(&format!("DELETE FROM outbox WHERE id IN (SELECT id FROM records WHERE {gone})"), [])?;
            let removed = db.execute(&format!("DELETE FROM records WHERE {gone}"), [])?;
            db.execute_batch("DELETE FROM removed; DELETE FROM removals;")?;
            db.execute("DELETE FROM usage WHERE device <> ?1", [device.as_bytes()])?;
            placement::forget(db)?;
            Ok(removed as u64)
        })?;
        self.empty_log();
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::history::testing::{DEVICE, plain};
    use crate::history::{History, UnixNanos};

    fn left(history: &History) -> Vec<String> {
        let mut left: Vec<_> = history.list(&Default::default()).unwrap().into_iter().map(|r| r.command).collect();
        left.sort();
        left
    }

    /// A history with a record that went up, one that came down, one that was withdrawn, and one that never left.
    fn synced() -> History {
        let history = History::in_memory().unwrap();
        let (sent, withdrawn, never) = (plain("sent", 1), plain("withdrawn", 2), plain("never", 3));
        history.add_batch(&[sent, withdrawn.clone()]).unwrap();
        let pending: Vec<_> = history.pending(9).unwrap().into_iter().map(|(number, r)| (number, r.id)).collect();
        history.acknowledge_in("co_zOne", &pending, None).unwrap();
        let mut other = plain("came", 4);
        other.device_id = Uuid::from_u128(77);
        history.ingest_from("co_zTwo", &[other], None).unwrap();
        history.withdraw(&[withdrawn.id], UnixNanos(9)).unwrap();
        history.add(&never).unwrap();
        history
    }

    #[test]
    fn what_has_been_in_the_account_goes_wherever_it_lies_now() {
        let history = synced();
        // As after a store that was lost: nothing lies anywhere, and everything is queued again.
        history.forget_places().unwrap();
        history.requeue_all(DEVICE).unwrap();
        assert_eq!(history.forget_synced().unwrap(), 2);
        assert_eq!(left(&history), ["never", "withdrawn"]);
        let queued: Vec<_> = history.pending(9).unwrap().into_iter().map(|(_, r)| r.command).collect();
        assert_eq!(queued, ["never"]);
    }

    /// A database of the layout before this one knows only where records lie now, and what came from elsewhere.
    #[test]
    fn of_an_older_history_what_lies_somewhere_or_came_from_others_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let history = History::open(&path).unwrap();
        let own = history.device_id().unwrap();
        let record = |command: &str, device| {
            let mut record = plain(command, 1);
            record.device_id = device;
            record
        };
        history.add(&record("sent", own)).unwrap();
        let pending: Vec<_> = history.pending(9).unwrap().into_iter().map(|(number, r)| (number, r.id)).collect();
        history.acknowledge_in("co_zOne", &pending, None).unwrap();
        history.ingest_from("co_zTwo", &[record("came", DEVICE)], None).unwrap();
        history.ingest(&[record("came from what has retired", DEVICE)], None).unwrap();
        history.add_batch(&[record("never", own), record("of the machine it was copied from", DEVICE)]).unwrap();
        let steps_back = "DROP INDEX records_in_segments; DROP INDEX records_in_none; DROP INDEX deletions_kept; \
            DROP TRIGGER placed_insert; DROP TRIGGER placed_delete; \
            ALTER TABLE records DROP COLUMN in_segment; ALTER TABLE records DROP COLUMN synced; \
            DROP TABLE removed; DROP TABLE removals; PRAGMA user_version = 3;";
        history.db.execute_batch(steps_back).unwrap();
        drop(history);
        let history = History::open(&path).unwrap();
        assert_eq!(history.forget_synced().unwrap(), 3);
        assert_eq!(left(&history), ["never", "of the machine it was copied from"]);
    }

    #[test]
    fn what_was_in_another_account_only_stays() {
        let history = synced();
        history.forget_account().unwrap();
        assert_eq!(history.forget_synced().unwrap(), 0);
        assert_eq!(left(&history).len(), 4);
    }
}
