//! Head chunk files: reading while writing, golden bytes, tears and damage.

use super::*;
use crate::disk::RealDisk;

fn open(dir: &Path) -> HeadChunks {
    HeadChunks::open(Arc::new(RealDisk), dir)
}

fn all(chunks: &mut HeadChunks) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    chunks.for_each(|c| found.push((c.series, c.data.to_vec()))).map(|()| found)
}

#[test]
fn chunks_can_be_read_at_once_after_flushing_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut chunks = open(dir.path());
    let reader = chunks.reader();
    let check = |refs: &[HeadChunkRef]| {
        for (i, &ref_) in refs.iter().enumerate() {
            let mut out = vec![1];
            assert_eq!(reader.read(ref_, &mut out).unwrap(), Encoding::Xor);
            assert_eq!(out[1..], vec![i as u8; 1000]);
        }
    };
    let mut refs = Vec::new();
    for i in 0..200u8 {
        refs.push(chunks.write(u64::from(i), 0, i64::from(i), Encoding::Xor, &[i; 1000]).unwrap());
        if i % 64 == 0 {
            check(&refs);
            chunks.flush().unwrap();
            check(&refs);
        }
    }
    chunks.cut_file().unwrap();
    check(&refs);
    let late = chunks.write(7, 1000, 2000, Encoding::Histogram, b"x").unwrap();
    assert_eq!((late.file(), late.offset()), (2, 8));
    chunks.sync().unwrap();
    let mut again = open(dir.path());
    assert_eq!(all(&mut again).unwrap().len(), 201);
    assert_eq!(again.size(), chunks.size());
    again.truncate(200).unwrap();
    assert_eq!(all(&mut again).unwrap(), [(7, b"x".to_vec())]);
    let third = again.write(8, 3000, 4000, Encoding::Xor, b"y").unwrap();
    assert_eq!(third.file(), 3);
}

#[test]
fn golden_bytes_and_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut chunks = open(dir.path());
    chunks.write(258, 1, -1, Encoding::Xor, b"abc").unwrap();
    chunks.write(259, 1, 2, Encoding::Xor, b"def").unwrap();
    chunks.sync().unwrap();
    let path = file_path(dir.path(), 1);
    let bytes = std::fs::read(&path).unwrap();
    let mut expected = vec![0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];
    let chunk = b"\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\x01\x03abc";
    expected.extend(chunk);
    expected.extend(crc32c(chunk).to_be_bytes());
    assert_eq!(&bytes[..expected.len()], expected);
    let second = expected.len();
    // Torn at the end: the chunks before it are all there is.
    for len in second..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(all(&mut open(dir.path())).unwrap(), [(258, b"abc".to_vec())]);
    }
    // Zeros that were reserved are no chunks.
    std::fs::write(&path, [&bytes[..], &[0; 4096]].concat()).unwrap();
    assert_eq!(all(&mut open(dir.path())).unwrap().len(), 2);
    for at in (0..5).chain(second..bytes.len()) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        flipped.extend([1; 300]);
        std::fs::write(&path, &flipped).unwrap();
        let mut chunks = open(dir.path());
        // A length that reaches beyond the end of the last file reads as a tear.
        let Err(error) = all(&mut chunks) else { continue };
        let aside = chunks.repair(error).unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), flipped);
        assert_eq!(all(&mut chunks).unwrap().len(), usize::from(at >= second), "{at}");
    }
}
