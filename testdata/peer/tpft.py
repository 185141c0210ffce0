#!/usr/bin/env python3
"""A tpft peer for tests, written from the file transfer document and recorded sessions.

    tpft.py serve [--host H] [--port P] [--dir D] [-v] [--once] [--timeout S]
    tpft.py get HOST:PORT REMOTE LOCAL [--timeout S]
    tpft.py get HOST:PORT [REMOTE LOCAL] --raw-request JSON [--timeout S]
    tpft.py put HOST:PORT LOCAL REMOTE [--chunk-size N] [--lie-size N] [--timeout S]

On the wire it is the legacy tool, down to its defects: serve opens any path, truncates
the destination when it confirms an upload, confirms an empty one twice in a row, ignores
requests of an unknown type, and never answers the download of a directory, nor anything
that follows it on that connection; get accepts a file before it opens LOCAL.

Unlike the legacy tool, get and put end with status 1 when they are refused, with the
reason on stderr, and put honours --chunk-size. LOCAL is opened when the file comes, and
a get that fails then removes it. A file larger than announced is an error of get; serve
counts to the announced size, writes all of the message that reaches it, and confirms.

put waits for the second confirmation of an empty upload as long as for any other message,
since the recorded servers send it. If nothing comes until the timeout, one was enough.

--raw-request sends JSON, whatever it is, in place of a request, and prints the answer;
REMOTE and LOCAL, if given, mean nothing then.
--lie-size announces N bytes; what is sent is the file.

Faults, for serve, get and put, in each transfer, amid the payload that carries file byte
BYTES or follows it:
    --die-after BYTES    the process exits with status 3 as soon as so many bytes of the
                         file were sent, or received and written; no cleaning up
    --stall-after BYTES  prints "stalled", then neither sends nor reads, and keeps the
                         connection

Exit status: 0 done (serve: also SIGTERM, SIGINT), 1 error (one line on stderr), 2 usage.
"""
import argparse
import contextlib
import json
import os
import signal
import socket
import stat
import struct
import sys
import threading

sys.dont_write_bytecode = True  # peer.py stands in a source tree
from peer import (MAX_SIZE, Conn, PeerError, address, complain, connect, emit, natural, seconds,
                  serve)

CHUNK = 4 << 20
PIECE = 256 << 10  # what is held in memory of a file
LEGACY_TIMEOUT = 90.0
PARTING = 0.1  # seconds from close to the end, as the legacy client waits
DIED = 3
LETTERS = {
    "upload-request": {"file_size": int, "destination_path": str},
    "download-request": {"download_path": str},
    "download-confirmation": {"file_size": int},
    "rejected": {"reason": str},
}


class Rejected(PeerError):
    """The server refused, and this is its reason."""


