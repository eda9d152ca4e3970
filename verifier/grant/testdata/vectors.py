#!/usr/bin/env python3
"""Writes the vectors of docs/format-grant.md without our code.

Hashes, HMAC and encodings by the standard library, Ed25519 by `openssl
pkeyutl`, ML-KEM-768, X25519 and HPKE by pyca/cryptography. Everything but the
two sealed messages comes out the same at each run.
"""
import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import tempfile

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519


def sha256(b):
    return hashlib.sha256(b).digest()


def octets(first, n):
    return bytes((first + i) % 256 for i in range(n))


def canonical(v):
    return json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(b):
    return base64.b64encode(b).decode()


def hybrid(seed):
    """MLKEM768-X25519 from a seed: draft-ietf-hpke-pq expands it by SHAKE256."""
    wide = hashlib.shake_256(seed).digest(96)
    pq = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64])
    t = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
    raw = pq.public_key().public_bytes_raw() + t.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(pq, t), raw


def ed25519_sign(seed, message):
    """The signature and the public key, by openssl."""
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


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def node(fs, oid, depth, prefix):
    """A key-tree node: specs/runtime.md, B3."""
    k = mac(fs, b"safebox/v1/root", oid, b"\x01")
    for level in range(depth - 1, -1, -1):
        k = mac(k, b"safebox/v1/tree", bytes([prefix >> level & 1]))
    return struct.pack(">BI", depth, prefix) + k


def emit(name, value):
    print(name)
    text = value.hex()
    for i in range(0, len(text), 96):
        print("  " + text[i : i + 96])


suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

owner_seed, kem_seed, recipient_seed = octets(0x00, 32), octets(0x20, 32), octets(0x40, 32)
fs, oid, t = octets(0x60, 32), octets(0x80, 32), octets(0xA0, 64)
kem_private, kem_public = hybrid(kem_seed)
recipient_private, recipient = hybrid(recipient_seed)
root_cid = "b" + base64.b32encode(bytes.fromhex("0180041220") + sha256(b"manifest")).decode().lower().rstrip("=")

document = canonical({
    "type": "safebox/grant/v1",
    "object": root_cid,
    "ranges": [[0, 3], [8, 9]],
    "module": sha256(b"module").hex(),
    "params": sha256(b"params").hex(),
    "recipients": [b64(recipient)],
    "transcript": sha256(t).hex(),
    "evidence": sha256(b"evidence").hex(),
    "release": sha256(b"release").hex(),
    "checkpoint": sha256(b"checkpoint").hex(),
    "notBefore": 1767225600,
    "notAfter": 1767226500,
    "serial": octets(0xE0, 16).hex(),
})
payload_type = b"application/vnd.safebox.grant.v1+json"
pae_head = b"DSSEv1 %d %s %d " % (len(payload_type), payload_type, len(document))
signature, owner_key = ed25519_sign(owner_seed, pae_head + document)
envelope = canonical({
    "payload": b64(document),
    "payloadType": payload_type.decode(),
    "signatures": [{"keyid": sha256(owner_key).hex(), "sig": b64(signature)}],
})
nodes = b"SBG1" + struct.pack(">H", 3) + node(fs, oid, 31, 0) + node(fs, oid, 32, 2) + node(fs, oid, 32, 8)
info = b"safebox/grant/v1\0" + sha256(t) + sha256(document)
sealed = suite.encrypt(nodes, kem_private.public_key(), info=info)
file = canonical({"type": "safebox/grant-file/v1", "envelope": b64(envelope), "sealed": b64(sealed)})

slot, output = 7, b"hello, recipient\n"
output_info = b"safebox/output/v1\0" + sha256(document) + struct.pack(">I", slot)
output_sealed = suite.encrypt(output, recipient_private.public_key(), info=output_info)

for name, value in [
    ("owner_seed", owner_seed),
    ("owner_key", owner_key),
    ("kem_seed", kem_seed),
    ("kem", bytes.fromhex("647a") + kem_public),
    ("recipient_seed", recipient_seed),
    ("recipient_key", recipient),
    ("fs", fs),
    ("oid", oid),
    ("t", t),
    ("transcript", sha256(t)),
    ("document", document),
    ("document_sha256", sha256(document)),
    ("pae_head", pae_head),
    ("signature", signature),
    ("envelope_sha256", sha256(envelope)),
    ("nodes", nodes),
    ("info", info),
    ("sealed", sealed),
    ("file_sha256", sha256(file)),
    ("output_slot", struct.pack(">I", slot)),
    ("output", output),
    ("output_info", output_info),
    ("output_sealed", output_sealed),
]:
    emit(name, value)
