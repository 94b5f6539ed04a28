//! The bounds of native histograms with exponential buckets.
//!
//! Bucket `i` of schema `s` ends at 2^(i · 2^-s) and begins after the one below; negative buckets mirror that.

use std::sync::LazyLock;

/// 2^(2^-s) for the schemas 1 to 8, rounded as Prometheus has them.
const FACTORS: [u64; 8] = [
    0x3ff6_a09e_667f_3bcc,
    0x3ff3_06fe_0a31_b715,
    0x3ff1_72b8_3c7d_517b,
    0x3ff0_b558_6cf9_890f,
    0x3ff0_59b0_d315_8574,
    0x3ff0_2c9a_3e77_8061,
    0x3ff0_163d_a9fb_3335,
    0x3ff0_0b1a_fa5a_bcbf,
];

/// For each schema from 0 to 8 the bounds from 0.5 to below 1: every second one is that of the schema before, the others are a
/// factor above their neighbour. So they are the same to the last bit as in clients and in Prometheus.
static FRACTIONS: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let mut all = vec![vec![0.5]];
    for factor in FACTORS {
        let coarser = &all[all.len() - 1];
        let factor = f64::from_bits(factor);
        let finer = coarser.iter().flat_map(|b| [*b, *b * factor]).collect();
        all.push(finer);
    }
    all
});

/// Upper bound of bucket `index` of an exponential schema: 2^(index · 2^-schema), the same to the last bit as Prometheus has it.
pub fn bound(index: i32, schema: i32) -> f64 {
    if schema <= 0 {
        let exponent = i64::from(index) << (-schema).min(30);
        return exact_power(exponent);
    }
    let per_doubling = 1i32 << schema.min(30);
    let (whole, part) = (index.div_euclid(per_doubling), index.rem_euclid(per_doubling));
    let halved = match FRACTIONS.get(schema as usize).and_then(|of_schema| of_schema.get(part as usize)) {
        Some(bound) => *bound,
        None => (f64::from(part) / f64::from(per_doubling)).exp2() / 2.0,
    };
    // doubled at the end, so that the largest bound does not overflow on the way
    let scaled = halved * exact_power(i64::from(whole));
    if scaled * 2.0 == f64::INFINITY { f64::MAX } else { scaled * 2.0 }
}

fn exact_power(exponent: i64) -> f64 {
    match exponent {
        1024 => f64::MAX,
        1025.. => f64::INFINITY,
        ..=-1100 => 0.0,
        _ => 2f64.powi(exponent as i32),
    }
}
