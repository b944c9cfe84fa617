//! Bodies of requests: JSON, a form, or JSON with files (RFC 7578).

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// JSON and files.
    Files(Value, Vec<File>),
}

/// A file to send.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) bytes: Bytes,
}

/// JSON and files as one body, and its media type. `boundary` must stand in none of them.
pub(super) fn multipart(json: &Value, files: &[File], boundary: &str) -> (String, Bytes) {
    let size = files.iter().map(|file| file.bytes.len() + 512).sum::<usize>() + 8_192;
    let mut out = BytesMut::with_capacity(size);
    let head = |out: &mut BytesMut, name: &str, more: &str, mime: &str| {
        out.put_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\nContent-Type: {mime}\r\n\r\n"
            )
            .as_bytes(),
        );
    };
    head(&mut out, "payload_json", "", "application/json");
    out.put_slice(json.to_string().as_bytes());
    out.put_slice(b"\r\n");
    for (number, file) in files.iter().enumerate() {
        let more = format!("; filename=\"{}\"", quoted(&file.name));
        head(&mut out, &format!("files[{number}]"), &more, media_type(&file.mime));
        out.put_slice(&file.bytes);
        out.put_slice(b"\r\n");
    }
    out.put_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), out.freeze())
}

/// A file's name inside of quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A media type that can stand in a header; others say nothing.
fn media_type(mime: &str) -> &str {
    let fine = (3..=100).contains(&mime.len())
        && mime.contains('/')
        && mime.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:<>@[]{}".contains(&b));
    if fine { mime } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_header() {
        let file = File {
            name: "a\"\r\nX: y.png".into(),
            mime: "image/png\r\nX: y".into(),
            bytes: Bytes::from_static(b"123"),
        };
        let (mime, body) = multipart(&serde_json::json!({"content": "hi"}), &[file], "zz");
        assert_eq!(mime, "multipart/form-data; boundary=zz");
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(
            text,
            "--zz\r\nContent-Disposition: form-data; name=\"payload_json\"\r\nContent-Type: application/json\r\n\r\n\
             {\"content\":\"hi\"}\r\n\
             --zz\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a%22%0D%0AX: y.png\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n123\r\n--zz--\r\n"
        );
    }
}
