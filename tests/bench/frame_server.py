"""A process that speaks just enough WebSocket to send prepared frames to its clients when it is told to on stdin.

`python -m tests.bench.frame_server FRAMES`: FRAMES is a msgspec-JSON file of {kind: [frame text]}. It prints its
port. A line `PATH KIND FIRST COUNT` sends those frames in one piece to the client that asked for PATH; `quit` ends
it. Client frames (subscriptions) are answered with a plain acknowledgement of ids 1 and 2.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import sys
import threading
from pathlib import Path

import msgspec

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def framed(payload: bytes) -> bytes:
    """One unmasked text frame (RFC 6455 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


def _welcome(client: socket.socket, clients: dict[str, socket.socket]) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    lines = head.split(b"\r\n")
    path = lines[0].split(b" ")[1].decode()
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + _GUID).digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )
    clients[path] = client
    if client.recv(65_536):
        client.sendall(framed(b'{"result":null,"id":1}') + framed(b'{"result":null,"id":2}'))
    while client.recv(65_536):
        continue


def main() -> None:
    prepared = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=dict[str, list[str]])
    frames = {kind: [framed(text.encode()) for text in texts] for kind, texts in prepared.items()}
    clients: dict[str, socket.socket] = {}
    door = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            client, _ = door.accept()
            threading.Thread(target=_welcome, args=(client, clients), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(door.getsockname()[1], flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            return
        path, kind, first, count = line.split()
        clients[path].sendall(b"".join(frames[kind][int(first) : int(first) + int(count)]))


if __name__ == "__main__":
    main()
