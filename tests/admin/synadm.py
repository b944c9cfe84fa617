"""Lists, creates, redacts and deactivates a user and deletes a room with synadm (https://codeberg.org/synadm/synadm), on a server of its own.

Usage: synadm.py LANDBRIDGE SYNADM, the paths of the two programs.
"""

import hashlib
import hmac
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from free_port import free_port

NAME = "synadm.test"
PASSWORD = "a long password"


def must(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")


class Server:
    """A homeserver in a folder, and its administrator's synadm."""

    def __init__(self, program, folder):
        port = free_port()
        self.folder, self.base = folder, f"http://127.0.0.1:{port}"
        self.secret = secrets.token_hex(16)
        config = folder / "landbridge.toml"
        config.write_text(
            f'[homeserver]\nserver_name = "{NAME}"\ndata_dir = "{folder}/data"\n'
            f'listen.http = ["127.0.0.1:{port}"]\nregistration.shared_secret = "{self.secret}"\n'
        )
        log = open(folder / "log", "w", encoding="utf-8")
        self.process = subprocess.Popen([program, "--config", config, "homeserver"], stdout=log, stderr=log)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.base + "/health", timeout=5)
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not answer:\n" + (folder / "log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def ask(self, method, path, body=None, token=None):
        """One request; the answer's JSON."""
        request = urllib.request.Request(self.base + path, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.load(answer)

    def administrator(self):
        """Registers an administrator by the shared secret; the token."""
        path = "/_synapse/admin/v1/register"
        nonce = self.ask("GET", path)["nonce"]
        text = "\0".join([nonce, "boss", PASSWORD, "admin"])
        mac = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": "boss", "password": PASSWORD, "admin": True, "mac": mac}
        return self.ask("POST", path, body)["access_token"]


class Synadm:
    """synadm, configured for a server."""

    def __init__(self, program, server):
        self.program, self.home = program, server.folder
        self.config = server.folder / "synadm.yaml"
        self.config.write_text(
            f"user: '@boss:{NAME}'\ntoken: {server.administrator()}\nprotocol: http\nbase_url: {server.base}\n"
            "admin_path: /_synapse/admin\nmatrix_path: /_matrix\ntimeout: 30\nformat: json\n"
            f"server_discovery: well-known\nhomeserver: {NAME}\nssl_verify: true\n"
        )

    def __call__(self, *arguments):
        """The last of what it prints, read as JSON (it also tells what it is about to change); none if it only says that it is done."""
        print("$ synadm", *arguments)
        command = [self.program, "--batch", "--output", "json", "--config-file", self.config, *arguments]
        environment = {**os.environ, "HOME": str(self.home)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        print(done.stdout.strip())
        must(done.returncode == 0, f"synadm succeeds: {done.stderr}")
        lines = done.stdout.splitlines()
        begins = [number for number, line in enumerate(lines) if line == "{"]
        return json.loads("\n".join(lines[begins[-1] :])) if begins else None


def until_complete(ask):
    """Asks until work is complete; the last answer."""
    for _ in range(100):
        answer = ask()
        if answer["status"] == "complete":
            return answer
        time.sleep(0.1)
    raise SystemExit(f"it is never complete: {answer}")


def administer(server, synadm):
    """The whole round."""
    must("Landbridge" in synadm("version")["server_version"], "the version is told")
    anna = f"@anna:{NAME}"
    made = synadm("user", "modify", anna, "--password", PASSWORD, "--display-name", "Anna")
    must((made["name"], made["displayname"]) == (anna, "Anna"), "a user is created")
    users = [user["name"] for user in synadm("user", "list")["users"]]
    must(users == [anna, f"@boss:{NAME}"], "users are listed")

    login = {"type": "m.login.password", "user": "anna", "password": PASSWORD}
    token = server.ask("POST", "/_matrix/client/v3/login", login)["access_token"]
    room = server.ask("POST", "/_matrix/client/v3/createRoom", {"name": "Attic"}, token)["room_id"]
    must([found["room_id"] for found in synadm("room", "list")["rooms"]] == [room], "rooms are listed")
    must(synadm("room", "details", room)["name"] == "Attic", "a room is shown")
    said = server.ask("PUT", f"/_matrix/client/v3/rooms/{room}/send/m.room.message/1", {"msgtype": "m.text", "body": "spam"}, token)
    work = synadm("user", "redact", anna)["redact_id"]
    until_complete(lambda: synadm("user", "redact-status", work))
    event = server.ask("GET", f"/_matrix/client/v3/rooms/{room}/event/{said['event_id']}", None, token)
    must(event["content"] == {}, "what a user said is redacted")
    job = synadm("room", "delete", room)["delete_id"]
    status = until_complete(lambda: synadm("room", "delete-status", "--delete-id", job))
    must(status["shutdown_room"]["kicked_users"] == [anna], "its people are taken out of it")
    must(synadm("room", "list")["rooms"] == [], "it is listed no more")

    made = synadm("regtok", "new", "--uses-allowed", "1")
    must(synadm("regtok", "details", made["token"]) == made, "a registration token is made")
    synadm("regtok", "delete", made["token"])
    must(synadm("regtok", "list")["registration_tokens"] == [], "and deleted")

    synadm("user", "deactivate", anna)
    must(synadm("user", "details", anna)["deactivated"], "a user is deactivated")
    try:
        server.ask("GET", "/_matrix/client/v3/account/whoami", token=token)
        must(False, "who is deactivated is out")
    except urllib.error.HTTPError as error:
        must(error.code == 401, "who is deactivated is out")


def main():
    landbridge, program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(landbridge, pathlib.Path(folder))
        try:
            administer(server, Synadm(program, server))
        finally:
            server.stop()
    print("synadm lists, creates, redacts and deactivates a user, deletes a room and makes a registration token")


main()
