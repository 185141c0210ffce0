"""What package transform does, once more and with nothing but Python's own
library, from the format that its documentation gives: the other end of its tests.

Reads one request a line and answers each with a line. A request is JSON:
"do" is seal, open, compress or decompress, or a list of these, done in turn;
the rest is for them. All bytes are hexadecimal.
"""

import hashlib
import hmac
import json
import sys
import zlib


def hkdf(key, salt, info, size):
    """HKDF-SHA256, RFC 5869."""
    prk = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
    return out[:size]


def times(a, b):
    """The product in AES's field, modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def substitution(a):
    inverse = next((b for b in range(256) if times(a, b) == 1), 0)
    turned = inverse
    for shift in range(1, 5):
        turned ^= inverse << shift | inverse >> 8 - shift
    return turned & 0xFF ^ 0x63


SBOX = bytes(substitution(a) for a in range(256))


def aes_schedule(key):
    """The 15 round keys of AES-256, FIPS 197."""
    words = [key[i : i + 4] for i in range(0, 32, 4)]
    constant = 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = times(constant, 2)
        elif len(words) % 8 == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def aes(schedule, block):
    state = bytes(a ^ b for a, b in zip(block, schedule[0]))
    for number, key in enumerate(schedule[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            state = [
                times(state[i], 2)
                ^ times(state[i - i % 4 + (i + 1) % 4], 3)
                ^ state[i - i % 4 + (i + 2) % 4]
                ^ state[i - i % 4 + (i + 3) % 4]
                for i in range(16)
            ]
        state = bytes(a ^ b for a, b in zip(state, key))
    return state


def ghash(h, *parts):
    """GHASH of NIST SP 800-38D."""
    h, y = int.from_bytes(h, "big"), 0
    data = b"".join(part + bytes(-len(part) % 16) for part in parts)
    data += b"".join((8 * len(part)).to_bytes(8, "big") for part in parts)
    for at in range(0, len(data), 16):
        x, y = y ^ int.from_bytes(data[at : at + 16], "big"), 0
        v = h
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                y ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return y.to_bytes(16, "big")


def gcm(key, nonce, text, additional, decrypt):
    """The other text and the tag."""
    schedule = aes_schedule(key)
    other = b""
    for at in range(0, len(text), 16):
        stream = aes(schedule, nonce + (at // 16 + 2).to_bytes(4, "big"))
        other += bytes(a ^ b for a, b in zip(text[at : at + 16], stream))
    hashed = ghash(aes(schedule, bytes(16)), additional, text if decrypt else other)
    mask = aes(schedule, nonce + (1).to_bytes(4, "big"))
    return other, bytes(a ^ b for a, b in zip(hashed, mask))


def seal(message, key, sender, counter):
    header = hkdf(key, b"", b"tinyproto seal 1 key check", 4) + sender + counter.to_bytes(8, "big")
    sender_key = hkdf(key, sender, b"tinyproto seal 1 sender key", 32)
    text, tag = gcm(sender_key, bytes(4) + header[20:28], message, header, False)
    return header + text + tag


def open_sealed(sealed, key):
    header, text, tag = sealed[:28], sealed[28:-16], sealed[-16:]
    if header[:4] != hkdf(key, b"", b"tinyproto seal 1 key check", 4):
        raise ValueError("wrong key")
    sender_key = hkdf(key, header[4:20], b"tinyproto seal 1 sender key", 32)
    message, want = gcm(sender_key, bytes(4) + header[20:28], text, header, True)
    if tag != want:
        raise ValueError("wrong tag")
    return message


def answer(do, data, request):
    key = bytes.fromhex(request.get("key", ""))
    if do == "seal":
        return seal(data, key, bytes.fromhex(request["sender"]), request["counter"])
    if do == "open":
        return open_sealed(data, key)
    if do == "compress":
        return zlib.compress(data, request.get("level", -1))
    if do == "decompress":
        return zlib.decompress(data)
    raise ValueError("nothing that is known: " + do)


for line in sys.stdin:
    request = json.loads(line)
    data = bytes.fromhex(request["data"])
    for do in request["do"] if isinstance(request["do"], list) else [request["do"]]:
        data = answer(do, data, request)
    print(data.hex(), flush=True)
