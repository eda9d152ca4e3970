#!/usr/bin/env python3
"""Assembles a small UKI and computes its PCRs, sharing no code with the Go packages.

Usage, in this folder:
    python3 oracle.py plain > plain.efi      the UKI that lies on disk.img.xz
    python3 oracle.py > oracle.txt
The stub and, standing in for a kernel, the add-on stub are those of ../../pe/testdata."""
import hashlib
import lzma
import struct
import sys

STUB = "../../pe/testdata/linuxx64.efi.stub"
LINUX = "../../pe/testdata/addonx64.efi.stub"


def up(n, to):
    return (n + to - 1) // to * to


def assemble(stub, sections):
    """Adds sections the way specs/image.md 1.1 describes."""
    b = bytearray(stub)
    pe, = struct.unpack_from("<I", b, 0x3C)
    count, = struct.unpack_from("<H", b, pe + 6)
    opt = pe + 24
    table = opt + struct.unpack_from("<H", b, pe + 20)[0]
    last = struct.unpack_from("<IIII", b, table + 40 * (count - 1) + 8)
    va = up(last[1] + last[0], 0x1000)
    for name, data in sections:
        raw = up(len(data), 0x200)
        flags = 0x40000020 if name == ".linux" else 0x40000040
        header = struct.pack("<8sIIIIIIHHI", name.encode(), len(data), va, raw, len(b), 0, 0, 0, 0, flags)
        b[table + 40 * count:table + 40 * count + 40] = header
        b += data + bytes(raw - len(data))
        count += 1
        va = up(va + len(data), 0x1000)
    struct.pack_into("<H", b, pe + 6, count)
    struct.pack_into("<I", b, opt + 56, va)
    struct.pack_into("<I", b, opt + 64, 0)
    return bytes(b)


def headers(b):
    pe, = struct.unpack_from("<I", b, 0x3C)
    count, optsize = struct.unpack_from("<H", b, pe + 6)[0], struct.unpack_from("<H", b, pe + 20)[0]
    for i in range(count):
        off = pe + 24 + optsize + 40 * i
        yield (b[off:off + 8].rstrip(b"\0").decode(),) + struct.unpack_from("<IIII", b, off + 8)


def authenticode(h, b):
    pe, = struct.unpack_from("<I", b, 0x3C)
    opt = pe + 24
    cert = opt + 112 + 8 * 4
    size, = struct.unpack_from("<I", b, opt + 60)
    certsize, = struct.unpack_from("<I", b, cert + 4)
    m = hashlib.new(h, b[:opt + 64] + b[opt + 68:cert] + b[cert + 8:size])
    done = size
    for _, _, _, raw, off in sorted(headers(b), key=lambda s: s[4]):
        m.update(b[off:off + raw])
        done += raw
    m.update(b[done:len(b) - certsize])
    return m.digest()


def cpio(files):
    out, n = b"", 0
    for name, mode, data in files + [("TRAILER!!!", 0, b"")]:
        n = 0 if name == "TRAILER!!!" else n + 1
        fields = [n, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        header = b"".join(b"%08x" % f for f in fields)
        if n == 0:
            header = header.upper()  # the stub's trailer is a constant of its own, see osrel/
        out += b"070701" + header + name.encode() + b"\0"
        out += bytes(-len(out) % 4)
        out += data + bytes(-len(data) % 4)
    return out


def pcrs(h, boot, uki, gpt):
    H = lambda x: hashlib.new(h, x).digest()
    content = {n: uki[off:off + min(v, raw)].ljust(v, b"\0") for n, v, _, raw, off in headers(uki)}
    A, S = H(b"Calling EFI Application from Boot Option"), H(bytes(4))
    X = [H(b"Exit Boot Services Invocation"), H(b"Exit Boot Services Returned with Success")]
    U, L = authenticode(h, uki), authenticode(h, content[".linux"])
    initrd = content.get(".initrd")
    if ".osrel" in content:
        extra = cpio([(".extra", 0o40555, b""), (".extra/os-release", 0o100444, content[".osrel"])])
        initrd = (initrd + bytes(-len(initrd) % 4) if initrd else b"") + extra
    nine = [H((content[".cmdline"].decode() + "\0").encode("utf-16-le"))] + ([H(initrd)] if initrd else [])
    eleven = []
    for n in [".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"]:
        if n in content:
            eleven += [H(n.encode() + b"\0"), H(content[n])]
    seq = {
        2: [S], 3: [S], 6: [S],
        4: [A, S, U, L] if boot == "esp" else [U, A, S, L],
        5: [S, H(gpt)] + X if boot == "esp" else [S] + X,
        9: nine, 11: eleven,
    }
    for n, digests in sorted(seq.items()):
        v = bytes(hashlib.new(h).digest_size)
        for d in digests:
            v = H(v + d)
        yield n, v.hex()


def gpt_event(disk):
    """UEFI_GPT_DATA: header, number of used entries, used entries."""
    start, count, size = struct.unpack_from("<QII", disk, 512 + 72)
    entries = [disk[start * 512 + i * size:start * 512 + (i + 1) * size] for i in range(count)]
    used = [e for e in entries if e[:16] != bytes(16)]
    return disk[512:512 + 92] + struct.pack("<Q", len(used)) + b"".join(used)


def main():
    stub, linux = open(STUB, "rb").read(), open(LINUX, "rb").read()
    initrd = b"not quite an initrd, 33 bytes...\n"
    base = [(".cmdline", b"console=ttyS0 panic=1"), (".uname", b"6.12.107"), (".initrd", initrd), (".linux", linux)]
    kinds = {
        "plain": base,
        "osrel": [(".osrel", b"ID=safebox\nVERSION=1\n")] + base,
        "bare": [base[3], base[0], base[2]],
    }
    if len(sys.argv) > 1:
        sys.stdout.buffer.write(assemble(stub, kinds[sys.argv[1]]))
        return
    gpt = gpt_event(lzma.open("disk.img.xz").read())
    for kind, sections in kinds.items():
        uki = assemble(stub, sections)
        for h in ("sha256", "sha384"):
            for boot in ("esp", "kernel"):
                for n, v in pcrs(h, boot, uki, gpt):
                    print(kind, boot, h, n, v)


main()
