#!/usr/bin/env python3
"""Opens and makes the blobs in tests/vectors/sealed-blobs.json without any of Caro's code.

    python3 -m venv /tmp/vectors
    /tmp/vectors/bin/pip install pynacl==1.6.2 zstandard==0.25.0
    /tmp/vectors/bin/python tests/vectors/check-sealed-blobs.py           # open and compare all
    /tmp/vectors/bin/python tests/vectors/check-sealed-blobs.py --write   # make the file anew

Written from the description at the top of src/seal/blob.rs and src/seal/keyring.rs; the cipher is
libsodium's, the compressor the zstd project's. Blobs named "sealed by caro" came out of the
program itself, with a random nonce; --write keeps them.
"""

import base64
import json
import pathlib
import sys

import zstandard
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open,
    crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal,
)
from nacl.exceptions import CryptoError

FILE = pathlib.Path(__file__).with_name("sealed-blobs.json")
BY_CARO = "sealed by caro"
FLOOR = 256
PURPOSES = [
    "history", "index", "preference", "device", "deletion", "usage", "keyring", "account", "local",
]


class Refused(Exception):
    """Why a blob is not opened: "unreadable", "future version" or "unknown key"."""


def to_text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def padded_len(length):
    length = max(length, FLOOR)
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    step = 1 << (exponent - kept)
    return -(-length // step) * step


def field(raw):
    return len(raw).to_bytes(4, "little") + raw


def associated_data(header, context):
    return (
        field(b"caro-sync/sealed-blob")
        + field(header)
        + field(context["purpose"].encode())
        + field(context["container"].encode())
        + field(context["device"].encode())
        + context["schema_version"].to_bytes(4, "little")
    )


def seal_frame(key_id, key, nonce, context, frame, version=1):
    inner = field(frame)
    inner += bytes(padded_len(len(inner)) - len(inner))
    header = bytes([version]) + key_id + nonce
    return header + aead_seal(inner, associated_data(header, context), nonce, key)


def open_blob(blob, key_id, key, context):
    """The nonce, the frame and the data."""
    if blob[:1] > b"\x01":
        raise Refused("future version")
    if blob[:1] != b"\x01" or len(blob) < 33 + 16:
        raise Refused("unreadable")
    if blob[1:9] != key_id:
        raise Refused("unknown key")
    header, nonce = blob[:33], blob[9:33]
    try:
        inner = aead_open(blob[33:], associated_data(header, context), nonce, key)
    except CryptoError:
        raise Refused("unreadable") from None
    end = 4 + int.from_bytes(inner[:4], "little")
    frame, padding = inner[4:end], inner[end:]
    if len(inner) != padded_len(end) or any(padding):
        raise Refused("unreadable")
    return nonce, frame, zstandard.ZstdDecompressor().decompress(frame, max_output_size=16 << 20)


def context_of(vector):
    return {name: vector[name] for name in ("purpose", "container", "device", "schema_version")}


def open_vector(vector):
    key_id, key = bytes.fromhex(vector["key_id"]), bytes.fromhex(vector["key"])
    return open_blob(from_text(vector["blob"]), key_id, key, context_of(vector))


def open_wrapped(vector):
    context = {
        "purpose": "keyring", "container": vector["container"], "device": "", "schema_version": 1,
    }
    kek = bytes.fromhex(vector["key_encryption_key"])
    return open_blob(from_text(vector["blob"]), bytes(8), kek, context)[2]


def wrapped_content(vector):
    return (
        b"\x01"
        + bytes.fromhex(vector["key_id"])
        + vector["generation"].to_bytes(4, "little")
        + vector["created_at"].to_bytes(8, "little")
        + bytes.fromhex(vector["key"])
    )


def check(file):
    for vector in file["blobs"]:
        nonce, frame, data = open_vector(vector)
        assert nonce.hex() == vector["nonce"], vector["name"]
        assert frame.hex() == vector["frame"], vector["name"]
        assert data.hex() == vector["data"], vector["name"]
    for vector in file["wrapped_keys"]:
        assert open_wrapped(vector) == wrapped_content(vector), vector["name"]
    for vector in file["bad"]:
        try:
            open_vector(vector)
        except Refused as refused:
            assert str(refused) == vector["error"], vector["name"]
        else:
            raise AssertionError(f"{vector['name']} opens")
    assert sum(v["name"].startswith(BY_CARO) for v in file["blobs"] + file["wrapped_keys"]) >= 3


def counting(start, length):
    return bytes((start + i) % 256 for i in range(length))


def make(old):
    compress = zstandard.ZstdCompressor(level=3).compress
    key_id, key = counting(0xA0, 8), counting(0x80, 32)

    def vector(name, nonce_start, data, purpose, container, device, schema_version):
        context = {
            "purpose": purpose,
            "container": container,
            "device": device,
            "schema_version": schema_version,
        }
        nonce, frame = counting(nonce_start, 24), compress(data)
        return {
            "name": name,
            "key_id": key_id.hex(),
            "key": key.hex(),
            "nonce": nonce.hex(),
            **context,
            "data": data.hex(),
            "frame": frame.hex(),
            "blob": to_text(seal_frame(key_id, key, nonce, context, frame)),
        }

    blobs = [
        vector(f"purpose {purpose}", i, b"git push --force", purpose, "co_zContainer", "device-a", 1)
        for i, purpose in enumerate(PURPOSES)
    ]
    long_text = b"".join(b"cargo test -p crate-%d\n" % i for i in range(300))
    noise = b"".join(bytes([(i * i * 31 + i * 7) >> 3 & 255]) for i in range(1500))
    blobs += [
        vector("nothing", 20, b"", "history", "", "", 0),
        vector("long text", 21, long_text, "history", "co_z1", "device-a", 2),
        vector("more than the floor", 22, noise, "index", "co_z2", "device-b", 2**32 - 1),
        vector("not ASCII", 23, "läuft ✓".encode(), "usage", "co_zÄ", "gerät", 1),
    ]
    for by_caro in old.get("blobs", []):
        if by_caro["name"].startswith(BY_CARO):
            nonce, frame, _ = open_vector(by_caro)
            blobs.append({**by_caro, "nonce": nonce.hex(), "frame": frame.hex()})

    wrapped = {
        "name": "a first key",
        "key_encryption_key": counting(0x10, 32).hex(),
        "container": "co_zAccount",
        "key_id": key_id.hex(),
        "generation": 1,
        "created_at": 1_700_000_000_123,
        "key": key.hex(),
    }
    context = {"purpose": "keyring", "container": "co_zAccount", "device": "", "schema_version": 1}
    kek = bytes.fromhex(wrapped["key_encryption_key"])
    frame = compress(wrapped_content(wrapped))
    wrapped["blob"] = to_text(seal_frame(bytes(8), kek, counting(40, 24), context, frame))
    wrapped_keys = [wrapped]
    wrapped_keys += [v for v in old.get("wrapped_keys", []) if v["name"].startswith(BY_CARO)]

    good = vector("", 30, b"secret", "history", "co_z1", "device-a", 1)
    raw = from_text(good["blob"])

    def bad(name, error, blob=raw, **changes):
        fields = {k: v for k, v in good.items() if k not in ("data", "frame", "nonce", "error")}
        return {**fields, "name": name, "error": error, "blob": to_text(blob), **changes}

    def flip(at):
        return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]

    def inside(inner):
        nonce = counting(31, 24)
        header = b"\x01" + key_id + nonce
        return header + aead_seal(inner, associated_data(header, context_of(good)), nonce, key)

    frame = compress(b"secret")
    whole = field(frame) + bytes(256 - 4 - len(frame))
    bad_blobs = [
        bad("another container", "unreadable", container="co_z2"),
        bad("another purpose", "unreadable", purpose="preference"),
        bad("another device", "unreadable", device="device-b"),
        bad("another schema version", "unreadable", schema_version=2),
        bad("text moved from container to device", "unreadable", container="co_z", device="1device-a"),
        bad("another key", "unreadable", key=counting(0x81, 32).hex()),
        bad("a key that is not here", "unknown key", key_id=counting(0xA1, 8).hex()),
        bad("changed nonce", "unreadable", flip(9)),
        bad("changed ciphertext", "unreadable", flip(40)),
        bad("changed tag", "unreadable", flip(len(raw) - 1)),
        bad("cut by a byte", "unreadable", raw[:-1]),
        bad("cut to the header", "unreadable", raw[:33]),
        bad("empty", "unreadable", b""),
        bad("version 0", "unreadable", b"\x00" + raw[1:]),
        bad("version 2", "future version", seal_frame(
            key_id, key, counting(32, 24), context_of(good), frame, version=2)),
        bad("padding not zero", "unreadable", inside(whole[:-1] + b"\x01")),
        bad("padded too far", "unreadable", inside(whole + bytes(16))),
        bad("not padded", "unreadable", inside(field(frame))),
        bad("length beyond the end", "unreadable", inside(b"\xff" * 4 + bytes(252))),
    ]
    return {"blobs": blobs, "wrapped_keys": wrapped_keys, "bad": bad_blobs}


def main():
    if sys.argv[1:] == ["--write"]:
        old = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps(make(old), indent=2, ensure_ascii=False) + "\n")
        print(f"wrote {FILE.name}")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    file = json.loads(FILE.read_text())
    check(file)
    print(f"{FILE.name}: " + ", ".join(f"{len(v)} {k}" for k, v in file.items()) + " agree")


main()
