#!/usr/bin/env python3
"""Compares the first window of simplified sliding sync (MSC4186) for an account in many rooms and for one in few.

    tests/bench/sliding.py BINARY [MANY] [FEW]

One account is in MANY rooms (5000), the other in FEW (50). After a restart of the server each opens ROUNDS connections in turn, and asks
for a window of 20 rooms; a third one asks before. Printed are the first answer's time and the median of the others, and the second
account's as a ratio.
Standard library only.
"""

import contextlib
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import quote

from peer import HOMESERVER, Peer, free_port, register, wait

ROUNDS = 30
# As Element X asks.
WINDOW = {
    "lists": {
        "all": {
            "ranges": [[0, 19]],
            "timeline_limit": 1,
            "required_state": [
                ["m.room.encryption", ""],
                ["m.room.member", "$LAZY"],
                ["m.room.member", "$ME"],
                ["m.room.name", ""],
                ["m.room.canonical_alias", ""],
                ["m.room.power_levels", ""],
                ["m.room.create", ""],
            ],
        }
    },
    "extensions": {"account_data": {"enabled": True}, "receipts": {"enabled": True}, "to_device": {"enabled": True}, "e2ee": {"enabled": True}},
}
SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0"


def token(peer):
    return peer.headers["Authorization"].removeprefix("Bearer ")


def fill(client, who, rooms):
    """Lets an account make rooms with a message each, on four connections."""

    def some(first):
        peer = Peer(client, who)
        for n in range(first, rooms, 4):
            room = peer.ask("POST", "/_matrix/client/v3/createRoom", {"name": f"Room {n}"})["room_id"]
            path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/t{n}"
            peer.ask("PUT", path, {"msgtype": "m.text", "body": f"message {n}"})

    threads = [threading.Thread(target=some, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def window(peer, name, rooms):
    started = time.perf_counter()
    answer = peer.ask("POST", SYNC, {"conn_id": name, **WINDOW})
    spent = time.perf_counter() - started
    shown, count = len(answer["rooms"]), answer["lists"]["all"]["count"]
    if (shown, count) != (min(20, rooms), rooms):
        raise RuntimeError(f"{shown} rooms of {count} came, not {min(20, rooms)} of {rooms}")
    return spent * 1000


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    sizes = [int(size) for size in sys.argv[2:4]]
    sizes += [5000, 50][len(sizes):]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="landbridge-sliding"))
        client = free_port()
        path = pathlib.Path(folder, "landbridge.toml")
        path.write_text(HOMESERVER.format(folder=folder, port=client), encoding="utf-8")
        log = stack.enter_context(open(pathlib.Path(folder, "log"), "a", encoding="utf-8"))

        def start():
            command = [binary, "--config", str(path), "homeserver"]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            wait(lambda: Peer(client).ask("GET", "/_matrix/client/versions"))
            return process

        server = start()
        users = [token(register(client, name)) for name in ("many", "few", "other")]
        for user, rooms in zip(users, [*sizes, sizes[1]]):
            fill(client, user, rooms)
        server.terminate()
        server.wait()
        server = start()
        stack.callback(server.wait)
        stack.callback(server.terminate)
        peers = [Peer(client, user) for user in users]
        # Whoever asks first of all pays for what a program does for the first time.
        window(peers[2], "c", sizes[1])
        spent = [[], []]
        for n in range(ROUNDS):
            for which in (0, 1):
                spent[which].append(window(peers[which], f"c{n}", sizes[which]))
        first = [times[0] for times in spent]
        later = [statistics.median(times[1:]) for times in spent]
        for what, times in (("first", first), ("median", later)):
            print(f"{what}: {times[0]:.2f} ms in {sizes[0]} rooms, {times[1]:.2f} ms in {sizes[1]}, {times[0] / times[1]:.2f} times")


if __name__ == "__main__":
    main()