class Channel(Conn):
    """A connection that talks in envelopes and moves files piece by piece."""

    def say(self, kind, **letter):
        self.transmit(json.dumps({"type": kind, "letter": letter}, separators=(",", ":")).encode())

    def hear(self):
        """The type and the letter of the next envelope, or None at the end of the stream."""
        message = self.receive()
        if message is None:
            return None
        try:
            envelope = json.loads(message)
            kind, letter = envelope["type"], envelope["letter"]
            for field, its_type in LETTERS.get(kind, {}).items():
                if not isinstance(letter[field], its_type):
                    raise TypeError
            return kind, letter
        except (ValueError, TypeError, KeyError):
            raise PeerError(f"expected an envelope, got {bytes(message[:100])!r}")

    def expect(self, *kinds):
        """The letter of the next envelope, which has to be of one of these types."""
        kind, letter = self.hear() or ("the end of the stream", {})
        if kind == "rejected" and kind not in kinds:
            raise Rejected(letter["reason"])
        if kind not in kinds:
            raise PeerError(f"expected {' or '.join(kinds)}, got {kind}")
        return letter

    def expect_confirmed(self):
        self.expect("confirmed", "download-confirmation")  # either counts

    def send_file(self, file, size, chunk, args):
        moved = 0
        while moved < size:
            n = min(chunk, size - moved)
            self.offer(n)
            for _, k in pieces(n, moved, file, args):
                data = file.read(k)
                if len(data) < k:
                    raise PeerError(f"{file.name!r} has become shorter than {size} bytes")
                self.sock.sendall(data)
            moved += n

    def receive_file(self, file, size, args):
        """Returns how much came: more than size if the last message goes beyond it."""
        moved = 0
        while moved < size:
            n = self.accept()
            if n is None:
                raise PeerError(f"stream ended after {moved} of {size} bytes of the file")
            for at, k in pieces(n, moved, file, args):
                file.write(self.read(k, f"file bytes {at} to {at + k} of {size}"))
            moved += n
        return moved

    def part(self):
        """The end of the legacy client: the server has a moment to end first."""
        self.say("close")
        with contextlib.suppress(OSError):
            self.sock.settimeout(PARTING)
            self.sock.recv(1)

    def abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def pieces(n, moved, file, args):
    """Cuts a payload of n bytes, in front of which the file has moved so many, into pieces
    that fit into memory, each an offset and a length. The faults happen here."""
    faults = [at for at in (args.die_after, args.stall_after) if at is not None]
    while True:
        if moved in faults:
            file.flush()
            if moved == args.die_after:
                os._exit(DIED)
            emit(b"stalled")
            threading.Event().wait()
        if not n:
            return
        k = min([n, PIECE] + [at - moved for at in faults if at > moved])
        yield moved, k
        moved, n = moved + k, n - k


# The server. What it says with -v are the lines of the legacy one.

def handle(conn, args):
    def log(text, who=None):
        if args.verbose:
            emit(f"[{who or conn.id}] {text}".encode("utf-8", "backslashreplace"))

    peer = conn.sock.getpeername()
    log(f"Opened connection from {peer}", "SRV")
    try:
        while True:
            kind, letter = conn.hear() or ("close", {})
            if kind == "close":
                return
            if kind == "upload-request":
                take(conn, args, log, letter["destination_path"], letter["file_size"])
            elif kind == "download-request":
                give(conn, args, log, letter["download_path"])
    finally:
        log(f"Connection closed from {peer}", "SRV")


def take(conn, args, log, path, size):
    log(f"Requested upload of file {path} of size {size}")
    try:
        file = open(path, "wb")
    except OSError as e:
        log(f"Failed to open destination path: {e} - Sending reject.")
        return conn.say("rejected", reason=str(e))
    with file:
        conn.say("confirmed")
        log("Destination file opened. Confirmation sent. Starting data transfer ... ")
        conn.receive_file(file, size, args)
        log("Transfer complete. Saving to disk ... ")
    log("File saved. Sending confirmation to client.")
    conn.say("confirmed")


def give(conn, args, log, path):
    log(f"Requested download of file {path}")
    try:
        file = open(path, "rb")
    except IsADirectoryError:
        while conn.sock.recv(1 << 16):
            pass
        raise
    except OSError as e:
        log(f"Failed to open download path: {e} - Sending reject.")
        return conn.say("rejected", reason=str(e))
    with file:
        log("Opened file for reading. Sending download confirmation ... ")
        size = os.fstat(file.fileno()).st_size
        conn.say("download-confirmation", file_size=size)
        conn.expect_confirmed()
        log("Client accepted file. Starting transfer ... ")
        conn.send_file(file, size, CHUNK, args)
    conn.expect_confirmed()
    log("Transfer completed.")


# The client.

