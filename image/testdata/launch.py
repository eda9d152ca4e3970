#!/usr/bin/env python3
"""Another program's launches: what image/launch.go must say of the pinned files.

It shares nothing with the Go code. The chain of pages, save areas and the table
of kernel hashes are those of measure/snp/testdata/oracle.py; the rest is read
off specs/measure.md 1, 4 and 5 here. From this folder, with the files of
safebox.lock (roles firmware-snp, firmware-tdx, kernel):

    python3 launch.py OVMF.amdsev.fd OVMF.fd vmlinuz > launch.json
"""

import hashlib
import json
import os
import struct
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../measure/snp/testdata"))
sys.dont_write_bytecode = True
import oracle  # noqa: E402

COMMAND_LINE = "console=ttyS0 quiet"
INITRD = b"an initrd"


def sha384(b):
    return hashlib.sha384(b).digest()


def entries(image):
    """The table of GUIDs, from its end."""
    end = len(image) - 32
    total, = struct.unpack_from("<H", image, end - 18)
    start, out = end - total, {}
    at = end - 18  # before the footer, whose length is that of the table
    while at > start:
        size, = struct.unpack_from("<H", image, at - 18)
        guid = str(uuid.UUID(bytes_le=image[at - 16:at]))
        out[guid] = image[at - size:at - 18]
        at -= size
    assert at == start
    return out


def rows(image, distance, magic, form):
    at = len(image) - distance
    got, size, version, count = struct.unpack_from("<4sIII", image, at)
    assert (got, version, size) == (magic, 1, 16 + count * struct.calcsize(form))
    return [struct.unpack_from(form, image, at + 16 + i * struct.calcsize(form)) for i in range(count)]


