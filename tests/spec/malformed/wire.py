"""HTTP/1.1 over a plain socket: other clients mend what is to arrive broken."""
import asyncio


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Connection:
    """One connection to the server, opened again where it was closed."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def ask(self, method, target, headers, body, withheld=0):
        """The answer, None where the server closed the connection without one."""
        # It may close one that was used before, which is no answer to this request.
        used = self.writer is not None
        answer = await self.ask_once(method, target, headers, body, withheld)
        if answer is None and used and not withheld:
            answer = await self.ask_once(method, target, headers, body, withheld)
        return answer

    async def ask_once(self, method, target, headers, body, withheld):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        lines = [f"{method} {target} HTTP/1.1"]
        if not any(name == "Host" for name, _ in headers):
            lines.append(f"Host: 127.0.0.1:{self.port}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body or withheld or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body) + withheld}")
        try:
            self.writer.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)
            if withheld:
                self.writer.write_eof()
            await self.writer.drain()
        except OSError:
            pass  # it may have answered and hung up before it had read everything
        try:
            answer = await self.read(method)
        except (OSError, asyncio.IncompleteReadError):
            answer = None
        if answer is None or withheld or answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def read(self, method):
        while True:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split()[1])
            if status >= 200:
                break
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        elif status in (204, 304):
            body = b""
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(status, headers, body)

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None
