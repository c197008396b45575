//! The connections of a relay by what they were let in with, so that they end when that counts no more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::{Hash, Pass};
use crate::runtime::{Ending, HangUp};

/// Those who are connected.
#[derive(Default)]
pub(super) struct Members(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    next: u64,
    connections: HashMap<u64, (Pass, HangUp)>,
    by_invitation: HashMap<Hash, usize>,
}

/// One connection, until this is dropped.
pub(super) struct Member {
    members: Arc<Members>,
    number: u64,
}

impl Members {
    /// Takes a connection in, unless its invitation has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, pass: Pass, hang_up: HangUp, most: usize) -> Option<Member> {
        let mut inside = self.inside();
        if let Pass::Invitation(token) = &pass {
            let held = inside.by_invitation.entry(*token).or_default();
            if *held >= most {
                return None;
            }
            *held += 1;
        }
        let number = inside.next;
        inside.next += 1;
        inside.connections.insert(number, (pass, hang_up));
        Some(Member { members: self.clone(), number })
    }

    /// What they were let in with.
    pub(super) fn passes(&self) -> HashSet<Pass> {
        self.inside().connections.values().map(|(pass, _)| *pass).collect()
    }

    /// Ends those that came with one of these.
    pub(super) fn end(&self, outdated: &HashSet<Pass>) {
        for (pass, hang_up) in self.inside().connections.values() {
            if outdated.contains(pass) {
                hang_up.end(Ending::Revoked);
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut inside = self.members.inside();
        if let Some((Pass::Invitation(token), _)) = inside.connections.remove(&self.number)
            && let Some(held) = inside.by_invitation.get_mut(&token)
        {
            *held -= 1;
            if *held == 0 {
                inside.by_invitation.remove(&token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_has_its_share_of_connections_and_who_has_left_is_forgotten() {
        let members = Arc::new(Members::default());
        let enter = |token: u8| members.enter(Pass::Invitation([token; 32]), HangUp::new(), 1);
        let one = enter(1);
        assert!(one.is_some() && enter(1).is_none() && enter(2).is_some());
        drop(one);
        assert!(enter(1).is_some());
        assert!(members.inside().connections.is_empty() && members.inside().by_invitation.is_empty());
    }

    #[test]
    fn whose_pass_counts_no_more_is_told() {
        let members = Arc::new(Members::default());
        let (stays, goes) = (HangUp::new(), HangUp::new());
        let _held = [
            members.enter(Pass::Token([1; 32]), stays.clone(), 9),
            members.enter(Pass::Token([2; 32]), goes.clone(), 9),
        ];
        assert_eq!(members.passes().len(), 2);
        members.end(&HashSet::from([Pass::Token([2; 32])]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            assert_eq!(goes.asked().await, Ending::Revoked);
            assert!(tokio::time::timeout(std::time::Duration::from_millis(10), stays.asked()).await.is_err());
        });
    }
}
