"""Computes the vectors of docs/format-object.md from its text alone, with
hashlib, hmac and the package cryptography (AES-GCM, Ed25519). Prints one
`name value` a line: `python3 vectors.py`."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK, BLOCK = 1048560, 4096


def u32(n):
    return n.to_bytes(4, "big")


def sha(b):
    return hashlib.sha256(b).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def expand(prk, info, size):  # RFC 5869, 2.3
    out, t, n = b"", b"", 1
    while len(out) < size:
        t = mac(prk, t + info + bytes([n]))
        out, n = out + t, n + 1
    return out[:size]


def mth(leaves):  # RFC 6962, 2.1
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def shard_root(b):
    return mth([b[i : i + BLOCK] for i in range(0, len(b), BLOCK)])


def gf_mul(a, b):  # GF(2^8), polynomial 0x11d
    p = 0
    while b:
        if b & 1:
            p ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return p


def gf_pow(a, n):
    p = 1
    for _ in range(n):
        p = gf_mul(p, a)
    return p


def gf_inverse(a):
    return next(b for b in range(256) if gf_mul(a, b) == 1)


def invert(m):
    n = len(m)
    m = [row[:] + [int(i == j) for j in range(n)] for i, row in enumerate(m)]
    for c in range(n):
        pivot = next(r for r in range(c, n) if m[r][c])
        m[c], m[pivot] = m[pivot], m[c]
        f = gf_inverse(m[c][c])
        m[c] = [gf_mul(f, x) for x in m[c]]
        for r in range(n):
            if r != c and m[r][c]:
                f = m[r][c]
                m[r] = [x ^ gf_mul(f, y) for x, y in zip(m[r], m[c])]
    return [row[n:] for row in m]


def parity_rows(k, m):
    v = [[gf_pow(r, c) for c in range(k)] for r in range(k + m)]
    top = invert(v[:k])
    rows = []
    for r in range(k, k + m):
        row = []
        for c in range(k):
            x = 0
            for i in range(k):
                x ^= gf_mul(v[r][i], top[i][c])
            row.append(x)
        rows.append(row)
    return rows


def combine(row, shards, size):
    total = 0
    for f, shard in zip(row, shards):
        table = bytes(gf_mul(f, x) for x in range(256))
        total ^= int.from_bytes(shard.translate(table), "big")
    return total.to_bytes(size, "big")


def main():
    fs, oid, seed = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
    size, k, m, suite = CHUNK + 100, 4, 2, 1
    plain = bytes(i % 251 for i in range(size))
    print("fs", fs.hex())
    print("oid", oid.hex())
    print("writer_seed", seed.hex())
    node = mac(fs, b"safebox/v1/root" + oid + bytes([suite]))
    print("node_0_0", node.hex())
    for depth, prefix in ((1, 1), (31, 0), (32, 0xFFFFFFFF)):
        n = node
        for d in range(depth):
            n = mac(n, b"safebox/v1/tree" + bytes([prefix >> (depth - 1 - d) & 1]))
        print(f"node_{depth}_{prefix}", n.hex())

    chunks = -(-size // CHUNK)
    shards, leaves = [], []
    for i in range(chunks):
        secret = node
        for bit in range(31, -1, -1):
            secret = mac(secret, b"safebox/v1/tree" + bytes([i >> bit & 1]))
        okm = expand(secret, b"safebox/v1/chunk" + b"\0" + oid + u32(i), 76)
        key, nonce, commit = okm[:32], okm[32:44], okm[44:]
        piece = plain[i * CHUNK : (i + 1) * CHUNK]
        aad = b"safebox/v1/aad" + oid + u32(i) + u32(len(piece)) + bytes([i == chunks - 1])
        shard = AESGCM(key).encrypt(nonce, piece, aad)
        shards.append(shard)
        leaves.append(b"\1" + u32(len(shard)) + commit + shard_root(shard))
        for name, value in (("secret", secret), ("key", key), ("nonce", nonce), ("commit", commit), ("aad", aad)):
            print(f"chunk{i}_{name}", value.hex())
    length = -(-max(map(len, shards)) // 64) * 64
    coded = [s.ljust(length, b"\0") for s in shards]  # the other positions are zeros
    for row in parity_rows(k, m):
        shard = combine(row, coded, length)
        leaves.append(b"\2" + u32(len(shard)) + bytes(32) + shard_root(shard))
    for i, leaf in enumerate(leaves):
        print(f"leaf{i}", leaf.hex())
    root = mth(leaves)
    print("root", root.hex())

    def b64(b):
        return base64.b64encode(b).decode()

    writer = Ed25519PrivateKey.from_private_bytes(seed)
    public = writer.public_key().public_bytes_raw()
    manifest = json.dumps(
        {
            "type": "safebox/manifest/v1", "suite": suite, "oid": b64(oid), "size": size, "pad": "none", "chunk": CHUNK,
            "chunks": chunks, "k": k, "m": m, "depth": 32, "root": b64(root), "policy": b64(sha(b"")),
            "writer": b64(public), "time": 1700000000, "prev": None,
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    print("manifest", manifest.decode())
    digest = bytes([0x01, 0x80, 0x04, 0x12, 0x20]) + sha(manifest)
    print("cid", "b" + base64.b32encode(digest).decode().lower().rstrip("="))
    kind = b"application/vnd.safebox.manifest.v1+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(manifest), manifest)
    envelope = {
        "payload": b64(manifest), "payloadType": kind.decode(),
        "signatures": [{"keyid": sha(public).hex(), "sig": b64(writer.sign(pae))}],
    }  # fmt: skip
    print("envelope_sha256", sha(json.dumps(envelope, separators=(",", ":")).encode()).hex())
    for name, k, m in (("tiny", 1, 2), ("small", 4, 2), ("default", 10, 4), ("archive", 10, 10)):
        print(f"parity_{name}", " ".join(bytes(row).hex() for row in parity_rows(k, m)))


if __name__ == "__main__":
    main()
