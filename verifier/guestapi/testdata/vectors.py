#!/usr/bin/env python3
# Prints the vectors of docs/format-job.md: struct and hashlib, none of our Go
# code.
import hashlib
import struct

def lp(b):
    return struct.pack(">I", len(b)) + b

def u32(n):
    return struct.pack(">I", n)

def show(name, value):
    print(name)
    for at in range(0, len(value), 48):
        print("  " + value[at:at + 48].hex())

job = b"SBJ1" + lp(b"grant") + lp(b"manifest") + lp(b"leaves") + lp(b"") + lp(b"\0asm")
show("job", job)
show("job_sha256", hashlib.sha256(job).digest())
result = (b"SBR1" + lp(b"receipt") + u32(2)
          + u32(0) + u32(2) + lp(b"for the first") + lp(b"for the second")
          + u32(258) + u32(1) + lp(b"output"))
show("result", result)
empty = b"SBR1" + lp(b"receipt") + u32(0)
show("result_empty", empty)
