#!/usr/bin/env python3
# Prints the example of docs/format-evidence.md, folded, and after it the
# file's SHA-256: json, base64 and hashlib, none of our Go code. The inputs are
# those of ../../transcript/testdata/vectors.py; the TPM's structures are a few
# bytes each that stand for nothing.
import base64
import hashlib
import json
import struct

def b64(b):
    return base64.b64encode(b).decode()

document = (b'{"type":"safebox/config/v1","worker":{"engine":"compiler",'
            b'"memory":268435456,"output":16777216,"wall":60}}')
kem = struct.pack(">H", 0x647A) + bytes((7 * i + 3) % 256 for i in range(1216))
owner = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

def quote(bank):
    h = lambda b: hashlib.new(bank, b).digest()
    zero = bytes(len(h(b"")))
    pcr15 = h(zero + h(b"safebox/config/v1\0" + hashlib.sha256(document).digest()))
    return {
        "bank": bank,
        "attest": b64(b"attest " + bank.encode()),
        "signature": b64(b"signature " + bank.encode()),
        "pcrs": [{"index": 8, "value": zero.hex()}, {"index": 15, "value": pcr15.hex()}],
    }

evidence = {
    "type": "safebox/evidence/v1",
    "platform": "vtpm",
    "nonce": bytes(range(0x00, 0x20)).hex(),
    "audience": hashlib.sha256(b"safebox/audience/v1\0" + owner).hexdigest(),
    "kem": b64(kem),
    "receipt_key": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "release": hashlib.sha256(b"release").hexdigest(),
    "configuration": b64(document),
    "boot_session": bytes(range(0x20, 0x40)).hex(),
    "vtpm": {
        "ak": b64(b"ak"),
        "quotes": [quote("sha256"), quote("sha384")],
        "event_log": b64(b"event log"),
        "runtime": [{"kind": "config", "digest": hashlib.sha256(document).hexdigest()}],
        "activation": "",
    },
}
text = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
for at in range(0, len(text), 120):
    print(text[at:at + 120])
print(hashlib.sha256(text.encode()).hexdigest())
