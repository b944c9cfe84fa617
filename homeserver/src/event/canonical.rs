//! Canonical JSON (appendices, "Canonical JSON"): one text for one value, so that it can be hashed and signed.

use bytes::Bytes;
use ruma::CanonicalJsonObject;

/// JSON that has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical JSON: {0}")]
pub struct CanonicalError(String);

/// Parses an object that must have a canonical form: integers within ±(2^53 - 1), no fractions.
pub fn canonical_object(json: &str) -> Result<CanonicalJsonObject, CanonicalError> {
    serde_json::from_str(json).map_err(|error| CanonicalError(error.to_string()))
}

/// The canonical text of an object.
///
/// # Panics
/// Never: canonical JSON always has a text.
pub fn canonical_string(object: &CanonicalJsonObject) -> String {
    // Strings, booleans, integers and maps with string keys: serialising them into memory can't fail.
    serde_json::to_string(object).expect("canonical JSON serialises")
}

/// A text's bytes without the room that it was written with: an event keeps them for long.
pub(super) fn exact_bytes(text: String) -> Bytes {
    Bytes::from(text.into_bytes().into_boxed_slice())
}

/// Appends `text` as a JSON string.
pub(super) fn push_string(out: &mut String, text: &str) {
    // Identifiers and types hardly ever need an escape.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("a string serialises"));
    }
}
