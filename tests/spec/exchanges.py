#!/usr/bin/env python3
"""Writes down what a server is asked and answers, and holds the answers against the specification's OpenAPI data.

  exchanges.py proxy --address A --listen PORT --upstream URL --log FILE
        a reverse proxy that writes down every exchange; it judges nothing, to be quick to start and to answer
  exchanges.py judge [--at-least N] [--every ROUTES] FILE...
        what is wrong with the answers; the unit tests write such files too. Refused as well: fewer than N operations of
        the Client-Server API that were seen answering 2xx; one of the specification's that ROUTES serves and that was
        never seen so

A line an exchange: {"method", "path", "status", "type", "body"}, and "test" where one is known. The rules are speccheck's.
"""
import argparse
import asyncio
import collections
import json
import multiprocessing
import re
import sys

# Longer answers are passed on and not judged.
LONGEST = 4 << 20
# What the schemas don't know: how a fault begins, and what stands in the exchange when it is none.
FORGIVEN = [
    # They say that this is either an object or an event, and every event is both.
    ("200: at /: {", lambda op, exchange: op.id == "GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"),
    # The answer to a delayed event (MSC4140).
    ("200: at /: 'event_id' is a required", lambda op, exchange: '"delay_id"' in exchange["body"]),
    # Browsers are sent there, and what goes wrong is said to whoever sits before them: in a page.
    ("404: error body is not JSON", lambda op, exchange: "/login/sso/redirect" in op.id and "text/html" in (exchange["type"] or "")),
    # A test that asks for some fields of events only.
    ("200: at /rooms/join/", lambda op, exchange: "filters_choose_and" in exchange.get("test", "")),
]
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host", "upgrade"}


async def proxy(args):
    import aiohttp
    from aiohttp import web
    from yarl import URL

    log = open(args.log, "a", buffering=1)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=300), auto_decompress=True
    )

    async def handle(request):
        body = await request.read()
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP]
        # aiohttp adds these where they are missing; what is asked must stay as it was.
        absent = [name for name in ("Accept", "Content-Type", "User-Agent") if name not in request.headers]
        url = URL(args.upstream + request.raw_path, encoded=True)
        try:
            async with session.request(request.method, url, headers=headers, data=body or None,
                                       skip_auto_headers=absent, allow_redirects=False) as answer:
                data = await answer.read()
        except aiohttp.ClientError as error:
            return web.json_response({"errcode": "M_UNKNOWN", "error": f"upstream: {error}"}, status=502)
        kind = answer.headers.get("content-type")
        text = data.decode("utf-8", "replace") if "json" in (kind or "json") and len(data) <= LONGEST else None
        log.write(json.dumps({"method": request.method, "path": request.rel_url.raw_path, "status": answer.status,
                              "type": kind, "body": text}) + "\n")
        headers = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP]
        return web.Response(status=answer.status, body=data, headers=headers)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, args.address, args.listen).start()
    await asyncio.Event().wait()


def shape(op):
    """An operation with the names of its parameters left out."""
    return re.sub(r"\{[^}]*\}", "{}", op).rstrip("/")


def judge_line(line):
    """The operation, whether it answered 2xx, what is wrong, and in which test."""
    import speccheck

    if not hasattr(judge_line, "operations"):
        # Ours is the Client-Server API; some paths below /_matrix/app are asked of application services by tests.
        judge_line.operations = [op for op in speccheck.operations() if op.api in ("client-server", "server-server")]
        judge_line.by_shape = {shape(op.id): op for op in judge_line.operations}
    exchange = json.loads(line)
    op = None
    if "route" in exchange:
        # Under its own path, or an older name of it.
        route = re.sub("^/_matrix/client/r0/", "/_matrix/client/v3/", exchange["route"])
        older = re.sub("^/_matrix/media/(r0|v1)/", "/_matrix/media/v3/", route)
        found = (judge_line.by_shape.get(shape(f"{exchange['method']} {name}")) for name in (route, older))
        op = next(filter(None, found), None)
    else:
        op = speccheck.find(judge_line.operations, exchange["method"], exchange["path"])
    if op is None:
        return None
    wrong = []
    too_long = exchange["body"] is None and "json" in (exchange["type"] or "")
    if not too_long:
        try:
            wrong = speccheck.judge(op, exchange["status"], exchange["type"], exchange["body"] or "")
        except Exception as error:  # a fault of the checker must be seen, not counted as the server's
            wrong = [f"the checker failed: {error!r}"[:300]]
    wrong = [text for text in wrong if not any(text.startswith(how) and when(op, exchange) for how, when in FORGIVEN)]
    # Places and identifiers differ from answer to answer.
    wrong = [re.sub(r"/[!$@#][^/:]*:?[^/]*|/\d+", "/*", text) for text in wrong]
    return op.id, 200 <= exchange["status"] < 300, wrong, exchange.get("test")


def distinct(files):
    """The lines of the files, each answer once."""
    seen = set()
    for name in files:
        for line in open(name):
            exchange = json.loads(line)
            path = exchange.get("route") or exchange["path"]
            key = hash((exchange["method"], path, exchange["status"], exchange["type"], exchange["body"]))
            if key not in seen:
                seen.add(key)
                yield line


def judge(args):
    import coverage
    import speccheck

    seen, wrong, tests, count = collections.Counter(), collections.Counter(), collections.defaultdict(set), 0
    with multiprocessing.Pool() as pool:
        for result in pool.imap_unordered(judge_line, distinct(args.files), chunksize=200):
            if result is None:
                continue
            count += 1
            op, well, faults, test = result
            seen[op] += well
            for fault in faults:
                wrong[op, fault] += 1
                tests[op, fault].add(test)
    client = {op.id for op in speccheck.operations() if op.api == "client-server"}
    answered = {op for op in client if seen[op]}
    print(f"   {count} answers; {len(answered)} of {len(client)} operations of the Client-Server API answered 2xx; "
          f"{len({op for op, _ in wrong})} with violations")
    for (op, fault), n in sorted(wrong.items()):
        named = sorted(test for test in tests[op, fault] if test)[:2]
        print(f"   {op}: {fault} ({n} times{', in ' + ', '.join(named) if named else ''})")
    unseen = set()
    if args.every:
        served = {shape(" ".join(line.split()[:2])) for line in open(args.every)}
        # What answers with a redirect has no 2xx in the specification.
        unseen = {op.id for op in speccheck.operations() if op.api == "client-server" and shape(op.id) in served
                  and any(str(status).startswith("2") for status in op.spec["responses"])} - answered - coverage.REFUSED
        for op in sorted(unseen):
            print(f"   {op}: never seen answering 2xx")
    if len(answered) < args.at_least:
        print(f"   fewer than {args.at_least} operations answered 2xx; those that did not:")
        print("\n".join("     " + op for op in sorted(client - answered)))
    return 1 if wrong or unseen or len(answered) < args.at_least else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    mode = modes.add_parser("proxy")
    mode.add_argument("--address", default="127.0.0.1")
    mode.add_argument("--listen", type=int, required=True)
    mode.add_argument("--upstream", required=True)
    mode.add_argument("--log", required=True)
    mode = modes.add_parser("judge")
    mode.add_argument("--at-least", type=int, default=0)
    mode.add_argument("--every")
    mode.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.mode == "proxy":
        asyncio.run(proxy(args))
    else:
        sys.exit(judge(args))


if __name__ == "__main__":
    main()
