#!/usr/bin/env python3
"""Signs two_ramdisks.eif of measure/testdata/nitro/eif as RFC 6979 says, with
the throw-away key beside it. Shares no code with the Go packages: CBOR, the
tables of the file and its checksum are written here from AWS's specification,
and the signature is OpenSSL's (Python's cryptography 48.0.0).

usage: sign.py FOLDER OUT, FOLDER being measure/testdata/nitro/eif
"""
import hashlib
import struct
import sys
import zlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def head(major, n):
    for limit, code, form in ((24, None, None), (1 << 8, 24, ">B"), (1 << 16, 25, ">H")):
        if n < limit:
            return bytes([major << 5 | (n if code is None else code)]) + (struct.pack(form, n) if form else b"")
    raise ValueError(n)


def text(s):
    return head(3, len(s)) + s.encode()


def octets(b):  # an array of integers, as serde writes a Vec<u8>
    return head(4, len(b)) + b"".join(head(0, c) for c in b)


def string(b):
    return head(2, len(b)) + b


def pcr0(image):
    count = struct.unpack_from(">H", image, 0x1A)[0]
    offsets = struct.unpack_from(">32Q", image, 0x1C)[:count]
    sizes = struct.unpack_from(">32Q", image, 0x11C)[:count]
    h = hashlib.sha384()
    for offset, size in zip(offsets, sizes):
        if struct.unpack_from(">H", image, offset)[0] in (1, 2, 3):
            h.update(image[offset + 12:offset + 12 + size])
    return hashlib.sha384(bytes(48) + h.digest()).digest()


def main(folder, out):
    image = bytearray(open(folder + "/two_ramdisks.eif", "rb").read())
    key = serialization.load_pem_private_key(open(folder + "/signer_key_TEST_ONLY.pem", "rb").read(), None)
    certificate = open(folder + "/signer_cert.pem", "rb").read()
    protected = head(5, 1) + head(0, 1) + head(1, 34)  # {1: -35}
    payload = head(5, 2) + text("register_index") + head(0, 0) + text("register_value") + octets(pcr0(image))
    signed = head(4, 4) + text("Signature1") + string(protected) + string(b"") + string(payload)
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384(), deterministic_signing=True)))
    signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    message = head(4, 4) + string(protected) + head(5, 0) + string(payload) + string(signature)
    section = (head(4, 1) + head(5, 2) + text("signing_certificate") + octets(certificate)
               + text("signature") + octets(message))
    count = struct.unpack_from(">H", image, 0x1A)[0]
    struct.pack_into(">H", image, 0x1A, count + 1)
    struct.pack_into(">Q", image, 0x1C + 8 * count, len(image))
    struct.pack_into(">Q", image, 0x11C + 8 * count, len(section))
    image += struct.pack(">HHQ", 4, 0, len(section)) + section
    struct.pack_into(">I", image, 0x220, zlib.crc32(image[0x224:], zlib.crc32(image[:0x220])))
    open(out + "/to_be_signed.cbor", "wb").write(signed)
    open(out + "/two_ramdisks_rfc6979.eif", "wb").write(image)


main(*sys.argv[1:])
