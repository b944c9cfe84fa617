//! Channel names.

/// Whether a text can be a channel's name (RFC 2812 section 1.3): a sign, and no space, comma or bell. Names that IRC allows and that
/// could not stand in a Matrix alias are refused as well.
pub fn is_valid(name: &str) -> bool {
    let mut chars = name.chars();
    let sign = chars.next().is_some_and(|c| matches!(c, '#' | '&' | '!'));
    sign && name.len() > 1
        && name.len() <= 200
        && chars.all(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, ',' | ':' | '\u{7}'))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn knows_channel_names() {
        assert!(is_valid("#rust") && is_valid("##c++") && is_valid("&local"));
        for bad in
            ["", "#", "rust", "#a b", "#a,b", "#a\u{7}", "#a\r\nQUIT", "#a:b", &"#".repeat(300)]
        {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
