#!/usr/bin/env python3
"""Another program's launch digests: cases that no published vector covers.

It shares nothing with the Go code: the save area is packed field by field in
the order of AMD 24593 table B-4 instead of by offsets, PAGE_INFO likewise.
Run it and compare: python3 oracle.py > oracle.json
"""

import hashlib
import hmac
import json
import struct
import uuid

PAGE = 4096
FOUR_GIB = 1 << 32


def sha384(b):
    return hashlib.sha384(b).digest()


def sha256(b):
    return hashlib.sha256(b).digest()


def pattern(size, seed):
    """Bytes that differ from page to page."""
    return b"".join(sha256(b"%d %d" % (seed, i)) for i in range(size // 32))


class Launch:
    def __init__(self, ld=bytes(48)):
        self.ld = ld
        self.pages = []

    def page(self, kind, gpa, contents=bytes(48)):
        info = self.ld + contents + struct.pack("<HBBBBBBQ", 0x70, kind, 0, 0, 0, 0, 0, gpa)
        assert len(info) == 0x70
        self.ld = sha384(info)
        self.pages.append([kind, gpa, self.ld.hex()])

    def normal(self, gpa, data):
        for i in range(0, len(data), PAGE):
            self.page(1, gpa + i, sha384(data[i:i + PAGE]))

    def fill(self, kind, gpa, size):
        for i in range(0, size, PAGE):
            self.page(kind, gpa + i)


def seg(selector=0, attributes=0, limit=0xffff, base=0):
    return struct.pack("<HHIQ", selector, attributes, limit, base)


# cs of the first, cs of the others, ss, tr, g_pat, rdx (None: signature), mxcsr, fcw
PAT = 0x0007040600070406
PROFILES = {
    "qemu": (0x9b, 0x9b, 0x93, 0x8b, PAT, None, 0x1f80, 0x37f),
    "qemu-legacy": (0x9b, 0x9b, 0x93, 0x8b, PAT, None, 0, 0),
    "ec2": (0x9a, 0x9b, 0x92, 0x83, PAT, 0x600, 0, 0),
    "ec2-legacy": (0x9a, 0x9b, 0x92, 0x83, PAT, 0, 0, 0),
    "gce": (0x9b, 0x9b, 0x93, 0x8b, 0x70106, 0x600, 0, 0),
    "krun": (0x9a, 0x9a, 0x92, 0x83, PAT, 0, 0, 0),
}


def save_area(case, ap, svsm_entry=None):
    cs0, cs1, ss, tr, pat, rdx, mxcsr, fcw = PROFILES[case["vmm"]]
    if rdx is None:
        rdx = case["cpu"]
    eip = case["reset_eip"] if ap else 0xfffffff0
    data = seg(0, 0x93)
    if svsm_entry is None:
        es = ds = fs = gs = data
        segments = [es, seg(0xf000, cs1 if ap else cs0, base=eip & 0xffff0000), seg(0, ss), ds, fs, gs]
        cr0, rip, tr = 0x10, eip & 0xffff, seg(0, tr)
    else:
        flat = seg(16, 0xc93, 0xffffffff)
        segments = [flat, seg(8, 0xc9b, 0xffffffff), flat, flat, flat, data]
        cr0, rip, tr = 0x11, svsm_entry, seg(0, 0x8b)
    out = b"".join(segments)
    out += seg() + seg(0, 0x82) + seg() + tr  # gdtr ldtr idtr tr
    out += struct.pack("<5Q", 0, 0, 0, 0, 0)  # four shadow stacks, u_cet
    out += bytes(2) + struct.pack("<BB", 0, 0) + bytes(4)  # vmpl, cpl
    out += struct.pack("<Q", 0x1000)  # efer
    out += bytes(104)
    out += struct.pack("<Q", 0)  # xss
    out += struct.pack("<3Q", 0x40, 0, cr0)  # cr4 cr3 cr0
    out += struct.pack("<4Q", 0x400, 0xffff0ff0, 2, rip)  # dr7 dr6 rflags rip
    out += struct.pack("<8Q", *[0] * 8)  # dr0 to dr3, their masks
    out += bytes(24)
    out += struct.pack("<Q", 0)  # rsp
    out += struct.pack("<3Q", 0, 0, 0)  # s_cet ssp isst_addr
    out += struct.pack("<Q", 0)  # rax
    out += struct.pack("<8Q", *[0] * 8)  # star .. sysenter_eip
    out += struct.pack("<Q", 0)  # cr2
    out += bytes(32)
    out += struct.pack("<Q", pat)
    out += struct.pack("<5Q", *[0] * 5)  # dbgctl, branches and exceptions
    out += bytes(80)
    out += struct.pack("<II", 0, 0)  # pkru tsc_aux
    out += bytes(24)
    out += struct.pack("<3Q", 0, rdx, 0)  # rcx rdx rbx
    out += bytes(8)
    out += struct.pack("<3Q", 0, 0, 0)  # rbp rsi rdi
    out += struct.pack("<8Q", *[0] * 8)  # r8 to r15
    out += bytes(16)
    out += struct.pack("<4Q", 0, 0, 0, 0)  # exit information, nrip
    out += struct.pack("<Q", case["features"])
    out += struct.pack("<6Q", *[0] * 6)  # vintr, exit code, vtom, tlb, pcpu, event
    out += struct.pack("<Q", 1)  # xcr0
    out += bytes(16)
    out += struct.pack("<QIHHH", 0, mxcsr, 0, 0, fcw)
    return out.ljust(PAGE, b"\0")


def table(kernel, initrd, cmdline):
    def entry(guid, b):
        return uuid.UUID(guid).bytes_le + struct.pack("<H", 18 + len(b)) + b
    inner = entry("97d02dd8-bd20-4c94-aa78-e7714d36ab2a", sha256(cmdline.encode() + b"\0"))
    inner += entry("44baf731-3a2f-4bd7-9af1-41e29169781d", sha256(initrd.encode()))
    inner += entry("4de79437-abd2-427f-b835-d5b172d2045b", sha256(kernel.encode()))
    return entry("9438d606-4f22-4cc9-b479-a793d411fd21", inner).ljust(176, b"\0")


def section(launch, case, gpa, size, kind):
    if kind == 0x10 and "kernel" in case:
        data = bytearray(size)
        off = case["hash_table"] % PAGE
        data[off:off + 176] = table(*case["kernel"])
        launch.normal(gpa, bytes(data))
        return
    sec_mem = 4 if case["vmm"] == "gce" else 3
    launch.fill({1: sec_mem, 2: 5, 3: 6}.get(kind, 3), gpa, size)


def snp(case):
    launch = Launch()
    size = case["firmware_size"]
    launch.normal(FOUR_GIB - size, pattern(size, 1))
    entry = None
    if "svsm_size" in case:
        gpa = FOUR_GIB - size - case["vars_size"] - case["svsm_size"]
        launch.normal(gpa, pattern(case["svsm_size"], 2))
        entry = gpa + case["svsm_entry"]
    sections = case["sections"]
    if case["vmm"].startswith("ec2"):
        sections = sorted(sections, key=lambda s: s[2] == 3)  # stable
    for s in sections:
        section(launch, case, *s)
    for i in range(case["vcpus"]):
        launch.page(2, case.get("vmsa_gpa") or 0xfffffffff000, sha384(save_area(case, i > 0, entry)))
    return launch


def sev(case):
    h = hashlib.sha256(pattern(case["firmware_size"], 1))
    if "kernel" in case:
        h.update(table(*case["kernel"]))
    if case["mode"] == "seves":
        for i in range(case["vcpus"]):
            h.update(save_area(case, i > 0))
    return h.hexdigest()


SECTIONS = [
    [0x800000, 0x9000, 1],
    [0x80a000, 0x3000, 1],
    [0x80d000, 0x1000, 2],
    [0x80e000, 0x1000, 3],
    [0x80f000, 0x1000, 4],
    [0x811000, 0xf000, 1],
    [0x810000, 0x1000, 0x10],
]
KERNEL = ["a kernel", "an initrd", " console=ttyS0 "]


def case(name, **more):
    c = {"name": name, "mode": "snp", "vmm": "qemu", "vcpus": 1, "cpu": 0xa10f10, "features": 1,
         "firmware_size": 3 * PAGE, "reset_eip": 0x80b004, "hash_table": 0x810c00, "sections": SECTIONS}
    c.update(more)
    if c["mode"] != "snp":
        c["expected"] = sev(c)
        return c
    launch = snp(c)
    c["expected"] = launch.ld.hex()
    if c.pop("trace", False):
        c["pages"] = launch.pages
    return c


def cases():
    for vmm in PROFILES:
        yield case(vmm, vmm=vmm, vcpus=3)
        if vmm != "gce":
            yield case(vmm + " kernel", vmm=vmm, vcpus=2, kernel=KERNEL)
    yield case("traced", vmm="ec2", vcpus=2, trace=True, kernel=KERNEL)
    yield case("long secrets and CPUID", sections=[[0x1000, 0x3000, 2], [0x4000, 0x2000, 3]], trace=True)
    yield case("long secrets and CPUID on EC2", vmm="ec2",
               sections=[[0x6000, 0x1000, 3], [0x1000, 0x3000, 2], [0x4000, 0x2000, 3], [0x8000, 0x1000, 1]])
    yield case("long kernel hashes", kernel=KERNEL, sections=[[0x810000, 0x3000, 0x10], [0x1000, 0x1000, 2]])
    yield case("table at the end of its page", kernel=KERNEL, hash_table=0x810f50)
    yield case("unknown section", unknown=True, sections=SECTIONS + [[0x900000, 0x2000, 0x77]])
    yield case("empty sections", sections=[[0, 0, 1], [0, 0, 2], [0, 0, 3]] + SECTIONS)
    yield case("many features", features=0xd7ff)
    yield case("address of 52 bits", vmm="gce", vcpus=2, vmsa_gpa=0xffffffffff000)
    yield case("512 processors", vcpus=512)
    yield case("AP address with all bits", vcpus=2, reset_eip=0xffffffff)
    for vmm in "qemu", "qemu-legacy":
        yield case("SVSM " + vmm, vmm=vmm, vcpus=3, svsm_size=2 * PAGE, svsm_entry=0x1230, vars_size=5 * PAGE)
        yield case("SEV-ES " + vmm, mode="seves", vmm=vmm, vcpus=3, features=0, kernel=KERNEL)
    yield case("SEV-ES DebugSwap", mode="seves", vmm="qemu-legacy", vcpus=2, features=0x20)
    yield case("SEV", mode="sev", kernel=KERNEL)


def main():
    tik, nonce = bytes(range(16)), bytes(range(16, 32))
    text = bytes([4, 1, 55, 24]) + struct.pack("<I", 0x10005) + sha256(b"digest") + nonce
    measure = {"tik": tik.hex(), "nonce": nonce.hex(), "api": [1, 55, 24], "policy": 0x10005,
               "digest": sha256(b"digest").hex(), "expected": hmac.new(tik, text, "sha256").hexdigest()}
    print(json.dumps({"launch_measure": measure, "cases": list(cases())}, indent=1))


if __name__ == "__main__":
    main()
