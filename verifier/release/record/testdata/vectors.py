#!/usr/bin/env python3
"""Writes the entries beside it: four records, made from docs/format-release.md
without our Go code. JSON by Python's json, hashes by hashlib, signatures by
`openssl` with the keys of RFC 8032, section 7.1, TEST 1 to 3."""
import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
SEEDS = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
]
EPOCH = 1767225600
SUM = "h1:ICeL3t2L30ljSPHHxDnR4fqVcBt/zR2zJAb9juavmQg="


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(seed, message):
    """Gives keyid and signature. The prefix is that of RFC 8410, section 7."""
    with tempfile.TemporaryDirectory() as folder:
        key, text = pathlib.Path(folder, "key"), pathlib.Path(folder, "message")
        key.write_bytes(bytes.fromhex("302e020100300506032b657004220420" + seed))
        text.write_bytes(message)
        load = ["-inkey", key, "-keyform", "DER"]
        sig = subprocess.check_output(["openssl", "pkeyutl", "-sign", "-rawin", "-in", text] + load)
        spki = subprocess.check_output(["openssl", "pkey", "-in", key, "-inform", "DER", "-pubout", "-outform", "DER"])
    return hashlib.sha256(spki[-32:]).hexdigest(), base64.b64encode(sig).decode()


def entry(name, predicate_type, digests, predicate, seeds):
    payload = canonical({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "release.json", "digest": {"sha256": d}} for d in sorted(digests)],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
    payload_type = "application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    signatures = sorted(sign(s, pae) for s in seeds)
    (HERE / name).write_bytes(canonical({
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": k, "sig": s} for k, s in signatures],
    }))


rebuild = {
    "environment": {"arch": "amd64", "go": "1.26.8", "os": "linux"},
    "rebuilder": "Example Auditors",
    "source": SUM,
    "time": EPOCH + 86400,
}
entry("release.dsse", "safebox:release/v1", [digest("one")], {
    "notBefore": EPOCH,
    "source": {
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "sum": SUM,
        "tree": "89abcdef0123456789abcdef0123456789abcdef",
    },
    "supersedes": digest("zero"),
    "svn": 3,
    "version": "1.2.0",
}, SEEDS[:2])
entry("match.dsse", "safebox:rebuild/v1", [digest("one")], {
    **rebuild, "rebuilt": digest("one"), "result": "match",
}, SEEDS[2:])
entry("mismatch.dsse", "safebox:rebuild/v1", [digest("one")], {
    **rebuild, "rebuilt": digest("other"), "result": "mismatch", "differences": [
        {"path": "safebox.efi, section .initrd, \"/init\", byte 4096", "got": "0x90", "want": "0xcc"},
        {"path": "release.json", "got": digest("other"), "want": digest("one")},
    ],
}, SEEDS[2:])
entry("revoke.dsse", "safebox:revoke/v1", [digest("one"), digest("two"), digest("three")], {
    "effective": EPOCH + 2 * 86400,
    "reason": "init follows links out of its folder",
    "svnFloor": 4,
}, SEEDS[:1])
