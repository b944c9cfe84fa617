#!/usr/bin/env python3
"""Asks a server what no client would, and sees that it stays what it is.

  python3 -m malformed --hs http://127.0.0.1:PORT --pid PID --log FILE --exchanges FILE [--count N] [--seed N]

Makes requests of every operation of the Client-Server API (and every extension of ours) out of the specification's OpenAPI
data, spoils them, and asks them of a server with several users and rooms. Refused: an answer with 5xx that the
specification does not know for the operation, an error without JSON and errcode, no answer, a panic in the log, a
request without a valid token, with a method that does not exist or with a body that is no JSON that is done all the
same, and memory that goes on growing. The seed decides the requests, but for the identifiers that the server gives out.
"""
import argparse
import asyncio
import collections
import hmac
import json
import pathlib
import posixpath
import random
import re
import sys
import urllib.parse

import speccheck

from . import spoil, valid, wire

USERS, ROOMS = 5, 6
# Requests under way at once.
AT_ONCE = 12
# Requests after which users that are logged out are replaced.
ROUND = 100
PATIENCE = 40
# Pages for people, whose errors are for people too, and what identity providers call, who know no errcodes.
PAGES = re.compile(
    r"/fallback/|/login/sso/|/_landbridge/(welcome$|sso/|account|email/|forgotten|link$|oauth/authorize|sign-)|/_synapse/client/oidc/"
)
# What OAuth 2.0 has in place of an errcode (RFC 6749, 5.2).
OAUTH = re.compile(r"/_landbridge/oauth/(device|register|revoke|token)$")
# What tests/launch-homeserver lets be asked without an account.
OPEN = ("/publicRooms",)
# Growth of memory that is none: what an allocator keeps, and caches that are bounded but not full yet.
GROWTH, SLACK = 0.25, 32 << 20


class Extension:
    """A route of ours that the specification's data doesn't have, in the form of its operations."""

    def __init__(self, method, path):
        self.api, self.file, self.method, self.path, self.id = "extension", None, method, path, f"{method} {path}"
        self.spec = {"parameters": [], "responses": {}}
        self.regex = re.compile("^" + re.sub(r"\\{[^/]+?\\}", "[^/]*", re.escape(path)) + "/?$")


class Extensions(valid.Source):
    """Makes requests of operations, and of extensions, of which only the path is known."""

    def request(self, op):
        if op.api != "extension":
            return super().request(op)
        self.world.turn(self.rng, op)
        names = re.findall(r"\{([^}]*)\}", op.path)
        path = {name: valid.text(self.world.named(self.rng, name) or "x") for name in names}
        query = [("limit", "5")] if op.method == "GET" else []
        request = valid.Request(op, op.method, path, query, self.world.person.token)
        if op.method != "GET":
            keys = ["room_id", "user_id", "content", "action", "automatic", "lists", "extensions", "events", "state_events_at_start",
                    "device_data", "device_id", "displayname", "type", "nonce", "username", "password", "reason", "admin", "locked",
                    "deactivated", "block", "purge", "message", "new_room_user_id", "threepids", "devices", "token", "uses_allowed",
                    "expiry_time", "limit", "new_password", "logout_devices", "make_room_admin", "before_ts", "bogus_keys"]
            request.body = {key: self.value({}, None, key, 0) for key in self.rng.sample(keys, 8)}
        return request


