#!/usr/bin/env python3
"""Makes what boot.sh boots, sharing no code with the Go packages.

    make.py uki CASE.txt KERNEL STUB257 STUB262 > uki.efi
    make.py list x509:OWNER:CERT.pem|sha256:OWNER:HEX ... > db       EFI signature lists
    make.py vars OVMF_VARS_4M.fd NAME=FILE ... > vars.fd             a flash with these variables

OWNER is the last byte of the owner's GUID, two hex digits."""
import base64
import os
import re
import struct
import sys
import uuid

here = os.path.dirname(os.path.abspath(__file__))
source = open(here + "/../oracle.py").read().replace("\nmain()\n", "\n")
oracle = {}
argv, sys.argv = sys.argv, ["oracle"]
exec(compile(source, "oracle.py", "exec"), oracle)

GLOBAL, DATABASE = "8be4df61-93ca-11d2-aa0d-00e098032b8c", "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
OWNERS = {"PK": GLOBAL, "KEK": GLOBAL, "db": DATABASE, "dbx": DATABASE,
          "SecureBootEnable": "f0a30bc7-af08-4556-99c4-001009c93a44"}
TYPES = {"x509": "a5c059a1-94e4-4aa7-87b5-ab155c2bf072", "sha256": "c1c41626-504c-4092-aca9-41f936934328"}


def read(name):
    return open(name, "rb").read()


def uki(case, kernel, stub257, stub262):
    stub, sections = None, []
    for line in open(case):
        f = line.split()
        if f[0] == "stub":
            stub = read({"257": stub257, "262": stub262}[f[1]])
        elif f[0] == "section":
            name = {"kernel": kernel, "initrd.cpio": here + "/../osrel/initrd.cpio"}.get(f[2], here + "/inputs/" + f[2])
            sections.append((f[1], read(name)))
    return oracle["assemble"](stub, sections)


def signature_lists(*entries):
    lists = []
    for entry in entries:
        kind, owner, value = entry.split(":")
        data = uuid.UUID("5afeb0c0-0000-4000-8000-0000000000" + owner).bytes_le
        if kind == "sha256":
            data += bytes.fromhex(value)
        else:
            data += base64.b64decode(re.search("-----BEGIN CERTIFICATE-----(.*?)-----END", open(value).read(), re.S).group(1))
        if kind == "sha256" and lists and lists[-1][0] == kind:
            lists[-1][1].append(data)
        else:
            lists.append((kind, [data]))
    return b"".join(uuid.UUID(TYPES[k]).bytes_le + struct.pack("<III", 28 + sum(map(len, d)), 0, len(d[0])) + b"".join(d)
                    for k, d in lists)


def flash(blank, *variables):
    b, off = bytearray(read(blank)), 0x64
    for v in variables:
        name, file = v.split("=")
        data, wide = read(file), (name + "\0").encode("utf-16-le")
        keys = name != "SecureBootEnable"
        time = struct.pack("<HBBBBBBIhBB", 2026, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0) if keys else bytes(16)
        record = struct.pack("<HBBIQ", 0x55AA, 0x3F, 0, 0x27 if keys else 0x03, 0) + time + \
            struct.pack("<III", 0, len(wide), len(data)) + uuid.UUID(OWNERS[name]).bytes_le + wide + data
        b[off:off + len(record)] = record
        off = (off + len(record) + 3) & ~3
    return bytes(b)


make = {"uki": uki, "list": signature_lists, "vars": flash}[argv[1]]
sys.stdout.buffer.write(make(*argv[2:]))
