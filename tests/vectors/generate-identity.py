#!/usr/bin/env python3
"""Computes tests/vectors/identity.json without any of Caro's code.

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install argon2-cffi==25.1.0
    /tmp/vectors/bin/python tests/vectors/generate-identity.py --check   # compare, the default
    /tmp/vectors/bin/python tests/vectors/generate-identity.py --write   # write the file anew

Argon2id comes from the reference C implementation (through argon2-cffi), HKDF and HMAC from
Python's own hmac, written out from RFC 5869. The phrases are fixed here; their words and entropy
are public test vectors of BIP39 or made by hand, and the Rust test checks them against each other.
"""

import hashlib
import hmac
import json
import pathlib
import sys
import unicodedata

from argon2.low_level import Type, hash_secret_raw

FILE = pathlib.Path(__file__).with_name("identity.json")

ABANDON = "abandon " * 11 + "about"
LEGAL = "legal winner thank year wave sausage worth useful legal winner thank yellow"
ART = "abandon " * 23 + "art"
ALL_ONES = "zoo " * 23 + "vote"

# (what a person types, entropy in hex, a preference's name)
CASES = [
    (ABANDON, "00" * 16, "safety_level"),
    ("  " + LEGAL.upper().replace(" ", "\t\n "), "7f" * 16, "default_shell"),
    (ART, "00" * 32, "model_name"),
    (ALL_ONES.title(), "ff" * 32, ""),
]

LABELS = {
    "jazz_seed": "caro-sync/jazz-seed/v1",
    "key_encryption": "caro-sync/key-encryption/v1",
    "local_store": "caro-sync/local-store/v1",
    "preference_name": "caro-sync/preference-name/v1",
}


def hkdf_sha256(key, info, length=32):
    pseudo_random_key = hmac.new(bytes(32), key, hashlib.sha256).digest()
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(pseudo_random_key, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def vector(typed, entropy, preference):
    words = " ".join(unicodedata.normalize("NFKD", typed).lower().split())
    master = hash_secret_raw(
        secret=words.encode(),
        salt=b"caro-sync/v1/phrase",
        time_cost=3,
        memory_cost=64 * 1024,
        parallelism=4,
        hash_len=32,
        type=Type.ID,
        version=0x13,
    )
    keys = {name: hkdf_sha256(master, label.encode()) for name, label in LABELS.items()}
    hashed = hmac.new(keys["preference_name"], preference.encode(), hashlib.sha256).hexdigest()
    return {
        "typed": typed,
        "words": words,
        "entropy": entropy,
        "master": master.hex(),
        **{name: key.hex() for name, key in keys.items()},
        "preference": preference,
        "preference_hash": hashed,
    }


def main():
    text = json.dumps({"vectors": [vector(*case) for case in CASES]}, indent=2) + "\n"
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text)
        print(f"wrote {FILE.name}")
    elif sys.argv[1:] in ([], ["--check"]):
        if FILE.read_text() != text:
            sys.exit(f"{FILE.name} differs from what this script computes")
        print(f"{FILE.name}: {len(CASES)} vectors agree")
    else:
        sys.exit(__doc__)


main()
