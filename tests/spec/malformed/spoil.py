"""Ways to spoil a request. Each takes it in parts and a random source, and says what it did, or None where it can't."""
import copy
import json
import re

from .valid import text

# What other endpoints would make of huge or odd values is theirs; these are tried everywhere.
ODD_STRINGS = ["", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "‮evil", "😀" * 300, "é" * 65, "a" * 256, "a" * 70_000, "'; --", "%",
               "../../etc/passwd", "..", ".", "//", "@", "@:", "!", "#", "$", ":", "@a:b:c:d", "@" + "a" * 300 + ":x", "#x:", "!x",
               "$" + "a" * 255, "null", "true", "NaN", "-1", "1e309", "{}", "[]", "\n", "\r\n", "\t", "m.room.create", "\u0085", "\u2028",
               "mxc://", "mxc://a", "mxc://a/../b", "http://", "http://[::1", "javascript:x", "data:text/html,x", "file:///etc/passwd",
               "s1_2_3", "s99999999999999999999", "0", "18446744073709551616", "_", "_x", "m." + "x" * 300]
ODD_NUMBERS = [0, -1, 1, 2**31, -2**31, 2**53, -2**53, 2**53 + 1, 2**63 - 1, 2**63, -2**63, -2**63 - 1, 2**64, 2**64 - 1, 10**30, 0.5, -0.0,
               1e308, 1e-308, 1.0, 4294967296, 65536]
# JSON that no Python value stands for.
RAW_NUMBERS = [b"1e400", b"-1e400", b"1" + b"0" * 400, b"0." + b"1" * 400, b"NaN", b"Infinity", b"01", b"+1", b".5", b"1.", b"0x10"]
BAD_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"]
BAD_ESCAPES = [b"%00", b"%ff", b"%c0%80", b"%ed%a0%80", b"%", b"%2", b"%zz", b"%2F", b"%2e%2e", b"%0a", b"%25", b"%F0%9F%98%80", b"+"]


def other_type(rng, value):
    """A value of another type."""
    choices = [None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"": ""}, {"a": {"b": []}}, "1", "true", [{}], {"x": None}]
    return copy.deepcopy(rng.choice([c for c in choices if type(c) is not type(value)]))


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def change(request, rng, make):
    """Puts something else at a random place of the body."""
    if not isinstance(request.body, (dict, list)):
        return None
    spots = list(places(request.body))
    spot = rng.choice(spots[1:] or spots)
    if not spot:
        request.body = make(request.body)
        return "the body"
    node = request.body
    for step in spot[:-1]:
        node = node[step]
    node[spot[-1]] = make(node[spot[-1]])
    return "/".join(map(str, spot))


def wrong_type(request, rng):
    where = change(request, rng, lambda value: other_type(rng, value))
    return where and f"wrong type at {where}"


def odd_value(request, rng):
    where = change(request, rng, lambda value: rng.choice(ODD_NUMBERS) if isinstance(value, (int, float)) else rng.choice(ODD_STRINGS))
    return where and f"odd value at {where}"


def huge_value(request, rng):
    makers = [lambda: "x" * 100_000, lambda: "é" * 40_000, lambda: [0] * 20_000, lambda: {f"k{i}": i for i in range(10_000)},
              lambda: [{}] * 10_000, lambda: ["x" * 255] * 2_000, lambda: {"k" * 70_000: 1}, lambda: [f"@u{i}:x" for i in range(5_000)]]
    make = rng.choice(makers)
    where = change(request, rng, lambda _: make())
    return where and f"huge value at {where}"


