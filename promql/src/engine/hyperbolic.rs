//! Hyperbolic functions; inverse ones that stay exact for large and small arguments
//! (the usual case distinction: <https://www.netlib.org/fdlibm/s_asinh.c>).

use std::f64::consts::LN_2;

/// Beyond this the other half of the definition is less than the last bit, and Prometheus leaves it out: a result that would just fit
/// overflows there.
const ONE_HALF: f64 = 21.0;

/// Hyperbolic sine.
pub(crate) fn sinh(x: f64) -> f64 {
    if x.abs() > ONE_HALF { (x.abs().exp() * 0.5).copysign(x) } else { x.sinh() }
}

/// Hyperbolic cosine.
pub(crate) fn cosh(x: f64) -> f64 {
    if x.abs() > ONE_HALF { x.abs().exp() * 0.5 } else { x.cosh() }
}

/// Beyond this a square swallows what is added to it.
const LARGE: f64 = 268_435_456.0;

pub(crate) fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let value = match a {
        _ if !x.is_finite() => return x,
        _ if a > LARGE => a.ln() + LN_2,
        _ if a > 2.0 => (2.0 * a + 1.0 / ((a * a + 1.0).sqrt() + a)).ln(),
        _ if a < 1.0 / LARGE => a,
        _ => (a + a * a / (1.0 + (1.0 + a * a).sqrt())).ln_1p(),
    };
    value.copysign(x)
}

pub(crate) fn acosh(x: f64) -> f64 {
    match x {
        _ if x.is_nan() || x < 1.0 => f64::NAN,
        _ if x >= LARGE => x.ln() + LN_2,
        _ if x > 2.0 => (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln(),
        _ => {
            let t = x - 1.0;
            (t + (2.0 * t + t * t).sqrt()).ln_1p()
        }
    }
}

pub(crate) fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let value = match a {
        _ if a.is_nan() || a > 1.0 => return f64::NAN,
        _ if a == 1.0 => f64::INFINITY,
        _ if a < 1.0 / LARGE => a,
        _ if a < 0.5 => 0.5 * (2.0 * a + 2.0 * a * a / (1.0 - a)).ln_1p(),
        _ => 0.5 * (2.0 * a / (1.0 - a)).ln_1p(),
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes() {
        assert!((asinh(-1e308) + 709.889355822726).abs() < 1e-9);
        assert!((acosh(1e300) - (1e300f64.ln() + LN_2)).abs() < 1e-9);
        assert!(atanh(1.0).is_infinite() && atanh(2.0).is_nan() && acosh(0.5).is_nan());
        assert!(asinh(-0.0).is_sign_negative() && atanh(-0.0).is_sign_negative());
        for x in [1e-10, 0.3, 1.5, 7.0, 1e6] {
            assert!((asinh(x) / x.asinh() - 1.0).abs() < 1e-9, "{x}");
        }
    }
}
