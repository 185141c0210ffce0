#!/usr/bin/env python3
"""A tinyproto peer for tests, written from the protocol document alone.

It speaks sections 1-4 of the wire protocol and is deliberately half-duplex, as the
legacy peers of section 7 are: whatever byte arrives after its SIZE is taken for the
answer, so a collision ends the connection ("transmission rejected: 00").

    peer.py serve [--host H] [--port P] [--limit N] [--once] [--timeout S]
                  [--transforms NAMES] MODE
        MODE: echo | echo-back | sink | source --count N --size S | chat
    peer.py connect HOST:PORT [--timeout S] [--transforms NAMES] MODE
        MODE: echo-lines | check --sizes 0,1,... [--prefix P] | sink | chat
              | flood --count N --size S | die --size S --after K

NAMES are transforms (zlib, rev, xor), separated by commas, in the order in which they
are registered. Every message passes through them, empty ones too. (die takes none: what
it writes is no whole message.)

Exit status: 0 clean end (also SIGTERM, SIGINT), 1 error (one line on stderr), 2 usage.
"""
import argparse
import contextlib
import functools
import hashlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import uuid
import zlib

OK, CONLIMIT, ERROR = b"\xff", b"\xfe", b"\x00"
MAX_SIZE = 0xF0FFFFFF
FIRST_ALLOCATION = 64 << 20  # a larger message gets its memory as it arrives
LINGER = 1.0  # seconds to wait for an end of stream that a peer may never send

XOR = bytes(byte ^ 0x5A for byte in range(256))
TRANSFORMS = {  # name: encode, decode
    "zlib": (zlib.compress, zlib.decompress),
    "rev": (lambda b: b[::-1], lambda b: b[::-1]),
    "xor": (lambda b: b.translate(XOR), lambda b: b.translate(XOR)),
}


class PeerError(Exception):
    """The connection ended in a way that the protocol does not allow."""


class Conn:
    """One connection, which does one thing at a time: transmit or receive."""

    def __init__(self, sock, timeout, transforms=()):
        self.sock = sock
        self.transforms = transforms  # names, in the order in which they are registered
        self.lock = threading.Lock()  # chat only: held for a whole exchange
        self.id = str(uuid.uuid4())
        self.error = None  # chat only: what went wrong in another one's thread
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, n, what, may_end=False):
        """Exactly n bytes; if may_end, None when the stream ends in front of them."""
        buf, got = bytearray(min(n, FIRST_ALLOCATION)), 0
        while got < n:
            if got == len(buf):
                buf.extend(bytes(min(len(buf), n - got)))
            event = "stream ended"
            try:
                k = self.sock.recv_into(memoryview(buf)[got:])
            except socket.timeout:
                k, event, may_end = 0, "timed out", False
            if not k and may_end and not got:
                return None
            if not k:
                raise PeerError(f"{event} in {what}: {n - got} of {n} bytes missing")
            got += k
        return buf

    def hello(self):
        self.sock.sendall(OK)
        byte = self.read(1, "hello")
        if byte != OK:
            limit = " (connection limit)" if byte == CONLIMIT else ""
            raise PeerError(f"hello: expected ff, got {byte.hex()}{limit}")

    def offer(self, size):
        if size > MAX_SIZE:
            raise PeerError(f"{size} bytes are too much for one message")
        self.sock.sendall(size.to_bytes(4, "big"))
        answer = self.read(1, "answer")
        if answer != OK:
            raise PeerError(f"transmission rejected: {answer.hex()}")

    def transmit(self, payload):
        for name in self.transforms:
            payload = TRANSFORMS[name][0](payload)
        self.offer(len(payload))
        self.sock.sendall(payload)

    def deliver(self, payload):
        """transmit for another thread (chat); the own thread ends what went wrong here."""
        with self.lock:
            try:
                self.transmit(payload)
            except (PeerError, OSError) as e:
                self.error = self.error or e
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)

    def accept(self):
        """Answers the next offer and returns its size, or None at the end of the stream."""
        head = self.read(4, "size", may_end=True)
        if head is None:
            return None
        size = int.from_bytes(head, "big")
        if size > MAX_SIZE:
            self.sock.sendall(ERROR)
            raise PeerError(f"size {head.hex()} is above the maximum f0ffffff")
        self.sock.sendall(OK)
        return size

    def receive(self):
        """The next message, or None at the end of the stream."""
        size = self.accept()
        if size is None:
            return None
        payload = self.read(size, "payload")
        for name in reversed(self.transforms):
            try:
                payload = TRANSFORMS[name][1](payload)
            except zlib.error as e:
                raise PeerError(f"{name}: cannot decode a message of {size} bytes: {e}")
        return payload

    def finish(self, bound=None):
        """Half-close and read to the end of the stream. With a bound it need not come.
        An offer that comes now stays unanswered; a signal is one nobody asked for."""
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(bound or self.sock.gettimeout())
        end, first, late = time.monotonic() + (bound or float("inf")), b"", False
        try:
            chunk = first = self.sock.recv(1 << 16)
            while chunk and time.monotonic() < end:
                chunk = self.sock.recv(1 << 16)
        except socket.timeout:
            late = not bound
        if first[:1] > b"\xf0":
            raise PeerError(f"unexpected signal {first[0]:02x} instead of the end of stream")
        if late:
            raise PeerError("timed out waiting for the end of stream")

    def close(self):
        """Close without a reset that could destroy what the peer has not read yet."""
        with contextlib.suppress(PeerError, OSError):
            self.finish(LINGER)
        self.sock.close()