def snp(image, kernel):
    e = entries(image)
    u32 = lambda guid: struct.unpack_from("<I", e[guid])[0]
    gpa, size = struct.unpack("<II", e["7255371f-3a3b-4b04-927b-1da6efa8d454"])
    sections = rows(image, u32("dc886566-984a-4798-a75e-5585a7bf67cc"), b"ASEV", "<3I")
    reset = u32("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
    seed = oracle.Launch()
    seed.normal((1 << 32) - len(image), image)
    inner = b""
    for guid, content in (("97d02dd8-bd20-4c94-aa78-e7714d36ab2a", COMMAND_LINE.encode() + b"\0"),
                          ("44baf731-3a2f-4bd7-9af1-41e29169781d", INITRD),
                          ("4de79437-abd2-427f-b835-d5b172d2045b", kernel)):
        inner += uuid.UUID(guid).bytes_le + struct.pack("<H", 50) + hashlib.sha256(content).digest()
    table = (uuid.UUID("9438d606-4f22-4cc9-b479-a793d411fd21").bytes_le + struct.pack("<H", 168) + inner).ljust(176, b"\0")
    shapes = []
    for name, cpu in ("EPYC-Milan", 0xa00f11), ("EPYC-Genoa", 0xa10f10), ("EPYC-Turin", 0xb00f00):
        for count in 1, 2, 4, 8:
            launch = oracle.Launch(seed.ld)
            for address, length, kind in sections:
                if kind == 0x10:
                    page = bytearray(length)
                    page[gpa % 4096:gpa % 4096 + 176] = table
                    launch.normal(address, bytes(page))
                else:
                    launch.fill({1: 3, 2: 5, 3: 6, 4: 3}[kind], address, length)
            case = {"vmm": "qemu", "cpu": cpu, "reset_eip": reset, "features": 1}
            for i in range(count):
                launch.page(2, 0xfffffffff000, sha384(oracle.save_area(case, i > 0)))
            shapes.append({"name": "qemu/%s/%d" % (name, count), "vmm": "qemu", "vcpus": count,
                           "cpu_signature": cpu, "guest_features": 1, "launch_digest": launch.ld.hex()})
    return {"seed": seed.ld.hex(), "reset_eip": reset, "hash_table": {"gpa": gpa, "size": size},
            "sections": [dict(zip(("gpa", "size", "type"), s)) for s in sections],
            "kernel_sha256": hashlib.sha256(kernel).hexdigest(), "initrd_sha256": hashlib.sha256(INITRD).hexdigest(),
            "shapes": shapes}


def mrtd(image, sections):
    """Single pass: each page is added, then measured in 16 parts."""
    h = hashlib.sha384()
    record = lambda name, gpa: name.ljust(16, b"\0") + struct.pack("<Q", gpa) + bytes(104)
    for offset, raw, gpa, memory, _, attributes in sections:
        data = image[offset:offset + raw].ljust(memory, b"\0")
        for page in range(0, memory, 4096):
            h.update(record(b"MEM.PAGE.ADD", gpa + page))
            if attributes & 1:
                for part in range(page, page + 4096, 256):
                    h.update(record(b"MR.EXTEND", gpa + part) + data[part:part + 256])
    return h.hexdigest()


def authenticode(b):
    """specs/measure.md 5.5: without checksum, directory entry and certificates."""
    pe, = struct.unpack_from("<I", b, 0x3c)
    count, optional = struct.unpack_from("<H", b, pe + 6)[0], struct.unpack_from("<H", b, pe + 20)[0]
    head = pe + 24
    entry = head + {0x10b: 128, 0x20b: 144}[struct.unpack_from("<H", b, head)[0]]
    size, = struct.unpack_from("<I", b, head + 60)
    h = hashlib.sha384(b[:head + 64] + b[head + 68:entry] + b[entry + 8:size])
    parts = [struct.unpack_from("<II", b, head + optional + 40 * i + 16) for i in range(count)]
    for length, at in sorted((p for p in parts if p[0]), key=lambda p: p[1]):
        h.update(b[at:at + length])
        size += length
    h.update(b[size:len(b) - struct.unpack_from("<I", b, entry + 4)[0]])
    return h.digest()


def replay(*digests):
    value = bytes(48)
    for d in digests:
        value = sha384(value + d)
    return value.hex()


def tdx(image, kernel):
    distance, = struct.unpack("<I", entries(image)["e47a6535-984a-4798-865e-4685a7bf8ec2"])
    sections = rows(image, distance, b"TDVF", "<IIQQII")
    area = lambda s: {"gpa": s[2], "size": s[3]}
    volume, = [s for s in sections if s[4] == 1]
    hob, = [s for s in sections if s[4] == 2]
    pe = authenticode(kernel)
    options = (COMMAND_LINE + " initrd=initrd\0").encode("utf-16-le")
    registers = [
        ("mrtd", "exact", mrtd(image, sections)),
        ("rtmr0", "shape", ""),
        ("rtmr1", "exact", replay(pe, sha384(b"Calling EFI Application from Boot Option"), sha384(bytes(4)),
                                  sha384(b"Exit Boot Services Invocation"), sha384(b"Exit Boot Services Returned with Success"))),
        ("rtmr2", "exact", replay(sha384(options), sha384(INITRD))),
        ("rtmr3", "zero", bytes(48).hex()),
    ]
    return {"layout": "l1", "cfv_sha384": sha384(image[volume[0]:volume[0] + volume[1]]).hex(), "td_hob": area(hob),
            "accepted": [area(s) for s in sections if s[4] in (2, 3)], "kernel_pe_sha384": pe.hex(),
            "initrd_sha384": sha384(INITRD).hex(),
            "registers": [dict(zip(("name", "rule", "value"), r)) for r in registers]}


def main():
    files = [open(name, "rb").read() for name in sys.argv[1:4]]
    print(json.dumps({"command_line": COMMAND_LINE, "initrd": INITRD.decode(),
                      "snp": snp(files[0], files[2]), "tdx": tdx(files[1], files[2])}, indent=1))


main()
