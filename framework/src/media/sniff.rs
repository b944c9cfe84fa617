//! What a file is, by its first bytes: networks forget to say, or say `application/octet-stream`.

/// Beginnings, at an offset, and what they mean.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"BM", "image/bmp"),
];

/// The media type that the beginning of a file shows, if it shows one.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    MAGIC
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|(.., m)| *m)
}

/// The type to go by: what the network says, unless that says nothing, or calls one kind of picture another.
pub(super) fn better(declared: Option<&str>, head: &[u8]) -> String {
    let declared = declared.map(str::trim).filter(|mime| is_mime(mime));
    let seen = sniff(head);
    let vague = |mime: &str| matches!(mime, "application/octet-stream" | "binary/octet-stream");
    match (declared, seen) {
        (Some(mime), Some(seen))
            if vague(mime) || (mime.starts_with("image/") && seen.starts_with("image/")) =>
        {
            seen.to_owned()
        }
        (Some(mime), _) => mime.to_owned(),
        (None, Some(seen)) => seen.to_owned(),
        (None, None) => "application/octet-stream".to_owned(),
    }
}

fn is_mime(text: &str) -> bool {
    text.len() <= 200
        && text.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && text.is_ascii()
        && !text.bytes().any(|b| b.is_ascii_control())
}