@functools.lru_cache(maxsize=2)
def gen(n, cut=None):
    """The deterministic bytes of the transcripts: gen(n), or the first `cut` of them."""
    cut, head, sha256 = n if cut is None else cut, n.to_bytes(8, "big"), hashlib.sha256
    blocks = range((cut + 31) // 32)
    return b"".join([sha256(head + k.to_bytes(8, "big")).digest() for k in blocks])[:cut]


stdout_lock = threading.Lock()
room = {}  # chat: the connections, by id (a dict: adding, removing and copying are atomic)


def emit(data):
    with stdout_lock:
        sys.stdout.buffer.write(data + b"\n")
        sys.stdout.buffer.flush()


def complain(e, where=""):
    program = os.path.basename(sys.argv[0])  # tpft.py complains here, too
    sys.stderr.write(f"{program}: {where}{' '.join(str(e).splitlines()) or repr(e)}\n")
    sys.stderr.flush()


# The modes: what to do with a connection after the hello.

def echo(conn, args):
    for message in iter(conn.receive, None):
        conn.transmit(message)


def echo_back(conn, args):
    """True if the server is to end."""
    for message in iter(conn.receive, None):
        if message in (b"QUIT", b"SRVQUIT"):
            return message == b"SRVQUIT"
        conn.transmit(b"Echo back: " + message)


def sink(conn, args):
    count = total = 0
    digest = hashlib.sha256()
    for message in iter(conn.receive, None):
        digest.update(len(message).to_bytes(4, "big"))
        digest.update(message)
        count, total = count + 1, total + len(message)
    emit(json.dumps({"messages": count, "bytes": total, "sha256": digest.hexdigest()}).encode())


def source(conn, args):
    payload = gen(args.size)
    for _ in range(args.count):
        conn.transmit(payload)
    conn.finish()


def chat(conn, args):
    """Here any thread may transmit on a socket whose own thread receives. The lock keeps
    exchanges whole, and that is all: no care is taken to avoid collisions."""
    room[conn.id] = conn
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    while True:
        poll.poll()  # without the lock: it may be the answer to another thread
        with conn.lock:
            if conn.error:
                raise conn.error
            if not poll.poll(0):
                continue
            message = conn.receive()
        if message is None:
            return
        for other in list(room.values()):
            if other is not conn and not other.error:
                other.deliver(f"[{conn.id}] ".encode() + message)


def echo_lines(conn, args):
    for line in sys.stdin.buffer:
        line = line.rstrip(b"\n")
        conn.transmit(line)
        reply = conn.receive()
        if reply is None:
            if line in (b"QUIT", b"SRVQUIT"):
                return
            raise PeerError("stream ended before the reply")
        emit(b"Response from server: " + reply)
    conn.finish(LINGER)


def talk(conn, args):
    """The chat's client: sends the lines of stdin and prints what arrives, in turn. What
    has arrived goes first; what arrives at the moment of an offer is a collision."""
    poll, lines, rest = select.poll(), [], b""
    poll.register(conn.sock, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll(0 if lines else None)]
        if conn.sock.fileno() in ready:
            message = conn.receive()
            if message is None:
                return
            emit(message)
        elif lines:
            line = lines.pop(0)
            if line is not None:
                conn.transmit(line)
            if line in (b"quit", None):
                break
        else:
            chunk = os.read(0, 1 << 16)
            *lines, rest = (rest + chunk).split(b"\n")
            if not chunk:
                lines = [rest, None] if rest else [None]
    conn.finish(LINGER)


def check(conn, args):
    prefix = os.fsencode(args.prefix or "")
    for i, size in enumerate(args.sizes):
        conn.transmit(gen(size))
        reply, want = conn.receive(), prefix + gen(size)
        if reply is None:
            raise PeerError(f"stream ended before reply {i}")
        if reply != want:
            at = len(os.path.commonprefix([bytes(reply), want]))
            raise PeerError(f"reply {i}: {len(reply)} bytes for {len(want)}, wrong from {at}")
    conn.finish(LINGER)
    emit(json.dumps({"messages": len(args.sizes), "bytes": sum(args.sizes)}).encode())


def die(conn, args):
    conn.offer(args.size)
    conn.sock.sendall(gen(args.size, args.after))
    emit(b"ready")
    threading.Event().wait()


SERVE = {"echo": echo, "echo-back": echo_back, "sink": sink, "source": source, "chat": chat}
CONNECT = {"echo-lines": echo_lines, "check": check, "flood": source, "sink": sink, "die": die,
           "chat": talk}
NEEDS = {"source": "count size", "flood": "count size", "check": "sizes", "die": "size after"}


def serve(args, handle, new=Conn):
    """Serves for ever: new makes a connection of a socket and a timeout, and handle has it
    after the hello; it returns True if the server is to end."""
    active, lock = 0, threading.Lock()

    def refuse(conn, number):
        with contextlib.suppress(OSError):
            conn.sock.sendall(CONLIMIT)
        conn.close()

    def run(conn, number):
        nonlocal active
        stop = failed = False
        try:
            conn.hello()
            stop = handle(conn, args)
        except Exception as e:  # whatever it was: one line, and the others go on
            failed = True
            complain(e, f"connection {number}: ")
        room.pop(conn.id, None)
        with lock:  # before the peer sees the end, so that it can come again at once
            active -= 1
        conn.close()
        if stop or args.once and number == 1:
            os._exit(int(failed))  # all output is flushed; other threads are not waited for

    with socket.create_server((args.host, args.port), backlog=512) as listener:
        emit("listening on {}:{}".format(*listener.getsockname()).encode())
        number = 0
        while True:
            conn = new(listener.accept()[0], args.timeout)
            with lock:
                full = args.limit is not None and active >= args.limit
                active += not full
            number += not full
            job = refuse if full else run
            threading.Thread(target=job, args=(conn, number), daemon=True).start()


def connect(args, handle, new=Conn):
    conn = new(socket.create_connection(args.address, args.timeout), args.timeout)
    try:
        conn.hello()
        handle(conn, args)
    finally:
        conn.close()


def natural(text, limit=MAX_SIZE):
    if not 0 <= int(text) <= limit:
        raise ValueError
    return int(text)


def seconds(text):
    if not float(text) > 0:
        raise ValueError
    return float(text)


def transforms(text):
    names = text.split(",")
    if not TRANSFORMS.keys() >= set(names):
        raise ValueError
    return names


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), natural(port, 65535)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    s, c = [roles.add_parser(r, allow_abbrev=False) for r in ("serve", "connect")]
    s.add_argument("--host", default="127.0.0.1")
    s.add_argument("--port", type=lambda text: natural(text, 65535), default=0)
    s.add_argument("--limit", type=natural, help="connections at once; more get CONLIMIT")
    s.add_argument("--once", action="store_true", help="end with the first connection")
    c.add_argument("address", type=address, metavar="HOST:PORT")
    for p, modes, timeout in (s, SERVE, None), (c, CONNECT, 30.0):
        p.add_argument("mode", choices=modes, metavar="MODE", help=" | ".join(modes))
        p.add_argument("--timeout", type=seconds, default=timeout, help="seconds for the socket")
        p.add_argument("--transforms", type=transforms, default=(), metavar="NAMES",
                       help="of " + ", ".join(TRANSFORMS))
        p.add_argument("--count", type=natural, help="source, flood: messages to send")
        p.add_argument("--size", type=natural, help="source, flood, die: bytes in a message")
        p.add_argument("--sizes", type=lambda text: [natural(n) for n in text.split(",")],
                       help="check: sizes, separated by commas")
        p.add_argument("--prefix", help="check: what each reply begins with")
        p.add_argument("--after", type=natural, help="die: bytes of the payload to write")
    args = parser.parse_args()
    for option in ("count", "size", "sizes", "after", "prefix"):
        given = getattr(args, option) is not None
        needed = option in NEEDS.get(args.mode, "").split()
        if given != needed and (args.mode, option) != ("check", "prefix"):
            parser.error(f"{args.mode} {'takes no' if given else 'needs'} --{option}")
    if args.mode == "die" and args.after > args.size:
        parser.error("--after is more than --size")
    if args.mode == "die" and args.transforms:
        parser.error("die takes no --transforms")
    return args


def main():
    for sig in signal.SIGTERM, signal.SIGINT:
        signal.signal(sig, lambda *_: os._exit(0))
    args = parse()
    run, modes = (serve, SERVE) if args.role == "serve" else (connect, CONNECT)
    try:
        run(args, modes[args.mode], functools.partial(Conn, transforms=args.transforms))
    except (PeerError, OSError, MemoryError) as e:
        complain(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