def get(conn, args):
    if args.raw_request is not None:
        conn.transmit(os.fsencode(args.raw_request))
        answer = conn.receive()
        if answer is None:
            raise PeerError("stream ended instead of an answer")
        emit(answer)
        return conn.part()
    conn.say("download-request", download_path=args.remote)
    size = expect_unless_rejected(conn, "download-confirmation")["file_size"]
    conn.say("confirmed")
    if size:  # as recorded, the server's first offer is there when LOCAL can't be opened
        conn.sock.recv(1, socket.MSG_PEEK)
    try:
        file = open(args.local, "wb")
    except OSError:
        conn.abort()
        raise
    try:
        with file:
            got = conn.receive_file(file, size, args)
        if got > size:
            raise PeerError(f"got {got} bytes of a file of {size}")
    except BaseException:
        if stat.S_ISREG(os.lstat(args.local).st_mode):  # no device, no link
            os.unlink(args.local)
        raise
    conn.say("confirmed")
    conn.part()


def put(conn, args):
    with args.file as file:
        size = os.fstat(file.fileno()).st_size
        announced = size if args.lie_size is None else args.lie_size
        conn.say("upload-request", file_size=announced, destination_path=args.remote)
        expect_unless_rejected(conn, "confirmed", "download-confirmation")
        conn.send_file(file, size, args.chunk_size, args)
    try:
        if not announced:  # a byte, or the end, has to be there, or else one was enough
            conn.sock.recv(1, socket.MSG_PEEK)
    except socket.timeout:
        pass
    else:
        conn.expect_confirmed()
    conn.part()


def expect_unless_rejected(conn, *kinds):
    """After a rejection the legacy client still closes."""
    try:
        return conn.expect(*kinds)
    except Rejected:
        conn.part()
        raise


def interrupted(*_):
    raise PeerError("interrupted")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    s, g, p = [roles.add_parser(r, allow_abbrev=False) for r in ("serve", "get", "put")]
    s.add_argument("--host", default="127.0.0.1")
    s.add_argument("--port", type=lambda text: natural(text, 65535), default=0)
    s.add_argument("--dir", default=".", help="where relative paths begin; no limit to them")
    s.add_argument("-v", dest="verbose", action="store_true", help="say what happens, on stdout")
    s.add_argument("--once", action="store_true", help="end with the first connection")
    s.set_defaults(limit=None)
    for c, names in (g, ("remote", "local")), (p, ("local", "remote")):
        c.add_argument("address", type=address, metavar="HOST:PORT")
        for name in names:
            c.add_argument(name, metavar=name.upper(), nargs="?" if c is g else None)
    g.add_argument("--raw-request", metavar="JSON", help="what to send in place of a request")
    p.add_argument("--chunk-size", type=natural, default=CHUNK, metavar="N")
    p.add_argument("--lie-size", type=int, metavar="N", help="announce this size")
    for c, timeout in (s, None), (g, LEGACY_TIMEOUT), (p, LEGACY_TIMEOUT):
        c.add_argument("--timeout", type=seconds, default=timeout, help="seconds for the socket")
        c.add_argument("--die-after", type=int, metavar="BYTES")
        c.add_argument("--stall-after", type=int, metavar="BYTES")
    args = parser.parse_args()
    if args.role == "get" and args.local is None and args.raw_request is None:
        parser.error("get needs REMOTE and LOCAL, or --raw-request")
    if args.role == "put" and not 0 < args.chunk_size <= MAX_SIZE:
        parser.error("--chunk-size must be positive")
    return args


def main():
    args = parse()
    for sig in signal.SIGTERM, signal.SIGINT:
        signal.signal(sig, interrupted if args.role != "serve" else lambda *_: os._exit(0))
    try:
        if args.role == "serve":
            os.chdir(args.dir)
            serve(args, handle, Channel)
        elif args.role == "get":
            connect(args, get, Channel)
        else:
            if not os.path.isfile(args.local):
                raise PeerError(f"Path {args.local} does not exist or is not a file")
            args.file = open(args.local, "rb")
            connect(args, put, Channel)
    except (PeerError, OSError, MemoryError) as e:
        complain(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