def deep_value(request, rng):
    depth = rng.choice([60, 99, 100, 101, 126, 127, 128, 129, 500, 20_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    where = change(request, rng, lambda _: Marker(opening * depth + b"1" + closing * depth))
    return where and f"{depth} levels at {where}"


def raw_number(request, rng):
    number = rng.choice(RAW_NUMBERS)
    where = change(request, rng, lambda _: Marker(number))
    return where and f"{number[:10]} at {where}"


def missing_field(request, rng):
    spots = [s for s in places(request.body) if s] if isinstance(request.body, (dict, list)) else []
    if not spots:
        return None
    spot, node = rng.choice(spots), request.body
    for step in spot[:-1]:
        node = node[step]
    del node[spot[-1]]
    return f"without {'/'.join(map(str, spot))}"


def added_field(request, rng):
    if not isinstance(request.body, dict):
        return None
    key = rng.choice(ODD_STRINGS + ["auth", "type", "membership", "__proto__", "unsigned", "content", "m.relates_to"])
    request.body[key] = rng.choice([other_type(rng, "x"), rng.choice(ODD_STRINGS), rng.choice(ODD_NUMBERS)])
    return f"with {key[:30]!r}"


def doubled_field(request, rng):
    if not isinstance(request.body, dict) or not request.body:
        return None
    key = rng.choice(list(request.body))
    whole = encode(request.body)
    request.body = b'{' + json.dumps(key).encode() + b':' + encode(other_type(rng, 1)) + b',' + whole[1:]
    return f"{key[:30]!r} twice"


def other_body(request, rng):
    request.body = rng.choice([None, b"", b" ", b"null", b"[]", b"0", b'""', b"true", b"{", b"}", b"{]", b'{"a"}', b"{}{}", b"not json",
                               b"<xml/>", b"\0", b"\xef\xbb\xbf{}", b'{"a":1,}', b"{'a':1}", b'{"a":"\\ud800"}', b'{"\\ud800":1}', b'"\\u0000"',
                               b'{"auth":null}', b'{"auth":{"type":1}}', b"[" * 50_000, b'{"a":' * 50_000, b"[[]," * 5_000, b"{}" + b" " * 100_000])
    return f"body {request.body if request.body is None else request.body[:12]}"


def broken_body(request, rng):
    """Cut in the middle, or with bytes that are no UTF-8."""
    whole = encode(request.body)
    if len(whole) < 2:
        return None
    at = rng.randrange(1, len(whole))
    if rng.random() < 0.5:
        request.body = whole[:at]
        return f"body cut at {at}"
    request.body = whole[:at] + rng.choice(BAD_UTF8) + whole[at:]
    return f"bad UTF-8 in the body at {at}"


def withheld_body(request, rng):
    request.body = encode(request.body)
    request.withheld = rng.choice([1, 100, 100_000])
    return "body shorter than announced"


def over_the_limit(request, rng):
    if rng.random() > 0.02:
        return None
    request.body = b'{"a":"' + b"x" * (5 << 20) + b'"}'
    return "5 MiB"


def bad_path(request, rng):
    if not request.path:
        return None
    name = rng.choice(list(request.path))
    sort = rng.randrange(3)
    if sort == 0:
        request.path[name] = rng.choice(BAD_ESCAPES) * rng.choice([1, 1, 3])
    elif sort == 1:
        # A lone surrogate has no percent-encoding; what is longer than a server reads at all is another matter.
        request.path[name] = rng.choice([s for s in ODD_STRINGS if s and not re.search("[\ud800-\udfff]", s)])[:5_000]
    else:
        request.path[name] = rng.choice(list(request.path.values()) + [str(rng.choice(ODD_NUMBERS))])
    return f"path's {name} {request.path[name][:30]!r}"


def bad_query(request, rng):
    names = [p["name"] for p in request.op.spec.get("parameters", []) if p.get("in") == "query"]
    names += ["limit", "dir", "from", "filter", "access_token", "user_id", "x"]
    name = rng.choice(names[:-7] or names) if rng.random() < 0.7 else rng.choice(names)
    odd = [s for s in ODD_STRINGS if not re.search("[\ud800-\udfff]", s)]
    value = rng.choice([rng.choice(BAD_ESCAPES), rng.choice(odd)[:3_000], str(rng.choice(ODD_NUMBERS)), json.dumps(other_type(rng, 1)),
                        "{" * 200, '{"limit":-1}', '{"room":{"timeline":{"limit":1e99}}}', '{"types":"x"}'])
    # A wait that is a wait would only hold us up.
    if name.startswith("timeout") and re.fullmatch(r"\+?\d{2,19}", text(value) if not isinstance(value, bytes) else ""):
        value = "-5"
    if rng.random() < 0.7:
        request.query = [(k, v) for k, v in request.query if k != name]
    request.query.append((name, value))
    if rng.random() < 0.1:
        request.query += [(name, "1")] * rng.choice([1, 200])
    return f"query's {name} {value[:30]!r}"


def missing_query(request, rng):
    if not request.query:
        return None
    return f"without query's {request.query.pop(rng.randrange(len(request.query)))[0]}"


def wrong_method(request, rng):
    request.method = rng.choice([m for m in ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW") if m != request.method])
    return f"method {request.method}"


def bad_token(request, rng):
    request.token = rng.choice([None, "", "x", "x" * 5_000, "null", "é", "a b", "syt_a_b_c", "Bearer x", "\"", "mat_0"])
    return f"token {request.token and request.token[:10]!r}"


def odd_headers(request, rng):
    sort = rng.randrange(4)
    if sort == 0:
        request.content_type = rng.choice([None, "", "text/plain", "application/xml", "multipart/form-data", "application/json; charset=utf-16", "x",
                                           "application/x-www-form-urlencoded", "a" * 2_000])
        return f"content type {request.content_type and request.content_type[:30]!r}"
    name, value = rng.choice([("Authorization", "Basic eDp5"), ("Accept", "\x01"), ("Range", "bytes=5-1"), ("Range", "bytes=-99999999999999999999"),
                              ("Content-Encoding", "gzip"), ("If-None-Match", "*"), ("X-Forwarded-For", "x" * 500), ("Origin", "null"),
                              ("Accept-Language", "\xff"), ("Cookie", "a=b; c"), ("Expect", "x"), ("Host", "")])
    request.headers.append((name, value.replace("\x01", "x")))
    return f"header {name}"


class Marker:
    """Bytes that stand in a JSON value as they are."""

    def __init__(self, raw):
        self.raw = raw

    def __len__(self):
        return len(self.raw)


def encode(body):
    """A body's bytes."""
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    markers = []

    def stand_in(value):
        if not isinstance(value, Marker):
            raise TypeError(type(value))
        markers.append(value.raw)
        return f"<<marker {len(markers) - 1}>>"

    whole = json.dumps(body, default=stand_in).encode()
    for index, raw in enumerate(markers):
        whole = whole.replace(f'"<<marker {index}>>"'.encode(), raw)
    return whole


BODY = [wrong_type] * 6 + [odd_value] * 6 + [missing_field] * 4 + [added_field, doubled_field] * 2 + [huge_value, deep_value, raw_number, over_the_limit] + \
    [other_body, broken_body] * 2 + [withheld_body]
REST = [bad_path] * 6 + [bad_query] * 6 + [missing_query] * 2 + [bad_token] * 3 + [wrong_method, odd_headers] * 2


def spoil(request, rng):
    """Spoils a request in one to three ways."""
    wanted = rng.choice([1, 1, 1, 2, 3])
    for _ in range(20):
        ways = BODY if request.body is not None and rng.random() < 0.6 else REST
        did = rng.choice(ways)(request, rng)
        if did:
            request.spoilt.append(did)
        if len(request.spoilt) == wanted:
            break
    return request
