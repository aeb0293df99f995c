//! JSON merge patch, RFC 7396.

use serde_json::Value;

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
