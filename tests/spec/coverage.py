#!/usr/bin/env python3
"""Says which tests exercise which endpoint, in docs/spec-coverage.md.

  coverage.py ROUTES EXCHANGES DOCUMENT [--write]

ROUTES is what the program `routes` prints, EXCHANGES what the unit tests wrote down of their requests. Refused are an
endpoint that no test has seen succeed, and a document that says what isn't so: a row that is missing or of no endpoint,
a test that does not exercise it, a refusal that no test has seen. A new test makes no document false; --write takes
the rows that are still true as they are.
"""
import collections
import json
import re
import sys

# Tests named for an endpoint. More would be noise: they are there to be read as its examples.
NAMED = 2

# What can only be refused here, for there is nothing that sends to telephones and no federation yet: a test has to see that.
REFUSED = {
    "POST /_matrix/client/v3/register/msisdn/requestToken",
    "POST /_matrix/client/v3/account/password/msisdn/requestToken",
    "POST /_matrix/client/v3/account/3pid/msisdn/requestToken",
    "GET /_synapse/admin/v1/federation/destinations/{destination}",
    "GET /_synapse/admin/v1/federation/destinations/{destination}/rooms",
    "POST /_synapse/admin/v1/federation/destinations/{destination}/reset_connection",
    "GET /_synapse/admin/v1/threepid/{medium}/users/{address}",
    "POST /_synapse/admin/v1/users/{userId}/shadow_ban",
    "DELETE /_synapse/admin/v1/users/{userId}/shadow_ban",
    "POST /_synapse/admin/v1/background_updates/start_job",
}

HEAD = """# What the tests show of each endpoint

Every endpoint that the homeserver serves, by the table of routes that it stands in (`homeserver/src/client/` and beside it),
with tests in which it succeeds and the refusals that tests have seen. `tests/run unit coverage` compares this with the code and
with what the tests really asked, holds every answer that they got against the specification's OpenAPI data, and fails for an
endpoint that no test has seen succeed. `COVERAGE_WRITE=1` before it writes this anew. Paths of `v3` are served under
`r0` as well, and those of media under `v1`.

"""


def normal(route):
    """The path as the tables have it: the router serves it under its older names too."""
    route = re.sub(r"^/_matrix/client/r0/", "/_matrix/client/v3/", route)
    return re.sub(r"^/_matrix/media/(r0|v1)/", "/_matrix/media/v3/", route)


def read_routes(path):
    """Sections in the tables' order: {file: [endpoint]}."""
    sections = collections.OrderedDict()
    for line in open(path):
        method, route, file = line.split()
        file = re.sub(r".*homeserver/src/", "", file)
        sections.setdefault(file, []).append(f"{method} {route}")
    return sections


def read_exchanges(path, known):
    """What succeeded in which tests, and what was refused: {endpoint: {test}}, {endpoint: {refusal}}."""
    worked, refused = collections.defaultdict(set), collections.defaultdict(set)
    for line in open(path):
        exchange = json.loads(line)
        method = exchange["method"]
        endpoint = f"{method} {normal(exchange['route'])}"
        if endpoint not in known:
            endpoint = f"{method} {exchange['route']}"
        if exchange["status"] < 400:
            worked[endpoint].add(exchange["test"])
        elif exchange["status"] < 500:
            refused[endpoint].add(refusal(exchange))
    return worked, refused


def refusal(exchange):
    try:
        body = json.loads(exchange["body"] or "null")
    except ValueError:
        body = None
    if isinstance(body, dict) and "errcode" in body:
        return f"{exchange['status']} {body['errcode']}"
    if isinstance(body, dict) and "flows" in body:
        return f"{exchange['status']} user-interactive"
    return str(exchange["status"])


def read_document(path):
    """{endpoint: (section, tests, refusals)}."""
    rows, section = {}, None
    try:
        lines = open(path).read().splitlines()
    except FileNotFoundError:
        return rows
    for line in lines:
        if line.startswith("## "):
            section = line[3:].strip("`")
        elif line.startswith("| `"):
            endpoint, tests, refusals = (cell.strip() for cell in line.split("|")[1:4])
            rows[endpoint.strip("`")] = (section, re.findall(r"`([^`]*)`", tests), re.findall(r"`([^`]*)`", refusals))
    return rows


def main(routes, exchanges, document, write=None):
    sections = read_routes(routes)
    section_of = {endpoint: section for section, endpoints in sections.items() for endpoint in endpoints}
    worked, refused = read_exchanges(exchanges, section_of)
    rows = read_document(document)

    seen = lambda endpoint: refused[endpoint] if endpoint in REFUSED else worked[endpoint]
    wrong = [f"{endpoint}: no test has seen it succeed" for endpoint in section_of if not seen(endpoint)]
    untested = len(wrong)
    # A test of few endpoints is about them.
    breadth = collections.Counter(test for tests in worked.values() for test in tests)
    text = HEAD + f"{len(section_of)} endpoints.\n"
    for section, endpoints in sections.items():
        text += f"\n## `{section}`\n\n| endpoint | succeeds in | refusals seen |\n|---|---|---|\n"
        for endpoint in endpoints:
            had_section, had_tests, had_refusals = rows.pop(endpoint, (None, [], []))
            if had_section != section:
                wrong.append(f"{endpoint}: not in the document's section {section}")
            wrong += [f"{endpoint}: {test} does not exercise it" for test in had_tests if test not in worked[endpoint]]
            seen = refused[endpoint]
            wrong += [f"{endpoint}: no test has seen {code}" for code in had_refusals if code not in seen]
            kept = [test for test in had_tests if test in worked[endpoint]]
            others = sorted(worked[endpoint] - set(kept), key=lambda test: (breadth[test], test))
            tests = kept + others[:max(0, NAMED - len(kept))]
            cells = (", ".join(f"`{test}`" for test in tests), ", ".join(f"`{code}`" for code in sorted(seen)))
            text += f"| `{endpoint}` | {cells[0]} | {cells[1]} |\n"
    wrong += [f"{endpoint}: in the document, but there is no such endpoint" for endpoint in rows]
    if write:
        with open(document, "w") as out:
            out.write(text)
        wrong = wrong[:untested]
    print("\n".join(wrong) if wrong else f"   {len(section_of)} endpoints, each with a test")
    if len(wrong) > untested:
        print("   write it anew: COVERAGE_WRITE=1 tests/run unit coverage")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
