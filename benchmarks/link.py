"""A slow link in front of a loopback server: a constant delay and a cap on the rate.

``python -I link.py --to PORT [--rtt 0.02] [--rate 50e6] [--total-rate 0]`` prints
the port it listens on and forwards until it is ended.  On SIGUSR1 it prints how
many bytes it has handed to clients.

Bytes stay in the kernel: splice(2) moves them from the server into a pipe, which
is the delay line, and from there to the client once their time has come, so that
one thread of Python carries some GB/s.  A connection's first bytes also wait for
the round trip that its handshake would have taken.  Not modelled: slow start,
loss, and a queue that grows.  nginx's own ``limit_rate`` is no substitute: it
gives every request its first second for free.
"""

import argparse
import errno
import fcntl
import os
import select
import signal
import socket
import time
from collections import deque

PIPE = 1 << 20
"""Bytes under way in one direction; times 1 / delay, the most a connection can carry."""
TICK = 0.001
QUANTUM = 0.002
"""Seconds of rate that are handed over in one go, so that little time goes into doing so."""
BURST = 0.01
"""Seconds of unused rate that a connection may make up for."""
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)


class Bucket:
    """Grants ``rate`` bytes per second; 0 is no limit."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.credit = 0.0
        self.last = time.monotonic()

    def grant(self, count: int, now: float) -> int:
        if not self.rate:
            return count
        self.credit = min(self.rate * BURST, self.credit + (now - self.last) * self.rate)
        self.last = now
        granted = min(count, int(self.credit))
        return granted if granted >= min(count, self.rate * QUANTUM) else 0


class Direction:
    """Bytes that travel one way on one connection."""

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        *,
        size: int,
        not_before: float,
        buckets: tuple[Bucket, ...],
    ) -> None:
        self.source, self.sink = source, sink
        self.not_before = not_before
        self.buckets = buckets
        self.queue: deque[list[float]] = deque()  # [when it arrives, bytes]; 0 bytes is the end
        self.sent = 0
        self.stall_after = -1
        self.ended = self.closed = False
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, size)

    def fill(self, now: float, delay: float) -> bool:
        """Take what the sender has; False when nothing more can be taken until some has left."""
        try:
            count = os.splice(
                self.source.fileno(),
                self.writer,
                PIPE,
                flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE,
            )
        except BlockingIOError:
            return not self.queue  # the pipe is full; if it is empty, there was nothing to take
        due = max(now, self.not_before) + delay
        self.ended = count == 0
        if count and self.queue and due - self.queue[-1][0] < TICK:
            self.queue[-1][1] += count
        else:
            self.queue.append([due, count])
        return not self.ended

    def drain(self, now: float) -> bool:
        """Hand over what has arrived; True when the pipe has room again."""
        before = self.sent
        while self.queue and self.queue[0][0] <= now:
            left = int(self.queue[0][1])
            if left == 0:
                self.sink.shutdown(socket.SHUT_WR)
                self.closed = True
                self.queue.clear()
                break
            if 0 <= self.stall_after <= self.sent:
                self.queue[0][0] = float("inf")
                break
            for bucket in self.buckets:
                left = bucket.grant(left, now)
            if left == 0:
                break
            try:
                count = os.splice(self.reader, self.sink.fileno(), left, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                break
            self.sent += count
            for bucket in self.buckets:
                bucket.credit -= count
            self.queue[0][1] -= count
            if self.queue[0][1] == 0:
                self.queue.popleft()
        return self.sent > before

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            os.close(descriptor)


class Link:
    """The listening side and all connections through it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.total = Bucket(options.total_rate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.by_source: dict[int, Direction] = {}
        self.peers: dict[Direction, Direction] = {}
        self.polled: set[int] = set()
        self.accepted = self.turn = self.sent = 0

    def run(self) -> None:
        """Forward until the process is ended."""
        while True:
            now = time.monotonic()
            waits = [flow.queue[0][0] - now for flow in self.peers if flow.queue]
            timeout = max(TICK, min(waits, default=1.0))
            for descriptor, _ in self.poll.poll(min(timeout, 1.0)):
                if descriptor == self.listener.fileno():
                    self.accept()
                else:
                    self.fill(descriptor)
            self.drain()

    def accept(self) -> None:
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.options.to))
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        now = time.monotonic()
        caps = (Bucket(self.options.rate), self.total)
        up = Direction(client, server, size=1 << 16, not_before=now + self.options.rtt, buckets=())
        down = Direction(server, client, size=PIPE, not_before=0, buckets=caps)
        self.accepted += 1
        if self.accepted == self.options.stall:
            down.stall_after = self.options.stall_after
        self.peers |= {up: down, down: up}
        for flow in (up, down):
            self.by_source[flow.source.fileno()] = flow
            self.watch(flow)

    def fill(self, descriptor: int) -> None:
        flow = self.by_source.get(descriptor)
        if flow is None:
            return
        try:
            if not flow.fill(time.monotonic(), self.options.rtt / 2):
                self.ignore(flow)
        except OSError as error:
            self.broke(flow, error)

    def drain(self) -> None:
        now = time.monotonic()
        self.turn += 1
        flows = list(self.peers)
        first = self.turn % max(1, len(flows))  # a common cap is for all in turn
        for flow in flows[first:] + flows[:first]:
            if flow not in self.peers or not flow.queue or flow.queue[0][0] > now:
                continue
            before = flow.sent
            try:
                if flow.drain(now) and not flow.ended:
                    self.watch(flow)
                elif flow.closed and self.peers[flow].closed:
                    self.forget(flow)
            except OSError as error:
                self.broke(flow, error)
            if flow.buckets:
                self.sent += flow.sent - before

    def watch(self, flow: Direction) -> None:
        descriptor = flow.source.fileno()
        if descriptor not in self.polled:
            self.polled.add(descriptor)
            self.poll.register(descriptor, select.EPOLLIN)

    def ignore(self, flow: Direction) -> None:
        descriptor = flow.source.fileno()
        if descriptor in self.polled:
            self.polled.discard(descriptor)
            self.poll.unregister(descriptor)

    def broke(self, flow: Direction, error: OSError) -> None:
        if error.errno not in GONE:
            raise error
        self.forget(flow)

    def forget(self, flow: Direction) -> None:
        for side in (flow, self.peers[flow]):
            self.ignore(side)
            del self.by_source[side.source.fileno()], self.peers[side]
            side.close()
        flow.source.close()
        flow.sink.close()


def main() -> None:
    """Parse the options and forward."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=int, required=True, help="port of the server")
    parser.add_argument("--rtt", type=float, default=0.02, help="seconds")
    parser.add_argument("--rate", type=float, default=0.0, help="bytes/s of a connection")
    parser.add_argument("--total-rate", type=float, default=0.0, help="bytes/s of all together")
    parser.add_argument("--stall", type=int, default=0, help="this connection falls silent")
    parser.add_argument("--stall-after", type=int, default=2 << 20, help="bytes until then")
    link = Link(parser.parse_args())
    # not print: the next signal may come while it flushes
    signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"%d\n" % link.sent))
    print(link.listener.getsockname()[1], flush=True)
    link.run()


if __name__ == "__main__":
    main()
