//! JSON merge patch, RFC 7396.

use serde_json::{Map, Value};

/// Changes a value as a patch says: objects member by member, null takes a member away, all else replaces.
///
/// ```
/// use lamppost::domain::patch::merge;
/// use serde_json::json;
/// let mut own = json!({"a": {"b": 1, "c": 2}, "d": [1]});
/// merge(&mut own, &json!({"a": {"b": null}, "d": {"e": null, "f": 3}}));
/// assert_eq!(own, json!({"a": {"c": 2}, "d": {"f": 3}}));
/// ```
pub fn merge(own: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *own = patch.clone();
        return;
    };
    if !own.is_object() {
        *own = Value::Object(serde_json::Map::new());
    }
    let Value::Object(own) = own else { return };
    for (key, value) in patch {
        if value.is_null() {
            own.remove(key);
        } else {
            merge(own.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// What a merge patch of a feature sets, as JSON pointers: its geometry, each property, each attribute.
///
/// ```
/// use lamppost::domain::patch::fields;
/// use serde_json::json;
/// let patch = json!({"geometry": null, "properties": {"state": "missing", "attributes": {"a/b": 1}}, "reason": "…"});
/// let right = ["/geometry", "/properties/attributes/a~1b", "/properties/state"];
/// assert_eq!(fields(patch.as_object().unwrap()), right);
/// ```
pub fn fields(patch: &Map<String, Value>) -> Vec<String> {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let mut out: Vec<String> = patch
        .get("geometry")
        .map(|_| "/geometry".to_owned())
        .into_iter()
        .collect();
    let properties = patch.get("properties").and_then(Value::as_object);
    for (name, value) in properties.into_iter().flatten() {
        match value {
            Value::Object(own) if name == "attributes" => {
                out.extend(own.keys().map(|k| format!("/properties/attributes/{}", escaped(k))));
            }
            _ => out.push(format!("/properties/{}", escaped(name))),
        }
    }
    out.sort_unstable();
    out
}
