//! What the families of all kinds need: times, owners, resource names, quantities.

use k8s_openapi::api::core::v1::NodeAddress;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// A moment as Unix seconds.
pub(crate) fn unix(time: &Time) -> f64 {
    time.0.as_second() as f64
}

/// When it was made.
pub(crate) fn created(meta: &ObjectMeta) -> Option<f64> {
    meta.creation_timestamp.as_ref().map(unix)
}

/// When its deletion began.
pub(crate) fn deleted(meta: &ObjectMeta) -> Option<f64> {
    meta.deletion_timestamp.as_ref().map(unix)
}

/// Text, or nothing.
pub(crate) fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Owners; one without kind and name where there is none.
pub(crate) fn owners(meta: &ObjectMeta) -> Vec<(&str, &str, &'static str)> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    if owners.is_empty() {
        return vec![("", "", "")];
    }
    let controller = |o: &OwnerReference| if o.controller == Some(true) { "true" } else { "false" };
    owners.iter().map(|o| (o.kind.as_str(), o.name.as_str(), controller(o))).collect()
}

/// The owner that controls it.
pub(crate) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_deref().unwrap_or_default().iter().find(|o| o.controller == Some(true))
}

/// The last address of a type: so kube-state-metrics chooses where there are several.
pub(crate) fn address<'a>(addresses: &'a [NodeAddress], kind: &str) -> &'a str {
    addresses.iter().rfind(|a| a.type_ == kind).map_or("", |a| &a.address)
}

/// Resources as label, unit and value; those of no known sort are left out.
pub(crate) fn resources(list: Option<&BTreeMap<String, Quantity>>) -> Vec<(String, &'static str, f64)> {
    let known = list.into_iter().flatten().filter_map(|(name, quantity)| {
        let unit = unit(name)?;
        let value = if unit == "core" { scaled(quantity, 3)? / 1000.0 } else { scaled(quantity, 0)? };
        Some((label_name(name), unit, value))
    });
    known.collect()
}

/// What a resource is counted in.
fn unit(name: &str) -> Option<&'static str> {
    match name {
        "cpu" => Some("core"),
        "storage" | "ephemeral-storage" | "memory" => Some("byte"),
        "pods" => Some("integer"),
        n if n.starts_with("hugepages-") || n.starts_with("attachable-volumes-") => Some("byte"),
        // extended resources have a domain of their own
        n if n.contains('/') && !n.contains("kubernetes.io/") && !n.starts_with("requests.") => {
            Some("integer")
        }
        _ => None,
    }
}

/// A name with every character that no label may hold replaced by `_`.
pub(crate) fn label_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// A quantity times ten to the power of `scale`, rounded up to a whole number as the API server does.
///
/// Format: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
pub(crate) fn scaled(quantity: &Quantity, scale: i32) -> Option<f64> {
    let text = quantity.0.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (tens, twos) = match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        exponent => (exponent.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    };
    let tens = tens - i32::try_from(fraction.len()).ok()? + scale;
    let value = mantissa.checked_mul(1i128 << twos)?;
    let power = 10i128.checked_pow(tens.unsigned_abs())?;
    if tens >= 0 {
        return Some(value.checked_mul(power)? as f64);
    }
    // towards infinity: half a byte is a byte
    Some((value.div_euclid(power) + i128::from(value.rem_euclid(power) != 0)) as f64)
}

/// A number, or that many percent of `total`, rounded up or down.
pub(crate) fn share(value: &IntOrString, total: i32, up: bool) -> Option<f64> {
    match value {
        IntOrString::Int(n) => Some(f64::from(*n)),
        IntOrString::String(text) => {
            let part: i64 = text.strip_suffix('%')?.parse().ok()?;
            let hundredth = part * i64::from(total);
            Some((if up { (hundredth + 99).div_euclid(100) } else { hundredth.div_euclid(100) }) as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let of = |text: &str, scale| scaled(&Quantity(text.to_owned()), scale);
        assert_eq!(of("3920m", 3), Some(3920.0));
        assert_eq!(of("0.1", 3), Some(100.0));
        assert_eq!(of("1.5Gi", 0), Some(1_610_612_736.0));
        assert_eq!(of("900000000500m", 0), Some(900_000_001.0), "rounded up");
        assert_eq!(of("1e3", 0), Some(1000.0));
        assert_eq!(of("12E", 0), Some(12e18));
        assert_eq!(of("100n", 3), Some(1.0));
        assert_eq!(of("x", 0), None);
    }

    #[test]
    fn shares_of_replicas() {
        assert_eq!(share(&IntOrString::Int(3), 10, false), Some(3.0));
        assert_eq!(share(&IntOrString::String("25%".into()), 10, false), Some(2.0));
        assert_eq!(share(&IntOrString::String("25%".into()), 10, true), Some(3.0));
        assert_eq!(share(&IntOrString::String("many".into()), 10, true), None);
    }
}
