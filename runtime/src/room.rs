//! Room for bytes in flight: what all holders together may have in memory. Who finds none waits for others to give back.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given in pieces of this size: the semaphore below counts no further than 32 bits at once.
const PIECE: usize = 1024;

/// More was asked for than there will ever be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes exceed the {total} bytes that there are")]
pub struct TooLarge {
    /// What the holder would have had.
    pub asked: usize,
    /// What all holders may have together.
    pub total: usize,
}

/// A bound for bytes in flight. Clones share it.
#[derive(Clone, Debug)]
pub struct Room {
    /// None: no bound.
    pieces: Option<Arc<Semaphore>>,
    total: usize,
}

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub struct Held {
    room: Room,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Room {
    /// Room for so many bytes; 0: without bound.
    pub fn new(bytes: usize) -> Self {
        let pieces =
            (bytes > 0).then(|| Arc::new(Semaphore::new((bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS))));
        Room { pieces, total: bytes }
    }

    /// What all holders may have together, bytes; none where there is no bound.
    pub fn total(&self) -> Option<usize> {
        self.pieces.as_ref().map(|_| self.total)
    }

    /// What is taken now, bytes; 0 where there is no bound.
    pub fn taken(&self) -> usize {
        let all = (self.total / PIECE).max(1);
        let free = self.pieces.as_ref().map_or(all, |p| p.available_permits());
        all.saturating_sub(free) * PIECE
    }

    /// Holds nothing yet.
    pub fn hold(&self) -> Held {
        Held { room: self.clone(), permit: None, bytes: 0 }
    }
}

impl Held {
    /// What is held, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many further pieces it takes to hold so many bytes.
    fn missing(&self, bytes: usize) -> Result<u32, TooLarge> {
        if self.room.pieces.is_some() && bytes > self.room.total {
            return Err(TooLarge { asked: bytes, total: self.room.total });
        }
        // a room that is no multiple of pieces has its last bytes for nothing
        let most = (self.room.total / PIECE).max(1);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(PIECE).min(most).saturating_sub(held);
        Ok(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    fn keep(&mut self, permit: OwnedSemaphorePermit, bytes: usize) {
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        self.bytes = bytes;
    }

    /// Holds so many bytes in all, never less than before; waits while others hold too much.
    ///
    /// # Errors
    /// Where there will never be so much.
    pub async fn reach(&mut self, bytes: usize) -> Result<(), TooLarge> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let missing = self.missing(bytes)?;
        let Some(pieces) = self.room.pieces.clone() else {
            self.bytes = bytes;
            return Ok(());
        };
        // it is never closed
        if let Ok(permit) = pieces.acquire_many_owned(missing).await {
            self.keep(permit, bytes);
        }
        Ok(())
    }

    /// The same without waiting: false where there is not so much now.
    pub fn try_reach(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let Ok(missing) = self.missing(bytes) else { return false };
        let Some(pieces) = self.room.pieces.clone() else {
            self.bytes = bytes;
            return true;
        };
        match pieces.try_acquire_many_owned(missing) {
            Ok(permit) => {
                self.keep(permit, bytes);
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_none_waits() {
        let room = Room::new(10 * PIECE + 7);
        let (mut a, mut b) = (room.hold(), room.hold());
        a.reach(1).await.unwrap();
        a.reach(4 * PIECE).await.unwrap();
        assert_eq!((a.bytes(), room.taken()), (4 * PIECE, 4 * PIECE));
        assert!(b.try_reach(6 * PIECE) && !b.try_reach(6 * PIECE + 1));
        assert_eq!(b.reach(11 * PIECE).await.unwrap_err().total, 10 * PIECE + 7);
        {
            let waiting = b.reach(10 * PIECE + 7);
            tokio::pin!(waiting);
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("there is no room"),
                () = std::future::ready(()) => {}
            }
            drop(a);
            waiting.await.unwrap();
        }
        drop(b);
        assert!(room.hold().try_reach(10 * PIECE + 7));
    }

    #[tokio::test]
    async fn without_bound_nobody_waits() {
        let room = Room::new(0);
        let mut held = room.hold();
        held.reach(usize::MAX).await.unwrap();
        assert_eq!((room.total(), room.taken(), held.bytes()), (None, 0, usize::MAX));
    }
}
