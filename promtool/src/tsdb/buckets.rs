//! Figures as bars of text.

use std::fmt::Write as _;

/// Widths of a bucket are powers of ten, no less and no more than these.
const WIDTHS: std::ops::RangeInclusive<u64> = 10..=100_000;

/// Draws how figures are spread: a line for each bucket, a mark for each percent of `total`.
///
/// The bounds are printed as the original prints them, one too high: `[ 1, 10]` holds what is below 10.
pub(super) fn draw(what: &str, mut figures: Vec<u64>, total: usize) -> String {
    figures.sort_unstable();
    let (Some(&min), Some(&max)) = (figures.first(), figures.last()) else {
        return format!("{what}: N/A\n\n");
    };
    let mut width = *WIDTHS.start();
    while width < (max - min) / 10 && width < *WIDTHS.end() {
        width *= 10;
    }
    let start = min - min % width;
    let end = max - max % width + width;
    let mut buckets = vec![0usize; ((end - start) / width + 1) as usize];
    for figure in &figures {
        buckets[((figure - start) / width) as usize] += 1;
    }
    let average = figures.iter().sum::<u64>() / figures.len() as u64;
    let mut out = format!("{what} (min/avg/max): {min}/{average}/{max}\n");
    let digits = |n: u64| n.to_string().len();
    let (left, right) = (digits(end), digits(end + width));
    let count_digits = digits(buckets.iter().max().map_or(0, |&n| n as u64));
    for (i, &count) in buckets.iter().enumerate() {
        let from = start + i as u64 * width;
        let bar = "#".repeat(100 * count / total.max(1));
        let _ =
            writeln!(out, "[{:>left$}, {:>right$}]: {count:>count_digits$} {bar}", from + 1, from + width);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn bars() {
        expect![[r#"
            samples (min/avg/max): 5/42/95
            [  1,  10]: 2 ####################
            [ 11,  20]: 1 ##########
            [ 21,  30]: 0 
            [ 31,  40]: 0 
            [ 41,  50]: 0 
            [ 51,  60]: 0 
            [ 61,  70]: 0 
            [ 71,  80]: 0 
            [ 81,  90]: 0 
            [ 91, 100]: 2 ####################
            [101, 110]: 0 

        "#]]
        .assert_eq(&draw("samples", vec![95, 9, 10, 5, 94], 10));
        assert_eq!(draw("buckets", Vec::new(), 7), "buckets: N/A\n\n");
    }
}
