//! Names made from contents: applying the same thing twice changes nothing, and a change gets a new name.

use serde_json::Value;

/// Eight hex digits of the blake3 over the value's canonical JSON (keys sorted, no spaces).
pub fn hash8(value: &Value) -> String {
    blake3::hash(canonical(value).as_bytes()).to_hex()[..8].to_owned()
}

/// The value with sorted keys and no spaces, whatever order of keys serde_json was built with.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_of_keys_does_not_matter_but_order_of_items_does() {
        let (a, b) = (json!({"a": 1, "b": {"c": [1, 2], "d": "é\n"}}), json!({"b": {"d": "é\n", "c": [1, 2]}, "a": 1}));
        assert_eq!(hash8(&a), hash8(&b));
        assert_eq!(hash8(&a).len(), 8);
        assert_ne!(hash8(&a), hash8(&json!({"a": 1, "b": {"c": [2, 1], "d": "é\n"}})));
    }
}
