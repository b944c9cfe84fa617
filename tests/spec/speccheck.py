#!/usr/bin/env python3
"""Hold a Matrix server against the specification's own OpenAPI data (data/, v1.19).

  speccheck.py proxy    --listen PORT --upstream URL --log FILE   validating reverse proxy: put it between any
                                                                  client, suite or bridge and the server
  speccheck.py report   FILE...                                   what the proxies saw: exchanges, operations, violations
  speccheck.py coverage --hs URL [--token T] [--api client-server,server-server]
                                                                  which of the specification's endpoints are routed

Only responses are judged (suites send bad requests on purpose). A response is a violation when its status is documented
and its JSON body does not match the schema for that status, when an error body lacks `errcode`, or when a 2xx body is
not JSON where JSON is documented. Needs: pip install aiohttp 'jsonschema[format]' pyyaml
"""
import argparse, asyncio, collections, functools, json, os, pathlib, re, sys, urllib.parse

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("MATRIX_SPEC_DATA", HERE.parents[2] / "shared" / "spec" / "data"))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def jsonable(value):
    """YAML maps may have non-string keys (status codes, dates); JSON pointers need strings."""
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [jsonable(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@functools.lru_cache(maxsize=None)
def load(path):
    return jsonable(yaml.load(pathlib.Path(path).read_text(), Loader=LOADER))


def retrieve(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    return Resource.from_contents(load(path), default_specification=DRAFT202012)


REGISTRY = Registry(retrieve=retrieve)

FORMATS = FormatChecker(formats=())
for _name, _entry in load(str(DATA / "string-formats.yaml")).items():
    if isinstance(_entry, dict) and "regex" in _entry:
        _re = re.compile(_entry["regex"])
        FORMATS.checks(_name)(lambda v, _re=_re: not isinstance(v, str) or bool(_re.search(v)))


class Operation:
    def __init__(self, api, file, method, path, pointer, spec):
        self.api, self.file, self.method, self.path, self.pointer, self.spec = api, file, method, path, pointer, spec
        # {param} matches one path segment; content-repo's trailing {fileName} and {key+} styles are one segment too
        self.regex = re.compile("^" + re.sub(r"\\\{[^/]+?\\\}", "[^/]*", re.escape(path)) + "/?$")
        self.specificity = (len(re.findall(r"\{", path)), -len(path))
        self.id = f"{method} {path}"
        self.validators = {}

    def validator(self, status):
        """The validator of this operation's JSON body at this status, None where none is documented."""
        if status not in self.validators:
            pointer = f"{self.pointer}/responses/{status}"
            base = "file://" + urllib.parse.quote(str(self.file))
            v = None
            response = self.spec.get("responses", {}).get(str(status))
            if response and "$ref" in response:
                resolved = REGISTRY.resolver(base_uri=base).lookup(response["$ref"])
                response, base = resolved.contents, None
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if schema is not None:
                    v = Draft202012Validator(schema, registry=REGISTRY, format_checker=FORMATS,
                                             _resolver=resolved.resolver)
            elif response:
                if "application/json" in response.get("content", {}) and "schema" in response["content"]["application/json"]:
                    ref = f"{base}#{pointer}/content/application~1json/schema"
                    v = Draft202012Validator({"$ref": ref}, registry=REGISTRY, format_checker=FORMATS)
            self.validators[status] = v
        return self.validators[status]


def operations():
    ops = []
    for api in ("client-server", "server-server", "application-service", "identity", "push-gateway"):
        for file in sorted((DATA / "api" / api).glob("*.yaml")):
            doc = load(str(file))
            base = ""
            for server in doc.get("servers", []):
                base = server.get("variables", {}).get("basePath", {}).get("default", "")
            for path, methods in doc.get("paths", {}).items():
                for method, spec in methods.items():
                    if method == "parameters":
                        continue
                    escaped = path.replace("~", "~0").replace("/", "~1")
                    ops.append(Operation(api, file, method.upper(), base + path,
                                         f"/paths/{urllib.parse.quote(escaped)}/{method}", spec))
    return sorted(ops, key=lambda o: o.specificity)


def find(ops, method, path):
    path = path.replace("/_matrix/client/r0/", "/_matrix/client/v3/").replace("/_matrix/client/unstable/", "/_matrix/client/unstable/")
    for op in ops:
        if op.method == method and op.regex.match(path):
            return op
    return None


def judge(op, status, content_type, body):
    """A list of what is wrong with this response, empty where nothing is."""
    is_json = "json" in (content_type or "")
    if status >= 400:
        try:
            parsed = json.loads(body)
        except ValueError:
            return [f"{status}: error body is not JSON"]
        if not isinstance(parsed, dict) or not isinstance(parsed.get("errcode"), str):
            # a 401 of user-interactive auth carries flows, not errcode
            if not (status == 401 and isinstance(parsed, dict) and "flows" in parsed) and op.api != "identity":
                return [f"{status}: error body has no errcode"]
        if status == 401 or parsed.get("errcode"):
            return []
    v = op.validator(status)
    if v is None:
        return []
    if not is_json:
        return [f"{status}: content-type {content_type!r}, JSON is documented"]
    try:
        parsed = json.loads(body)
    except ValueError as e:
        return [f"{status}: not JSON: {e}"]
    out = []
    for error in list(v.iter_errors(parsed))[:5]:
        where = "/".join(str(p) for p in error.absolute_path)
        out.append(f"{status}: at /{where}: {error.message[:300]}")
    return out


async def proxy(args):
    import aiohttp
    from aiohttp import web

    ops, log = operations(), open(args.log, "a", buffering=1)
    session = aiohttp.ClientSession(auto_decompress=True, timeout=aiohttp.ClientTimeout(total=300))
    hop = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host", "upgrade"}

    async def handle(request):
        body = await request.read()
        url = args.upstream + request.raw_path
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in hop]
        from yarl import URL
        try:
            async with session.request(request.method, URL(url, encoded=True), headers=headers, data=body or None,
                                       allow_redirects=False) as r:
                data = await r.read()
                op = find(ops, request.method, request.path)
                entry = {"op": op.id if op else None, "method": request.method, "path": request.path, "status": r.status}
                if op:
                    try:
                        entry["wrong"] = judge(op, r.status, r.headers.get("content-type"), data)
                    except Exception as e:  # a fault of this checker must be seen, not counted as the server's
                        entry["checker_error"] = repr(e)[:300]
                log.write(json.dumps(entry) + "\n")
                return web.Response(status=r.status, body=data,
                                    headers=[(k, v) for k, v in r.headers.items() if k.lower() not in hop])
        except aiohttp.ClientError as e:
            return web.json_response({"errcode": "M_UNKNOWN", "error": f"upstream: {e}"}, status=502)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", args.listen).start()
    print(f"speccheck: 127.0.0.1:{args.listen} -> {args.upstream}", flush=True)
    await asyncio.Event().wait()


def report(args):
    seen, wrong, unknown, errors, exchanges = collections.Counter(), {}, collections.Counter(), [], 0
    for name in args.files:
        for line in open(name):
            e = json.loads(line)
            exchanges += 1
            if not e["op"]:
                unknown[f"{e['method']} {e['path']}"] += 1
                continue
            if 200 <= e["status"] < 300:
                seen[e["op"]] += 1
            if e.get("checker_error"):
                errors.append(e)
            for w in e.get("wrong", []):
                # indices differ from response to response: fold them
                wrong.setdefault(e["op"], collections.Counter())[re.sub(r"/[!$@#][^/:]*:?[^/]*|/\d+", "/*", w)] += 1
    total = [o for o in operations() if o.api in ("client-server", "server-server")]
    print(f"exchanges {exchanges}; operations answered 2xx at least once {len(seen)} of {len(total)}")
    for op in sorted(wrong):
        for w, n in wrong[op].most_common(6):
            print(f"  VIOLATION x{n} {op}: {w}")
    for e in errors[:5]:
        print(f"  checker error: {e}")
    if args.unseen:
        for o in total:
            if o.id not in seen:
                print(f"  never 2xx: {o.api} {o.id}")
    print(f"operations with violations: {len(wrong)}")
    return 1 if wrong else 0


def coverage(args):
    import urllib.request, urllib.error
    apis, missing, n = args.api.split(","), [], 0
    sample = {"roomId": "!none:none", "eventId": "$none", "userId": "@none:none", "serverName": "none", "version": "1"}
    for op in operations():
        if op.api not in apis or op.spec.get("deprecated"):
            continue
        n += 1
        path = re.sub(r"\{([^}]+)\}", lambda m: urllib.parse.quote(sample.get(m[1], "none")), op.path)
        req = urllib.request.Request(args.hs + path, method=op.method, headers={"content-type": "application/json"},
                                     data=b"{}" if op.method in ("POST", "PUT") else None)
        if args.token:
            req.add_header("Authorization", "Bearer " + args.token)
        try:
            with urllib.request.urlopen(req, timeout=20) as r:
                status, body = r.status, b""
        except urllib.error.HTTPError as e:
            status, body = e.code, e.read()
        except Exception as e:
            status, body = 0, repr(e).encode()
        try:
            code = json.loads(body).get("errcode") if body else None
        except Exception:
            code = None
        if status == 0 or code == "M_UNRECOGNIZED" or status == 405 or (status == 404 and code is None):
            missing.append((op, status, code))
    for op, status, code in missing:
        print(f"  missing {op.api} {op.id} ({status} {code})")
    print(f"{n - len(missing)} of {n} endpoints routed")
    return 1 if missing else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="mode", required=True)
    a = sub.add_parser("proxy")
    a.add_argument("--listen", type=int, required=True)
    a.add_argument("--upstream", required=True)
    a.add_argument("--log", required=True)
    a = sub.add_parser("report")
    a.add_argument("files", nargs="+")
    a.add_argument("--unseen", action="store_true")
    a = sub.add_parser("coverage")
    a.add_argument("--hs", required=True)
    a.add_argument("--token")
    a.add_argument("--api", default="client-server")
    args = p.parse_args()
    if args.mode == "proxy":
        asyncio.run(proxy(args))
    else:
        sys.exit({"report": report, "coverage": coverage}[args.mode](args))


if __name__ == "__main__":
    main()
