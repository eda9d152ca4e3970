#!/usr/bin/env bash
# Makes the small packages of this folder with dpkg-deb. Run in an empty folder.
set -euo pipefail
export SOURCE_DATE_EPOCH=1767225600
umask 022
mkdir -p small/DEBIAN small/usr/share/doc/small small/usr/lib/small
cat > small/DEBIAN/control <<'CONTROL'
Package: small
Version: 1:2.0~rc1-3+deb13u1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: two small files
 with a folded
 .
 description
CONTROL
printf 'hello from a package\n' > small/usr/share/doc/small/hello
seq 1 2000 > small/usr/lib/small/numbers
ln -s ../../share/doc/small/hello small/usr/lib/small/link
ln small/usr/lib/small/numbers small/usr/lib/small/second
find small -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
for z in xz gzip none zstd; do
  dpkg-deb --root-owner-group -Z$z --uniform-compression --build small "small-$z.deb"
done
sha256sum small/usr/share/doc/small/hello small/usr/lib/small/numbers
stat -c '%s %n' small/usr/share/doc/small/hello small/usr/lib/small/numbers
rm -r small

# Single .xz streams that dpkg-deb does not write: several blocks, and what the
# reader refuses.
seq 1 2000 > numbers
xz -kc --block-size=4096 --check=sha256 --lzma2=preset=6,dict=64KiB numbers > blocks.xz
xz -kc --check=crc32 --lzma2=preset=6,dict=128MiB numbers > dictionary-128m.xz
xz -kc --x86 --lzma2=preset=6 numbers > filter-x86.xz
xz -kc --check=none numbers > check-none.xz
rm numbers
