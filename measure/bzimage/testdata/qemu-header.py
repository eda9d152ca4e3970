#!/usr/bin/env python3
"""Print as JSON the setup header that QEMU hands out for a kernel.

usage: qemu-header.py VMLINUZ

Reads fw_cfg item 0x18 (FW_CFG_SETUP_DATA) of a stopped q35 machine over qtest,
through ports 0x510 and 0x511, for several memory sizes, initrds and command lines.
"""
import json, os, subprocess, sys, tempfile

CASES = [  # memory in MiB, initrd size or None, command line, bytes to change first
    (2048, None, "quiet", {}), (2048, 4096, "quiet", {}), (1024, 1234567, "quiet", {}), (2815, 999, "quiet", {}),
    (2816, 999, "quiet", {}), (4096, 65537, "quiet", {}), (2560, 4660, "quiet", {0x236: 0x7d}),
    (2560, 4660, "quiet", {0x236: 0x3f}), (2048, 0, "quiet", {}),
    (1024, None, "quiet vga=0x317 x", {}), (1024, None, "vga=791", {}), (1024, None, "vga=010", {}),
    (1024, None, "xvga=ask", {}), (1024, None, "vga=extra", {}), (1024, None, "vga=normal vga=ask", {}),
    (1024, None, "quiet", {0x226: 1, 0x227: 2}),
    # versions of the boot protocol at which the initrd's limit changes
    (2560, 4660, "quiet", {0x206: 0x0c}), (2560, 4660, "quiet", {0x206: 0x0b}), (2560, 4660, "quiet", {0x206: 0x03}),
    (2560, 4660, "quiet", {0x206: 0x02}), (2560, 0xfff, "quiet", {0x206: 0x02}), (2560, 0x1000, "quiet", {0x206: 0x02}),
    # limits that are met exactly
    (2048, 0, "quiet", {0x236: 0x7d, 0x22c: 0, 0x22d: 0x80, 0x22e: 0xfd, 0x22f: 0x7f}),
    (4096, 0xfff, "quiet", {}), (8, (8 << 20) - 0x28000 - 2, "quiet", {}), (8, (8 << 20) - 0x28000 - 1, "quiet", {}),
    (1024, None, "vga=0X317", {}), (1024, None, "vga=0", {}), (1024, None, "vga=0xffff1234", {}),
    (1024, None, "vga=09", {}), (1024, None, "vga=1,2", {}), (1024, None, "vga=0x100000000", {}),
]

def read(kernel, memory, initrd, cmdline):
    args = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-m", str(memory),
            "-qtest", "stdio", "-kernel", kernel, "-append", cmdline]
    if initrd is not None:
        args += ["-initrd", initrd]
    p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    def ask(line):
        p.stdin.write(line + "\n"); p.stdin.flush()
        while True:
            answer = p.stdout.readline()
            if answer.startswith("OK"):
                return answer.split()
            if not answer and p.wait() == 1:
                return None
            if answer.startswith("FAIL") or not answer:
                sys.exit("qtest: %r: %r" % (line, answer))
    try:
        if ask("outw 0x510 0x18") is None:
            return None
    except BrokenPipeError:
        if p.wait() == 1:
            return None
        raise
    b = bytes(int(ask("inb 0x511")[1], 16) for _ in range(0x26c))
    p.kill(); p.wait()
    return b

out = []
with tempfile.TemporaryDirectory() as d:
    original = open(sys.argv[1], "rb").read()
    for memory, size, cmdline, change in CASES:
        b = bytearray(original)
        for k, v in change.items():
            b[k] = v
        open(d + "/k", "wb").write(b)
        initrd = None
        if size is not None:
            initrd = d + "/i"
            open(initrd, "wb").write(b"\0" * size)
        got = read(d + "/k", memory, initrd, cmdline)
        case = {"memory_mib": memory, "initrd": size, "cmdline": cmdline, "change": {hex(k): v for k, v in change.items()}}
        if got is None: # QEMU ended with exit code 1
            out.append(dict(case, refused=True))
            continue
        out.append(dict(case, header=got[0x1f1:0x26c].hex(), rest_as_file=got[:0x1f1] == bytes(b[:0x1f1])))
json.dump({"qemu": subprocess.check_output(["qemu-system-x86_64", "--version"], text=True).splitlines()[0], "cases": out}, sys.stdout, indent=1)
print()
