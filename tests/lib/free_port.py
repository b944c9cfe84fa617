"""A port for what is started later. As a program: prints it."""

import random
import socket


def free_port():
    """A free TCP port of the loopback interface, of none that the system gives to outgoing connections (Linux: from 32768 on): one of
    these could be taken before who is to listen there does."""
    for _ in range(1000):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = random.randrange(16384, 32768)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("no port is free")


if __name__ == "__main__":
    print(free_port())
