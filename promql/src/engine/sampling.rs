//! Where a label set falls in 0..1, for `limit_ratio`: XXH64 of the labels as Prometheus packs them, so that the same
//! series are chosen (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).

use model::Labels;

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// The place of a label set, evenly spread.
pub(crate) fn offset(labels: &Labels) -> f64 {
    let mut packed = Vec::with_capacity(labels.packed_len());
    for (name, value) in labels {
        for text in [name, value] {
            let len = text.len();
            // a length below 255 is a byte; a longer one is 255 and three bytes, the least first
            if len < 255 {
                packed.push(len as u8);
            } else {
                packed.extend([255, len as u8, (len >> 8) as u8, (len >> 16) as u8]);
            }
            packed.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&packed) as f64 / u64::MAX as f64
}

fn round(acc: u64, lane: u64) -> u64 {
    acc.wrapping_add(lane.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |acc, b| acc << 8 | u64::from(*b))
}

fn xxh64(data: &[u8]) -> u64 {
    let mut rest = data;
    let mut acc = if data.len() >= 32 {
        let mut lanes = [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)];
        while rest.len() >= 32 {
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = round(*lane, word(&rest[i * 8..i * 8 + 8]));
            }
            rest = &rest[32..];
        }
        let [a, b, c, d] = lanes;
        let mut acc = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        for lane in lanes {
            acc = (acc ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
        }
        acc
    } else {
        P5
    };
    acc = acc.wrapping_add(data.len() as u64);
    while rest.len() >= 8 {
        acc = (acc ^ round(0, word(&rest[..8]))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        rest = &rest[8..];
    }
    if rest.len() >= 4 {
        acc = (acc ^ word(&rest[..4]).wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = &rest[4..];
    }
    for b in rest {
        acc = (acc ^ u64::from(*b).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    acc = (acc ^ (acc >> 33)).wrapping_mul(P2);
    acc = (acc ^ (acc >> 29)).wrapping_mul(P3);
    acc ^ (acc >> 32)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    #[test]
    fn known_hashes() {
        assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(xxh64(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(xxh64(b"abc"), 0x44BC_2CF5_AD77_0999);
    }
}
