//! Strategic merge of containers, as `kubectl patch` does it: lists with a key are merged by it, others replaced.

use serde_json::{Map, Value};

/// Keys by which lists within a container are merged.
const KEYS: [(&str, &str); 4] = [
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
];

/// Merges the changes into the containers, by name; those of new names are added at the end.
///
/// # Errors
/// The index of a change without a name.
pub(crate) fn containers(containers: &mut Vec<Value>, changes: &[&Value]) -> Result<(), usize> {
    for (i, change) in changes.iter().enumerate() {
        let name = change["name"].as_str().filter(|name| !name.is_empty()).ok_or(i)?;
        match containers.iter_mut().find(|container| container["name"] == name) {
            Some(container) => merge(container, change),
            None => containers.push((*change).clone()),
        }
    }
    Ok(())
}

fn merge(into: &mut Value, change: &Value) {
    let (Value::Object(known), Value::Object(changes)) = (&mut *into, change) else {
        *into = change.clone();
        return;
    };
    for (field, value) in changes {
        if value.is_null() {
            known.remove(field);
            continue;
        }
        let key = KEYS.iter().find(|(list, _)| list == field).map(|(_, key)| *key);
        match (known.get_mut(field), key, value) {
            (Some(Value::Array(list)), Some(key), Value::Array(changes)) => merge_list(list, changes, key),
            (Some(child @ Value::Object(_)), _, Value::Object(_)) => merge(child, value),
            _ => set(known, field, value),
        }
    }
}

fn set(map: &mut Map<String, Value>, field: &str, value: &Value) {
    map.insert(field.to_owned(), value.clone());
}

fn merge_list(list: &mut Vec<Value>, changes: &[Value], key: &str) {
    for change in changes {
        match list.iter_mut().find(|element| element[key] == change[key]) {
            Some(element) => merge(element, change),
            None => list.push(change.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn merges_by_name_and_key() {
        let mut list = vec![json!({
            "name": "a", "args": ["x"], "env": [{ "name": "E", "value": "1" }], "resources": { "limits": { "cpu": "1" } }
        })];
        let changes = [
            json!({ "name": "a", "args": ["y"], "env": [{ "name": "F", "value": "2" }, { "name": "E", "value": "3" }],
                "resources": { "requests": { "cpu": "2" } } }),
            json!({ "name": "b", "image": "i" }),
        ];
        super::containers(&mut list, &changes.iter().collect::<Vec<_>>()).unwrap();
        let expected = json!([
            { "name": "a", "args": ["y"], "env": [{ "name": "E", "value": "3" }, { "name": "F", "value": "2" }],
              "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "2" } } },
            { "name": "b", "image": "i" },
        ]);
        assert_eq!(json!(list), expected);
        assert_eq!(super::containers(&mut list, &[&json!({ "image": "i" })]), Err(0));
    }
}
