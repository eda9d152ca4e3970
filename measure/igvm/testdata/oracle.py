#!/usr/bin/env python3
"""Writes IGVM files and computes what they measure to: a second writing.

Layouts are those of igvm_defs (microsoft/igvm, igvm_defs/src/lib.rs), the
digests those of igvm/src/measurement/{snp,tdx}.rs there ("ms"), of igvmmeasure
(coconut-svsm/svsm, tools/igvmmeasure) and of QEMU (backends/igvm.c and
target/i386/sev.c), each as a function of its own. It shares nothing with the
Go packages. Usage: oracle.py FOLDER
"""
import gzip
import hashlib
import json
import os
import struct
import sys
import zlib

PAGE = 4096
H384 = lambda b: hashlib.sha384(b).digest()


def pattern(seed, size=PAGE):
    out = b""
    i = 0
    while len(out) < size:
        out += hashlib.sha256(struct.pack("<II", seed, i)).digest() if i % 64 == 0 else bytes(32)
        i += 1
    return out[:size]


class Builder:
    """Collects structures; data go behind the headers in order of use."""

    def __init__(self):
        self.rows = []

    def add(self, typ, body, data=None, at=12):
        self.rows.append((typ, body, data, at))

    def build(self, version=1):
        fixed = 24 if version == 1 else 32
        headers = sum(8 + (len(b) + 7) // 8 * 8 for _, b, _, _ in self.rows)
        offset = fixed + headers
        var, tail = b"", b""
        for typ, body, data, at in self.rows:
            if data is not None:
                body = body[:at] + struct.pack("<I", offset + len(tail)) + body[at + 4:]
                tail += data
            var += struct.pack("<II", typ, len(body)) + body + bytes(-len(body) % 8)
        head = struct.pack("<4sIIIII", b"IGVM", version, fixed, len(var), fixed + len(var) + len(tail), 0)
        if version == 2:
            head += struct.pack("<II", 0, PAGE)
        crc = zlib.crc32(head + var)
        return head[:20] + struct.pack("<I", crc) + head[24:] + var + tail


# What a launch loads, once for all programs: kind, address, mask, then its own.
def vmsa(seed):
    b = bytearray(pattern(seed)[:0x670])
    b[0x3b0:0x3b8] = struct.pack("<Q", 1)
    return bytes(b)


BOTH, SNP, TDX = 3, 1, 2
STEPS = [
    ("area", 0, 0x3000, None),
    ("area", 7, 0x1000, pattern(99)),
    ("param", 0x307, 0, 0),
    ("param", 0x30C, 0, 0x18),
    ("param", 0x30E, 7, 0),
    ("insert", 0x900000, BOTH, 0),
    ("insert", 0x910000, SNP, 7),
    ("page", 0xFFC00000, BOTH, pattern(1), 0, 0),
    ("page", 0xFFC01000, BOTH, bytes(PAGE), 0, 0),
    ("page", 0x800000, BOTH, None, 0, 0),
    ("page", 0x801000, SNP, None, 0, 1),
    ("page", 0x802000, SNP, pattern(2), 0, 2),
    ("page", 0x803000, SNP, pattern(3), 0, 3),
    ("page", 0x804000, BOTH, pattern(4), 2, 0),
    ("page", 0x805000, BOTH, pattern(5), 4, 0),
    ("page", 0x806000, TDX, pattern(6), 0, 0),
    ("page", 0x807000, SNP, pattern(7), 6, 0),
    ("required", 0x100000, BOTH, 0x40000),
    ("error", 0xA00000, SNP, 0x1000),
    ("vp", 0xFFFFFFFFF000, SNP, 0, vmsa(50)),
    ("vp", 0xFFFFFFFFF000, SNP, 1, vmsa(51)),
]
LARGE = [
    ("page", 0x200000, BOTH, pattern(8, 2 << 20), 1, 0),
    ("page", 0x400000, BOTH, None, 1, 0),
    ("vp", 0xFFFFFFFFF000, SNP, 0, vmsa(52)),
]


def build(steps, version=1):
    b = Builder()
    b.add(0x1, struct.pack("<IBBHQ", SNP, 2, 2, 1, 1 << 46))
    b.add(0x1, struct.pack("<IBBHQ", TDX, 0, 3, 1, 0))
    b.add(0x101, struct.pack("<QII", 0x30000, SNP, 0))
    b.add(0x80000150, b"optional")
    for s in steps:
        if s[0] == "area":
            b.add(0x301, struct.pack("<QII", s[2], s[1], 0), s[3])
        elif s[0] == "param":
            b.add(s[1], struct.pack("<II", s[2], s[3]))
        elif s[0] == "insert":
            b.add(0x303, struct.pack("<QII", s[1], s[2], s[3]))
        elif s[0] == "page":
            b.add(0x302, struct.pack("<QIIIHH", s[1], s[2], 0, s[4], s[5], 0), s[3])
        elif s[0] == "required":
            b.add(0x305, struct.pack("<QIIII", s[1], s[2], s[3], 0, 0))
        elif s[0] == "error":
            b.add(0x30D, struct.pack("<QII", s[1], s[2], s[3]))
        elif s[0] == "vp":
            b.add(0x304, struct.pack("<QIIHH", s[1], s[2], 0, s[3], 0), s[4])
    return b.build(version)


class Chain:
    def __init__(self):
        self.ld = bytes(48)

    def add(self, typ, gpa, data=None):
        contents = H384(data.ljust(PAGE, b"\0")) if data is not None else bytes(48)
        self.ld = H384(self.ld + contents + struct.pack("<HBBIQ", 0x70, typ, 0, 0, gpa))


def snp(steps, program):
    """program: ms, igvmmeasure, igvmmeasure-native-zero, qemu."""
    c, sizes = Chain(), {}
    for s in steps:
        if s[0] == "area":
            sizes[s[1]] = s[2]
        elif s[0] == "insert" and s[2] & SNP:
            size = PAGE if program.startswith("igvmmeasure") else sizes[s[3]]
            for at in range(0, size, PAGE):
                c.add(4, s[1] + at)
        elif s[0] == "page" and s[2] & SNP:
            _, gpa, _, data, flags, typ = s
            if flags & 4 and program == "ms":
                continue
            size = 2 << 20 if flags & 1 else PAGE
            if flags & 1 and program == "ms":
                raise ValueError("2 MiB")
            for at in range(0, size, PAGE):
                if typ:
                    c.add({1: 5, 2: 6, 3: 6}[typ], gpa + at)
                elif flags & 2:
                    c.add(4, gpa + at)
                elif data is not None:
                    c.add(1, gpa + at, data[at:at + PAGE])
                elif program == "igvmmeasure-native-zero":
                    c.add(3, gpa + at)
                else:
                    c.add(1, gpa + at, bytes(PAGE))
        elif s[0] == "vp" and s[2] & SNP:
            c.add(2, s[1], s[4])
    return c.ld.hex()


def mrtd(steps):
    h, sizes = hashlib.sha384(), {}

    def page(gpa, data):
        h.update(b"MEM.PAGE.ADD".ljust(16, b"\0") + struct.pack("<Q", gpa) + bytes(104))
        if data is None:
            return
        for at in range(0, PAGE, 256):
            h.update(b"MR.EXTEND".ljust(16, b"\0") + struct.pack("<Q", gpa + at) + bytes(104) + data[at:at + 256])

    for s in steps:
        if s[0] == "area":
            sizes[s[1]] = s[2]
        elif s[0] == "insert" and s[2] & TDX:
            for at in range(0, sizes[s[3]], PAGE):
                page(s[1] + at, None)
        elif s[0] == "page" and s[2] & TDX and not s[4] & 4:
            size = 2 << 20 if s[4] & 1 else PAGE
            data = s[3] if s[3] is not None else bytes(size)
            for at in range(0, size, PAGE):
                page(s[1] + at, None if s[4] & 2 else data[at:at + PAGE])
    return h.hexdigest()


def main(folder):
    out = {}
    for name, steps, version, programs in [
        ("small", STEPS, 1, ["ms", "igvmmeasure", "igvmmeasure-native-zero", "qemu"]),
        ("version2", STEPS, 2, ["ms"]),
        ("large", LARGE, 1, ["igvmmeasure", "igvmmeasure-native-zero", "qemu"]),
    ]:
        data = build(steps, version)
        with open(os.path.join(folder, name + ".igvm.gz"), "wb") as f:
            f.write(gzip.compress(data, 9, mtime=0))
        out[name] = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "snp": {p: snp(steps, p) for p in programs},
            "mrtd": mrtd(steps),
        }
    with open(os.path.join(folder, "oracle.json"), "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


main(sys.argv[1])
