//! Files and directories as a kernel has them: what the page cache shows, what stable storage holds, and what lies between.
//!
//! The model is stricter than any real file system, so that nothing leans on the kindness of one: syncing a file makes its
//! content durable, but not its name; names become durable with their directory only; what is not synced may become
//! durable all the same, in any order and in parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Random;

/// What stable storage writes at once; a torn write is torn between two of these.
const SECTOR: usize = 512;

/// A file or directory, whatever its names.
pub(super) type Inode = u64;
/// The top directory.
pub(super) const ROOT: Inode = 0;

/// What a restart loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The process was killed: the page cache stays, and what is not synced is still not synced.
    Nothing,
    /// The power failed, and nothing that was not synced had been written back.
    Unsynced,
    /// The power failed; of each file the first changes were written back, the last of them perhaps in part, and of the
    /// names the first ones: a journal.
    Suffixes,
    /// The power failed; any changes were written back, and of each write any sectors. Where a file had grown, zeros or
    /// garbage may stand.
    Anything,
}

/// A change of a file's content.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(content, *offset, bytes),
            Change::Truncate(len) => content.resize(*len, 0),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    present: Arc<Vec<u8>>,
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) present: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// Names that change at one stroke: directory, name, what it names then.
pub(super) type NameChange = Vec<(Inode, String, Option<Inode>)>;

/// All files and directories.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: BTreeMap<Inode, Node>,
    next: Inode,
    /// Changes of names that are not durable, in order.
    journal: Vec<NameChange>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        Nodes { nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]), next: 1, journal: Vec::new() }
    }

    pub(super) fn get(&self, inode: Inode) -> Option<&Node> {
        self.nodes.get(&inode)
    }

    pub(super) fn file(&mut self, inode: Inode) -> Option<&mut FileNode> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn dir(&self, inode: Inode) -> Option<&DirNode> {
        match self.nodes.get(&inode) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, node: Node) -> Inode {
        self.next += 1;
        self.nodes.insert(self.next, node);
        self.next
    }

    /// Changes names in the page cache; durable with the next sync of one of the directories.
    pub(super) fn rename(&mut self, change: NameChange) {
        for (dir, name, inode) in &change {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) {
                match inode {
                    Some(inode) => dir.present.insert(name.clone(), *inode),
                    None => dir.present.remove(name),
                };
            }
        }
        self.journal.push(change);
    }

    /// Makes a directory's names durable.
    pub(super) fn sync_dir(&mut self, inode: Inode) {
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.journal)
            .into_iter()
            .partition(|c| c.iter().any(|(dir, _, _)| *dir == inode));
        self.journal = later;
        for change in now {
            for (dir, name, _) in &change {
                // An older change of the same name, of another directory's stroke, must not come back.
                self.journal.iter_mut().for_each(|c| c.retain(|(d, n, _)| (d, n) != (dir, name)));
            }
            self.make_durable(change);
        }
    }

    fn make_durable(&mut self, change: NameChange) {
        for (dir, name, inode) in change {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(&dir) {
                match inode {
                    Some(inode) => dir.durable.insert(name, inode),
                    None => dir.durable.remove(&name),
                };
            }
        }
    }

    /// Bytes of the files that have a name.
    pub(super) fn used(&self) -> u64 {
        let mut named: Vec<Inode> = Vec::new();
        for node in self.nodes.values() {
            if let Node::Dir(dir) = node {
                named.extend(dir.present.values());
            }
        }
        named.sort_unstable();
        named.dedup();
        let len = |inode: &Inode| match self.nodes.get(inode) {
            Some(Node::File(file)) => file.len() as u64,
            _ => 0,
        };
        named.iter().map(len).sum()
    }

    /// What stands there after a restart.
    pub(super) fn restart(&mut self, loss: Loss, random: &mut Random) {
        if loss != Loss::Nothing {
            let journal = std::mem::take(&mut self.journal);
            let kept = match loss {
                Loss::Suffixes => random.index(journal.len() + 1),
                _ => journal.len(),
            };
            let odds = *random.pick(&[10, 50, 90]);
            for (i, change) in journal.into_iter().enumerate() {
                let survives = match loss {
                    Loss::Nothing => true,
                    Loss::Unsynced => false,
                    Loss::Suffixes => i < kept,
                    Loss::Anything => random.chance(odds),
                };
                if survives {
                    self.make_durable(change);
                }
            }
            for node in self.nodes.values_mut() {
                match node {
                    Node::File(file) => file.cut_power(loss, random),
                    Node::Dir(dir) => dir.present = dir.durable.clone(),
                }
            }
        }
        self.forget_unnamed();
    }

    /// No process has files open now: what has no name, and cannot get one back, is gone.
    fn forget_unnamed(&mut self) {
        let mut reached = std::collections::BTreeSet::from([ROOT]);
        let mut waiting = vec![ROOT];
        let pending: Vec<Inode> = self.journal.iter().flatten().filter_map(|(_, _, inode)| *inode).collect();
        waiting.extend(&pending);
        reached.extend(pending);
        while let Some(inode) = waiting.pop() {
            if let Some(Node::Dir(dir)) = self.nodes.get(&inode) {
                for &child in dir.present.values().chain(dir.durable.values()) {
                    if reached.insert(child) {
                        waiting.push(child);
                    }
                }
            }
        }
        self.nodes.retain(|inode, _| reached.contains(inode));
    }
}

