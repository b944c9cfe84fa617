//! What people write on Matrix: contents of `m.room.message`, as clients send them.

use serde_json::{Value, json};

fn html(body: &str, formatted: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": formatted })
}

/// Texts. Mentions of `@telegram_ID:example.org` are of Telegram's users.
pub(super) fn texts() -> Vec<(&'static str, Value)> {
    vec![
        ("plain", json!({ "msgtype": "m.text", "body": "hello <b>& co</b>" })),
        ("plain_spaces", json!({ "msgtype": "m.text", "body": "  \n hello \n\n" })),
        ("plain_url", json!({ "msgtype": "m.text", "body": "see https://example.org/?a=1" })),
        ("bold", html("bold", "some <strong>bold</strong> text")),
        ("italic", html("italic", "some <em>italic</em> text")),
        ("underline", html("u", "some <u>underlined</u> text")),
        ("strike", html("s", "some <del>struck</del> and <s>struck</s> text")),
        ("code", html("code", "call <code>f&lt;T&gt;()</code>")),
        ("pre", html("code", "<pre><code>fn main() {\n    go();\n}\n</code></pre>")),
        (
            "pre_language",
            html(
                "code",
                "see:<pre><code class=\"language-rust\">let x = 1 &lt; 2;\n</code></pre>done",
            ),
        ),
        ("spoiler", html("s", "the <span data-mx-spoiler>butler</span> did it")),
        ("spoiler_reason", html("s", "the <span data-mx-spoiler=\"ending\">butler</span> did it")),
        ("quote", html("q", "<blockquote>well<br>then</blockquote>I said")),
        ("quote_with_bold", html("q", "<blockquote>a <b>b</b></blockquote>")),
        ("quote_in_quote", html("q", "<blockquote>a<blockquote>b</blockquote></blockquote>c")),
        ("link", html("l", "see <a href=\"https://example.org/?a=1&amp;b=2\">here</a>")),
        (
            "link_saying_itself",
            html("l", "see <a href=\"https://example.org/\">https://example.org/</a>"),
        ),
        (
            "link_mailto",
            html(
                "l",
                "write to <a href=\"mailto:a@example.org\">me</a> or <a href=\"mailto:b@example.org\">b@example.org</a>",
            ),
        ),
        ("link_ftp", html("l", "get it <a href=\"ftp://example.org/x\">there</a>")),
        ("link_bold", html("l", "<a href=\"https://example.org\"><b>here</b></a>")),
        (
            "mention",
            html("m", "hi <a href=\"https://matrix.to/#/@telegram_200:example.org\">Alice</a>!"),
        ),
        (
            "mention_channel",
            html("m", "hi <a href=\"https://matrix.to/#/@telegram_c600:example.org\">News</a>!"),
        ),
        (
            "mention_matrix",
            html("m", "hi <a href=\"https://matrix.to/#/@carl:example.org\">Carl</a>!"),
        ),
        (
            "mention_room",
            html("m", "in <a href=\"https://matrix.to/#/#room:example.org\">#room</a>"),
        ),
        (
            "mention_everybody",
            json!({ "msgtype": "m.text", "body": "@room look", "m.mentions": { "room": true } }),
        ),
        ("list", html("l", "<ul><li>one</li><li>two</li></ul>")),
        (
            "list_ordered",
            html("l", "<p>first:</p><ol start=\"3\"><li>three</li><li>four</li></ol>"),
        ),
        ("list_nested", html("l", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>")),
        ("list_bold", html("l", "<ul><li><b>one</b> and</li></ul>")),
        ("headings", html("h", "<h1>Big</h1><h3>Small</h3>text")),
        ("paragraphs", html("p", "<p>one</p><p>two</p>")),
        ("line_breaks", html("p", "one<br>two<br><br>three")),
        ("rule", html("p", "one<hr>two")),
        ("colour", html("c", "<span data-mx-color=\"#ff0000\">red</span>")),
        (
            "custom_emoji",
            html(
                "e",
                "nice <img data-mx-emoticon src=\"mxc://a/b\" alt=\"cat\" title=\"cat\" height=\"32\"> cat",
            ),
        ),
        ("image", html("i", "<img src=\"mxc://a/b\" alt=\"a view\">")),
        ("table", html("t", "<table><tr><td>a</td><td>b</td></tr></table>")),
        ("after_emoji", html("e", "😀😀 <b>bold</b>")),
        ("nested", html("n", "<b>one <i>two <u>three</u></i></b>")),
        ("code_in_bold", html("n", "<b>a <code>b</code> c</b>")),
        ("bold_in_code", html("n", "<code>a <b>b</b></code>")),
        (
            "reply_fallback",
            html("> <@a:b> old\n\nnew", "<mx-reply><blockquote>old</blockquote></mx-reply>new"),
        ),
        (
            "reply_fallback_plain",
            json!({
                "msgtype": "m.text",
                "body": "> <@a:b> old\n\nnew",
                "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } },
            }),
        ),
        ("unknown_tags", html("u", "<marquee>still here</marquee><script>gone()</script>")),
        ("only_space", json!({ "msgtype": "m.text", "body": " \n " })),
        ("long", json!({ "msgtype": "m.text", "body": "0123456789 ".repeat(500) })),
        ("long_bold", html("long", &format!("<b>{}</b>", "0123456789 ".repeat(500)))),
    ]
}
