//! Forgetting what was synced, when its owner had it erased everywhere.

use super::error::Result;
use super::store::History;

impl History {
    /// Removes every record that other devices had been handed or that came from them; what never left this device
    /// stays. Nothing is marked as deleted: the account it was deleted from is gone, and the user may import it
    /// again. Returns how many records went.
    ///
    /// # Errors
    /// What the database says; then nothing was removed.
    pub fn forget_synced(&self) -> Result<u64> {
        let device = self.device_id()?;
        let removed = self.write(|db| {
            // A record of this device that is neither queued nor known to lie anywhere may exist here only.
            let removed = db.execute(
                "DELETE FROM records WHERE id NOT IN (SELECT id FROM outbox) \
                 AND id NOT IN (SELECT id FROM deleted_records WHERE kept = 1) \
                 AND (device_id <> ?1 OR id IN (SELECT id FROM placed))",
                [device.as_bytes()],
            )?;
            db.execute("DELETE FROM usage WHERE device <> ?1", [device.as_bytes()])?;
            db.execute_batch("DELETE FROM placed; DELETE FROM segments; DELETE FROM cursors;")?;
            Ok(removed as u64)
        })?;
        self.empty_log();
        Ok(removed)
    }
}
