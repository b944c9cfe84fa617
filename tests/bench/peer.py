"""A homeserver of ours to measure, and JSON over HTTP to speak with it. Standard library only."""

import hashlib
import hmac
import http.client
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent / "lib"))
from free_port import free_port  # noqa: E402, F401

SECRET = "bench"
NAME = "bench.test"
# What every configuration begins with, to be filled in with `folder` and `port`.
HOMESERVER = f"""
[homeserver]
server_name = "{NAME}"
data_dir = "{{folder}}/data"
[homeserver.listen]
http = ["127.0.0.1:{{port}}"]
[homeserver.registration]
shared_secret = "{SECRET}"
[homeserver.accounts]
password_memory_kib = 8
password_passes = 1
password_minimum_length = 1
[homeserver.rate_limits]
enabled = false
"""


class Peer:
    """JSON over one kept connection."""

    def __init__(self, to, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", to, timeout=60)
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]}")
        return json.loads(data or b"{}")


def wait(what, seconds=60):
    until = time.monotonic() + seconds
    while True:
        try:
            return what()
        except (OSError, RuntimeError, http.client.HTTPException):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def register(to, name):
    peer = Peer(to)
    nonce = peer.ask("GET", "/_synapse/admin/v1/register")["nonce"]
    parts = [nonce, name, "password", "notadmin"]
    mac = hmac.new(SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": name, "password": "password", "mac": mac}
    return Peer(to, peer.ask("POST", "/_synapse/admin/v1/register", body)["access_token"])
