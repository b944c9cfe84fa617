"""Quick start as a newcomer sees it: the program, a browser, and a Matrix client.

Usage: quick_start.py PROGRAM. Starts PROGRAM without a configuration in a folder of its own, opens what it prints in headless Chromium,
and sends a message each way. Exits with 0 when everything was seen."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from free_port import free_port
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 60
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]


class Program:
    """The program, started as a newcomer starts it, but for the ports."""

    def __init__(self, binary, folder):
        self.matrix, self.playground = free_port(), free_port()
        env = dict(
            os.environ,
            LANDBRIDGE_HOMESERVER__LISTEN__HTTP=f'["127.0.0.1:{self.matrix}"]',
            LANDBRIDGE_PLAYGROUND__LISTEN=f"127.0.0.1:{self.playground}",
        )
        self.log = open(os.path.join(folder, "stderr.log"), "wb")
        self.process = subprocess.Popen(
            [os.path.abspath(binary)], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "Ctrl+C" in line:
                return
        raise SystemExit(f"the program ended; it had said:\n{self.said}")

    def printed(self, pattern):
        found = re.search(pattern, self.said)
        assert found, f"{pattern} is not in what was printed:\n{self.said}"
        return found.group(0)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        assert code == 0, f"the program ended with {code}"


class Matrix:
    """As much of a client as is needed."""

    def __init__(self, base):
        self.base, self.token = base, None

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=PATIENCE) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def log_in(self, user, password):
        self.token = self.call("POST", "/_matrix/client/v3/login", {
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password,
        })["access_token"]

    def sync_until(self, room, seen):
        since, deadline = "", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.call("GET", f"/_matrix/client/v3/sync?timeout=5000{since}")
            since = "&since=" + urllib.parse.quote(answer["next_batch"], safe="")
            for event in answer.get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {}).get("events", []):
                if seen(event):
                    return event
        raise AssertionError("it did not come by /sync")


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        program = Program(binary, folder)
        options = webdriver.ChromeOptions()
        for flag in FLAGS + [f"--user-data-dir={folder}/chromium"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            walk_through(program, browser)
            program.stop()
        except BaseException:
            program.log.flush()
            sys.stderr.write(open(program.log.name, errors="replace").read()[-8000:])
            raise
        finally:
            browser.quit()
            if program.process.poll() is None:
                program.process.kill()
    print("quick start: the link, the page and both ways work")


def walk_through(program, browser):
    wait = WebDriverWait(browser, PATIENCE)
    one = lambda css: wait.until(lambda b: b.find_element(By.CSS_SELECTOR, css))

    # The one-time link.
    link = program.printed(r"http://\S+/_landbridge/welcome\?token=\S+")
    browser.get(link)
    for name in ("password", "again"):
        one(f"input[name={name}]").send_keys("a-long-password")
    one("form button").click()
    wait.until(lambda b: "All set" in b.title)
    browser.get(link)
    wait.until(lambda b: "no longer good" in b.title)

    client = Matrix(f"http://127.0.0.1:{program.matrix}")
    client.log_in("admin", "a-long-password")
    alias = program.printed(r"#\S+:localhost")
    room = client.call("POST", "/_matrix/client/v3/join/" + urllib.parse.quote(alias, safe=""), {})["room_id"]

    # The page of a used link answers 404, which Chromium notes as an error; from here on there must be none.
    browser.get_log("browser")

    # From the page to Matrix.
    browser.get(program.printed(rf"http://127\.0\.0\.1:{program.playground}/"))
    wait.until(lambda b: b.find_element(By.ID, "link").text == "Live")
    Select(one("#me")).select_by_visible_text("Alice")
    one("#write").send_keys("Hello *Matrix*")
    one("#send-button").click()
    event = client.sync_until(room, lambda e: e["type"] == "m.room.message" and "Matrix" in e["content"].get("body", ""))
    assert "alice" in event["sender"], event
    assert "<strong>Matrix</strong>" in event["content"].get("formatted_body", ""), event

    # From Matrix to the page.
    txn = urllib.parse.quote(f"t{time.time_ns()}")
    path = f"/_matrix/client/v3/rooms/{urllib.parse.quote(room, safe='')}/send/m.room.message/{txn}"
    client.call("PUT", path, {"msgtype": "m.text", "body": "Hello Playground"})
    shown = wait.until(lambda b: next(
        (li for li in b.find_elements(By.CSS_SELECTOR, "#messages .message") if "Hello Playground" in li.text), None))
    assert shown.find_elements(By.CSS_SELECTOR, ".badge.relay"), "a relayed message says so"

    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe, severe


if __name__ == "__main__":
    main(sys.argv[1])
