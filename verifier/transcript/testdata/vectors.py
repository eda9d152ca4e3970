#!/usr/bin/env python3
# Prints the vectors of docs/format-transcript.md, from docs/format-transcript.md
# alone: hashlib and struct, none of our Go code.
import hashlib
import struct

def lp(b):
    return struct.pack(">I", len(b)) + b

def sha256(b):
    return hashlib.sha256(b).digest()

# Public keys of RFC 8032, section 7.1, TEST 1 and TEST 2.
owner = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
receipt_key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
nonce = bytes(range(0x00, 0x20))
boot_session = bytes(range(0x20, 0x40))
kem = struct.pack(">H", 0x647A) + bytes((7 * i + 3) % 256 for i in range(1216))
release = sha256(b"release")
document = (b'{"type":"safebox/config/v1","worker":{"engine":"compiler",'
            b'"memory":268435456,"output":16777216,"wall":60}}')
grant = sha256(b"grant")

audience = sha256(b"safebox/audience/v1\0" + owner)

def transcript(platform, config):
    i = b"safebox/evidence/v1\0"
    for field in (platform, nonce, audience, kem, receipt_key, release, config, boot_session):
        i += lp(field)
    return i

def show(name, value):
    print(name)
    for at in range(0, len(value), 48):
        print("  " + value[at:at + 48].hex())

show("owner", owner)
show("audience", audience)
show("nonce", nonce)
show("kem", kem)
show("receipt_key", receipt_key)
show("release", release)
show("document", document)
show("config", sha256(document))
show("config_none", sha256(b""))
show("boot_session", boot_session)
show("grant", grant)

i = transcript(b"vtpm", sha256(document))
show("i_vtpm", i)
show("t_vtpm", hashlib.sha512(i).digest())
show("t_vtpm_sha256", sha256(hashlib.sha512(i).digest()))
show("qualifying_data_vtpm", sha256(i))
none = transcript(b"vtpm", sha256(b""))
show("t_vtpm_none", hashlib.sha512(none).digest())
show("qualifying_data_vtpm_none", sha256(none))
for platform in (b"snp", b"tdx", b"nitro", b"nitrotpm"):
    t = hashlib.sha512(transcript(platform, sha256(document))).digest()
    show("t_" + platform.decode(), t)

for bank in ("sha256", "sha384"):
    h = lambda b: hashlib.new(bank, b).digest()
    zero = bytes(len(h(b"")))
    keys = h(b"safebox/keys/v1\0" + grant)
    show("keys_event_" + bank, keys)
    for name, config in (("", sha256(document)), ("_none", sha256(b""))):
        event = h(b"safebox/config/v1\0" + config)
        fresh = h(zero + event)
        show("config_event%s_%s" % (name, bank), event)
        show("pcr15_fresh%s_%s" % (name, bank), fresh)
        show("pcr15_working%s_%s" % (name, bank), h(fresh + keys))