impl FileNode {
    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    pub(super) fn content(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.present)
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write { offset: offset as usize, bytes: bytes.to_vec() });
    }

    pub(super) fn truncate(&mut self, len: u64) {
        self.change(Change::Truncate(len as usize));
    }

    fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.present));
        self.pending.push(change);
    }

    /// Changes what stands there, in the page cache and in stable storage: a medium that decays.
    pub(super) fn decay(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.durable);
        }
        change(Arc::make_mut(&mut self.present));
        self.durable = self.present.as_ref().clone();
    }

    /// Makes the content durable.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: the kernel takes what it could not write for written, so that no later sync writes it.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        for change in self.pending.drain(..) {
            if random.chance(50) {
                change.apply(&mut self.durable);
            }
        }
    }

    fn cut_power(&mut self, loss: Loss, random: &mut Random) {
        let pending = std::mem::take(&mut self.pending);
        let mut content = std::mem::take(&mut self.durable);
        match loss {
            Loss::Nothing | Loss::Unsynced => {}
            Loss::Suffixes => {
                let kept = random.index(pending.len() + 1);
                pending[..kept].iter().for_each(|change| change.apply(&mut content));
                if let Some(Change::Write { offset, bytes }) = pending.get(kept) {
                    write(&mut content, *offset, &bytes[..random.index(bytes.len())]);
                }
            }
            Loss::Anything => {
                let odds = *random.pick(&[10, 50, 90, 100]);
                let grown = pending.iter().fold(content.len(), |len, change| match change {
                    Change::Write { offset, bytes } => len.max(offset + bytes.len()),
                    Change::Truncate(len) => *len,
                });
                for change in &pending {
                    change.apply_in_part(&mut content, odds, random);
                }
                if grown > content.len() && random.chance(30) {
                    let garbage = random.chance(20);
                    content.resize_with(grown, || if garbage { random.bits() as u8 } else { 0 });
                }
            }
        }
        self.durable = content.clone();
        self.present = Arc::new(content);
    }
}

impl Change {
    fn apply_in_part(&self, content: &mut Vec<u8>, odds: u64, random: &mut Random) {
        match self {
            Change::Truncate(_) => {
                if random.chance(odds) {
                    self.apply(content);
                }
            }
            Change::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let end = ((offset + at) / SECTOR * SECTOR + SECTOR - offset).min(bytes.len());
                    if random.chance(odds) {
                        write(content, offset + at, &bytes[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}
