#!/usr/bin/env python3
"""Compares the two ways between homeserver and bridge: calls inside one process, and HTTP between two.

    tests/bench/carriers.py BINARY [MESSAGES]

The Playground's network is a process of its own in both. MESSAGES (3000) are said in ten chats, first on the network, then on
Matrix; the time runs until the last one has arrived on the other side. Standard library only.
"""

import contextlib
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import quote

from peer import HOMESERVER, NAME, Peer, free_port, register, wait

CHATS = 10


def config(folder, client, network, bridge=None):
    portals = ", ".join(
        f'{{ remote_id = "chat{n}", alias = "playground_chat{n}", public = true }}' for n in range(CHATS)
    )
    text = f"""
{HOMESERVER.format(folder=folder, port=client)}
[homeserver.appservices]
directory = "{folder}/appservices"
[bridges.playground]
enabled = {"false" if bridge else "true"}
[bridges.playground.bridge]
permissions = {{ "*" = "relay" }}
relay = {{ default = true }}
portals = [{portals}]
[bridges.playground.network]
url = "http://127.0.0.1:{network}"
"""
    if bridge:
        text += f"""
[bridges.playground.standalone]
homeserver = "http://127.0.0.1:{client}"
server_name = "{NAME}"
listen = "127.0.0.1:{bridge}"
registration = "{folder}/appservices/playground.yaml"
data = "{folder}/bridge"
"""
    path = pathlib.Path(folder, "landbridge.toml")
    path.write_text(text)
    return str(path)


def on_network(network, chat):
    peer, after, count = Peer(network), 0, 0
    while True:
        page = peer.ask("GET", f"/api/chats/chat{chat}/messages?after={after}&limit=200")
        count += len(page["messages"])
        if not page["messages"] or not page.get("more"):
            return count
        after = page["messages"][-1]["number"]


def on_matrix(peer, room, sender):
    count, at = 0, ""
    while True:
        page = peer.ask("GET", f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=500{at}")
        count += sum(e["type"] == "m.room.message" and e["sender"] != sender for e in page["chunk"])
        if "end" not in page:
            return count
        at = "&from=" + page["end"]


def timed(work, arrived, expected):
    """Runs `work(chat)` for all chats at once, and gives the seconds until everything has arrived."""
    started = time.monotonic()
    threads = [threading.Thread(target=work, args=(chat,)) for chat in range(CHATS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while arrived() < expected:
        if time.monotonic() - started > 300:
            raise RuntimeError(f"only {arrived()} of {expected} arrived")
        time.sleep(0.02)
    return time.monotonic() - started


def run(binary, in_process, messages):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="landbridge-carriers"))
        client, network, bridge = free_port(), free_port(), free_port()
        path = config(folder, client, network, None if in_process else bridge)
        pathlib.Path(folder, "appservices").mkdir()

        def start(*arguments):
            log = stack.enter_context(open(pathlib.Path(folder, "log"), "a", encoding="utf-8"))
            process = subprocess.Popen([binary, *arguments], cwd=folder, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("playground", "--listen", f"127.0.0.1:{network}", "--data", f"{folder}/network")
        wait(lambda: Peer(network).ask("GET", "/api/chats"))
        for chat in range(CHATS):
            new = {"id": f"chat{chat}", "kind": "group", "name": f"Chat {chat}", "actor": "bob"}
            Peer(network).ask("POST", "/api/chats", new)
        if in_process:
            start("--config", path)
        else:
            command = [binary, "--config", path, "registration", "generate", "playground"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            start("homeserver", "--config", path)
            start("--config", path, "bridge", "playground")
        wait(lambda: Peer(client).ask("GET", "/_matrix/client/versions"))
        user = register(client, "ann")
        rooms = [
            wait(lambda n=n: user.ask("POST", f"/_matrix/client/v3/join/{quote(f'#playground_chat{n}:{NAME}')}", {}))["room_id"]
            for n in range(CHATS)
        ]
        each = messages // CHATS

        def say(chat):
            peer = Peer(network)
            for n in range(each):
                body = {"actor": "bob", "key": f"{chat}-{n}", "text": f"in {n}"}
                peer.ask("POST", f"/api/chats/chat{chat}/messages", body)

        token = user.headers["Authorization"].removeprefix("Bearer ")

        def send(chat):
            peer = Peer(client, token)
            for n in range(each):
                path = f"/_matrix/client/v3/rooms/{quote(rooms[chat])}/send/m.room.message/t{n}"
                peer.ask("PUT", path, {"msgtype": "m.text", "body": f"out {n}"})

        sender = f"@ann:{NAME}"
        inward = timed(say, lambda: sum(on_matrix(user, room, sender) for room in rooms), each * CHATS)
        there = sum(on_network(network, chat) for chat in range(CHATS))
        outward = timed(
            send, lambda: sum(on_network(network, chat) for chat in range(CHATS)), there + each * CHATS
        )
        return each * CHATS / inward, each * CHATS / outward


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    messages = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    inside = run(binary, True, messages)
    outside = run(binary, False, messages)
    for what, one, other in zip(("network to Matrix", "Matrix to network"), inside, outside):
        print(f"{what}: in one process {one:.0f}/s, over HTTP {other:.0f}/s, {one / other:.2f} times")


if __name__ == "__main__":
    main()
