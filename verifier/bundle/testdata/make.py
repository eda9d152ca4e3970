#!/usr/bin/env python3
# Makes python.tar: what Python's tarfile writes for a file release.json with
# the same owner, mode and time as a bundle's.
import io
import tarfile

content = b'{"type":"safebox/release/v1"}'
entry = tarfile.TarInfo("release.json")
entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
with tarfile.open("python.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
    tar.addfile(entry, io.BytesIO(content))
