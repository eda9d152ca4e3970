#!/usr/bin/env python3
"""Writes receipt.json without our code: a receipt of fixed values, signed by
`openssl pkeyutl` with the Ed25519 seed 00 01 .. 1f."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile


def sum256(word):
    return hashlib.sha256(word.encode()).hexdigest()


def canonical(v):
    return json.dumps(v, sort_keys=True, separators=(",", ":")).encode()


def ed25519_sign(seed, message):
    der = bytes.fromhex("302e020100300506032b657004220420") + seed  # RFC 8410
    with tempfile.TemporaryDirectory() as d:
        key, msg, pub, sig = (os.path.join(d, n) for n in ("key", "msg", "pub", "sig"))
        for path, data in ((key, der), (msg, message)):
            with open(path, "wb") as f:
                f.write(data)
        form = ["-inkey", key, "-keyform", "DER"]
        subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", *form, "-in", msg, "-out", sig], check=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-inform", "DER", "-pubout", "-outform", "DER", "-out", pub], check=True)
        with open(sig, "rb") as f, open(pub, "rb") as g:
            return f.read(), g.read()[-32:]


root = bytes.fromhex("0180041220") + hashlib.sha256(b"manifest").digest()
document = canonical({
    "type": "safebox/receipt/v1",
    **{name: sum256(name) for name in ("grant", "module", "params", "evidence", "transcript", "release")},
    "inputs": [{"root": "b" + base64.b32encode(root).decode().lower().rstrip("="), "ranges": [[0, 3], [8, 9]]}],
    "outputs": [{"slot": 0, "kind": "object", "size": 6, "sealed": [sum256("sealed a"), sum256("sealed b")]}],
    "exit": 0,
    "trap": "",
    "memory_peak": 1048576,
    "wall_us": 1500,
    "serial": "00" * 15 + "01",
    "sequence": 1,
    "time": 1767225600,
})
payload_type = "application/vnd.safebox.receipt.v1+json"
signature, public = ed25519_sign(bytes(range(32)), b"DSSEv1 %d %s %d " % (len(payload_type), payload_type.encode(), len(document)) + document)
sys.stdout.buffer.write(canonical({
    "payload": base64.b64encode(document).decode(),
    "payloadType": payload_type,
    "signatures": [{"keyid": hashlib.sha256(public).hexdigest(), "sig": base64.b64encode(signature).decode()}],
}))