class Run:
    def __init__(self, args):
        self.args, self.rng = args, random.Random(args.seed)
        self.port = urllib.parse.urlparse(args.hs).port
        self.world = valid.World(args.server_name, args.application)
        self.faults, self.statuses, self.sent = collections.Counter(), collections.Counter(), 0
        self.known_tokens, self.producing = {args.application}, asyncio.Lock()
        self.control = wire.Connection(self.port)
        self.exchanges = open(args.exchanges, "w")

    async def call(self, method, path, token=None, body=None):
        """A request of our own, which has to succeed."""
        headers = [("Authorization", f"Bearer {token}")] if token else []
        data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        answer = await self.control.ask(method, posixpath.normpath("/_matrix/" + path), headers, data)
        if answer is None or answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer and (answer.status, answer.body[:300])}")
        return json.loads(answer.body)

    async def add_user(self):
        name = f"person{self.rng.randrange(1 << 40)}"
        admin = not any(person.admin for person in self.world.people)
        if admin:
            # One of them is an administrator, whose requests go further.
            nonce = (await self.call("GET", "../_synapse/admin/v1/register"))["nonce"]
            parts = "\0".join([nonce, name, "correct horse", "admin"]).encode()
            mac = hmac.new(self.args.shared_secret.encode(), parts, "sha1").hexdigest()
            body = {"nonce": nonce, "username": name, "password": "correct horse", "admin": True, "mac": mac}
            user = await self.call("POST", "../_synapse/admin/v1/register", body=body)
        else:
            body = {"username": name, "password": "correct horse", "auth": {"type": "m.login.dummy"}}
            user = await self.call("POST", "client/v3/register", body=body)
        token = user["access_token"]
        upload = await self.call("POST", "media/v3/upload", token, b"\x89PNG\r\n")
        body = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc", "signatures": {}}}
        backup = await self.call("POST", "client/v3/room_keys/version", token, body)
        kept = await self.call("POST", f"client/v3/user/{urllib.parse.quote(user['user_id'])}/filter", token, {"room": {"timeline": {"limit": 5}}})
        self.world.people.append(valid.Person(user["user_id"], token, user["device_id"], upload["content_uri"].rsplit("/", 1)[1],
                                              backup["version"], kept["filter_id"], admin))

    async def add_room(self):
        people, rng = self.world.people, self.rng
        maker, name = rng.choice(people), f"alias{rng.randrange(1 << 40)}"
        body = {"preset": "public_chat", "room_alias_name": name, "name": "a room", "room_version": rng.choice(["1", "10", "12"]),
                "initial_state": [{"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}]}
        room = (await self.call("POST", "client/v3/createRoom", maker.token, body))["room_id"]
        quoted, events = urllib.parse.quote(room), []
        for person in people:
            await self.call("POST", f"client/v3/join/{quoted}", person.token, {})
        for n in range(5):
            body = {"msgtype": "m.text", "body": f"message {n}"}
            sent = await self.call("PUT", f"client/v3/rooms/{quoted}/send/m.room.message/{rng.randrange(1 << 40)}", maker.token, body)
            events.append(sent["event_id"])
        page = await self.call("GET", f"client/v3/rooms/{quoted}/messages?dir=b&limit=2", maker.token)
        self.world.rooms.append(valid.Room(room, f"#{name}:{self.world.server_name}", events, page["end"]))

    async def prepare(self):
        """Refreshes, again where a request that is under way took away what was just made."""
        for attempt in range(10):
            try:
                return await self.refresh()
            except RuntimeError:
                if attempt == 9:
                    raise

    async def refresh(self):
        """Users that were logged out or locked make way for new ones, now and then the oldest room does."""
        world, kept = self.world, []
        for person in world.people:
            try:
                # What a user that is locked or suspended may not do.
                name = f"client/v3/profile/{urllib.parse.quote(person.id)}/displayname"
                await self.call("PUT", name, person.token, {"displayname": "somebody"})
                kept.append(person)
            except RuntimeError:
                pass
        world.people = kept
        while len(world.people) < USERS:
            await self.add_user()
        if self.sent % (10 * ROUND) == 0:
            world.rooms = world.rooms[1 - ROOMS:]
        while len(world.rooms) < ROOMS:
            await self.add_room()
        world.since = (await self.call("GET", "client/v3/sync?timeout=0", world.people[0].token))["next_batch"]

    async def next(self):
        """The next request, None at the end."""
        async with self.producing:
            if self.sent >= self.args.count:
                return None
            if self.sent % ROUND == 0:
                await self.prepare()
                self.known_tokens.update(person.token for person in self.world.people)
            if self.sent % 10_000 == 0:
                print(f"   {self.memory() >> 20} MiB after {self.sent}", flush=True)
            if self.sent == self.early:
                self.after_first = self.memory()
            self.sent += 1
            return spoil.spoil(self.source.request(self.rng.choice(self.operations)), self.rng)

    async def worker(self):
        connection = wire.Connection(self.port)
        while request := await self.next():
            target, body = request.target(), spoil.encode(request.body)
            headers = list(request.headers)
            if request.token is not None:
                headers.append(("Authorization", f"Bearer {request.token}"))
            if request.content_type is not None:
                headers.append(("Content-Type", request.content_type))
            try:
                asked = connection.ask(request.method, target, headers, body, request.withheld)
                answer = await asyncio.wait_for(asked, PATIENCE)
                self.judge(request, target, answer)
            except TimeoutError:
                self.fault(request, target, f"no answer in {PATIENCE} s")
                connection.close()
        connection.close()

    def judge(self, request, target, answer):
        if answer is None:
            # Whoever refuses what it hasn't read to the end may hang up before its answer is read.
            if not request.withheld and "5 MiB" not in request.spoilt:
                self.fault(request, target, "the connection was closed without an answer")
            return
        status, kind = answer.status, answer.headers.get("content-type", "")
        self.statuses[status // 100] += 1
        if status < 400:
            if request.method == request.op.method and request.op.api != "extension":
                body = answer.body.decode("utf-8", "replace") if "json" in kind else None
                self.exchanges.write(json.dumps({"method": request.method, "path": target.partition("?")[0], "status": status,
                                                 "type": kind or None, "body": body, "route": request.op.path}) + "\n")
            self.judge_success(request, target, answer)
            return
        if status >= 500 and str(status) not in request.op.spec["responses"]:
            self.fault(request, target, f"answered {status}", answer)
        try:
            body = json.loads(answer.body)
        except ValueError:
            body = None
        if PAGES.search(request.op.path) and kind.startswith("text/html"):
            return
        if OAUTH.search(request.op.path) and isinstance(body, dict) and isinstance(body.get("error"), str):
            return
        if not isinstance(body, dict) or "json" not in kind or \
                not (isinstance(body.get("errcode"), str) or (status == 401 and "flows" in body)):
            self.fault(request, target, f"answered {status} without JSON and errcode", answer)

    def judge_success(self, request, target, answer):
        """What must not be done."""
        if request.method != request.op.method and not speccheck.find(self.operations, request.method, target.partition("?")[0]):
            self.fault(request, target, f"method {request.method} was answered {answer.status}", answer)
        schemes = request.op.spec.get("security", [])
        needs_token = not request.op.path.endswith(OPEN) and {} not in schemes and \
             any("accessTokenBearer" in scheme for scheme in schemes)
        has_token = request.token in self.known_tokens or any(k == "access_token" for k, _ in request.query)
        if request.method == request.op.method and needs_token and not has_token:
            self.fault(request, target, "done without a valid token", answer)
        if request.op.spec.get("requestBody", {}).get("required") and request.method == request.op.method \
                and request.content_type and isinstance(request.body, bytes) \
                and "application/json" in request.op.spec["requestBody"].get("content", {}):
            try:
                # Clients leave out a body of which every field is optional.
                json.loads(request.body.decode() or "{}")
            except (ValueError, RecursionError):
                self.fault(request, target, "done though the body is no JSON", answer)

    def fault(self, request, target, what, answer=None):
        self.faults[f"{request.op.id}: {what}"] += 1
        if self.faults[f"{request.op.id}: {what}"] <= 3:
            print(f"   {request.op.id}: {what} ({'; '.join(request.spoilt)})")
            print(f"      {request.method} {target[:300]} {spoil.encode(request.body)[:500]}")
            if answer is not None:
                print(f"      {answer.body[:300]}")

    def memory(self):
        status = pathlib.Path(f"/proc/{self.args.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10

    def log_faults(self):
        log = pathlib.Path(self.args.log).read_text(errors="replace")
        for line in log.splitlines():
            if "panicked" in line or "stack overflow" in line:
                self.faults["log: " + line[:300]] += 1
                print("   log: " + line[:300])

    async def run(self):
        self.operations = [op for op in speccheck.operations() if op.api == "client-server"]
        listed = (line.split("#")[0].split() for line in open(self.args.extensions))
        self.operations += [Extension(*words) for words in listed if words]
        self.source = Extensions(self.rng, self.world)
        self.early = min(10_000, self.args.count // 2)
        await asyncio.gather(*(self.worker() for _ in range(AT_ONCE)))
        end = self.memory()
        self.log_faults()
        kinds = ", ".join(f"{n} with {k}xx" for k, n in sorted(self.statuses.items()))
        print(f"   {self.sent} requests answered: {kinds}; memory {self.after_first >> 20} MiB after {self.early}, {end >> 20} MiB at the end")
        if end > self.after_first * (1 + GROWTH) + SLACK:
            self.faults["memory grows"] += 1
            print("   memory grows")
        for fault, n in sorted(self.faults.items()):
            print(f"   {n} times {fault}")
        return 1 if self.faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hs", required=True)
    parser.add_argument("--server-name", default="malformed.test")
    parser.add_argument("--shared-secret", help="for the registration of administrators", default="shared")
    parser.add_argument("--application", help="the token of an application service")
    parser.add_argument("--extensions", required=True, help="the list of routes that are not in the specification")
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--exchanges", required=True)
    parser.add_argument("--count", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(asyncio.run(Run(parser.parse_args()).run()))


if __name__ == "__main__":
    main()
