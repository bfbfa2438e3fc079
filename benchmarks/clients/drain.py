"""Reads one URL over N connections and throws the bytes away: what a link can carry at most.

``drain.py HOST PORT PATH SIZE CONNECTIONS``; prints the seconds of one small
request on a warm connection and those of the whole, as JSON.
"""

import json
import selectors
import socket
import sys
import time

host, port, path, size, count = *sys.argv[1:4:1], int(sys.argv[4]), int(sys.argv[5])
scratch = bytearray(1 << 20)


def request(first: int, last: int) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={first}-{last}\r\n\r\n".encode()


probe = socket.create_connection((host, int(port)))
probe.sendall(request(0, 0))
probe.recv(4096)
start = time.perf_counter()
probe.sendall(request(0, 0))
probe.recv(4096)
latency = time.perf_counter() - start

selector = selectors.DefaultSelector()
left: dict[socket.socket, int] = {}
start = time.perf_counter()
for number in range(count):
    sock = socket.create_connection((host, int(port)))
    first, last = size * number // count, size * (number + 1) // count - 1
    sock.sendall(request(first, last))
    sock.setblocking(False)
    selector.register(sock, selectors.EVENT_READ, sock)
    left[sock] = last - first + 1
while left:
    for key, _ in selector.select():
        sock = key.data
        got = sock.recv_into(scratch, 0, socket.MSG_TRUNC)
        left[sock] -= got
        if left[sock] <= 0 or not got:
            selector.unregister(sock)
            del left[sock]
print(json.dumps({"latency": latency, "whole": time.perf_counter() - start}))
