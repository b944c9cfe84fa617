#!/usr/bin/env python3
"""Shows requests that were written down to Prism, which holds them against Discord's OpenAPI data.

    discord.py OPENAPI.json REQUESTS.jsonl

Each line is a request: method, path, type, authorization, body (base64). What Prism answers is random; what counts is that it finds nothing
wrong with the request: 422 is a request that breaks the schema, 404 one that Discord doesn't have, 401 one without the authorization it needs.
"""
import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from free_port import free_port

PREFIX = "/api/v10"


def wait_for(port, process):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"Prism ended with {process.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    sys.exit("Prism did not start")


def ask(port, request):
    path = request["path"]
    if not path.startswith(PREFIX):
        return None
    body = base64.b64decode(request["body"])
    headers = {"accept": "application/json"}
    if request["type"]:
        headers["content-type"] = request["type"]
    if request["authorization"]:
        headers["authorization"] = "Bot x"
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{path[len(PREFIX):]}", data=body or None, method=request["method"], headers=headers
    )
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.headers.get("sl-violations", "")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")[:500]


def main():
    schema, written = sys.argv[1:3]
    with open(written, encoding="utf-8") as lines:
        requests = [json.loads(line) for line in lines if line.strip()]
    if not requests:
        sys.exit("no request was written down")
    port = free_port()
    prism = subprocess.Popen(
        ["npx", "--yes", "@stoplight/prism-cli@5.16.0", "mock", "-h", "127.0.0.1", "-p", str(port), schema],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    wrong = 0
    try:
        wait_for(port, prism)
        for request in requests:
            answer = ask(port, request)
            if answer and answer[0] in (400, 401, 404, 405, 415, 422):
                wrong += 1
                print(f"{request['method']} {request['path']}: {answer[0]} {answer[1]}")
    finally:
        prism.terminate()
        prism.wait()
    print(f"{len(requests)} requests, {wrong} not as Discord's schema has them")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
