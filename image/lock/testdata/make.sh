#!/usr/bin/env bash
# Makes a small archive with a signed index, and the locks that belong to it,
# with dpkg-deb, xz, gpg, sha256sum and stat. Run in an empty folder.
set -euo pipefail
export SOURCE_DATE_EPOCH=1767225600 GNUPGHOME=$PWD/gnupg LC_ALL=C
umask 022

pool() { case $1 in linux-*) echo pool/main/l/linux-signed-amd64 ;; *) echo pool/main/s/small-boot ;; esac; }

# package NAME VERSION ARCHITECTURE FIELDS FILE...: each file holds its name
# and version.
package() {
  local name=$1 version=$2 arch=$3 fields=$4 deb=$1_${2#*:}_$3.deb kind=package f
  shift 4
  mkdir -p "build/DEBIAN" "$(pool "$name")"
  {
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.org>\n' "$name" "$version" "$arch"
    [ -z "$fields" ] || printf '%s\n' "$fields"
    printf 'Description: test\n'
  } > build/DEBIAN/control
  for f; do
    mkdir -p "build/$(dirname "$f")"
    printf '%s of %s\n' "$f" "$version" > "build/$f"
  done
  find build -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
  dpkg-deb --root-owner-group -Zxz --build build "$(pool "$name")/$deb" >/dev/null
  {
    cat build/DEBIAN/control
    printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$(pool "$name")/$deb" "$(stat -c %s "$(pool "$name")/$deb")" "$(hash "$(pool "$name")/$deb")"
  } >> Packages
  # The lock's lines for it. A tool has no lines of files, nor a blank one above.
  {
    case $name in small-cc | libsmall1) kind=tool ;; *) echo ;; esac
    printf "$kind %s %s %s %s %s %s\n" "$name" "$version" "$arch" "$(stat -c %s "$(pool "$name")/$deb")" "$(hash "$(pool "$name")/$deb")" "$(pool "$name")/$deb"
    for f; do
      [ $kind = package ] || break
      case $f in */vmlinuz-*) role=kernel ;; *.ko.xz) role=module ;; *.tar.xz) role=kernel-source ;; *) role=stub ;; esac
      printf '  file %s %s %s %s\n' $role "$f" "$(stat -c %s "build/$f")" "$(hash "build/$f")"
    done
  } > "lines-$name-${version#*:}"
  rm -r build
}
hash() { sha256sum "$1" | cut -d' ' -f1; }

kernel() { # RELEASE VERSION
  local r=$1-cloud-amd64
  package "linux-image-$r" "$2" amd64 "" "boot/vmlinuz-$r" "usr/lib/modules/$r/kernel/net/core/failover.ko.xz"
}
kernel 9.9.9+deb99 9.9.9-1
kernel 9.9.10+deb99 9.9.10-1
package linux-image-cloud-amd64 9.9.10-1 amd64 "Depends: linux-image-9.9.10+deb99-cloud-amd64 (= 9.9.10-1)"
package small-boot 1:2.0-1 all "" usr/lib/small/x64.stub
package small-boot 1:2.0~rc1-1 all "" usr/lib/small/x64.stub
package small-source-9.9 9.9.9-1 all "" usr/src/small-source-9.9.tar.xz
package small-source-9.9 9.9.10-1 all "" usr/src/small-source-9.9.tar.xz
package small-cc 4.2-1 amd64 "Depends: libsmall1 (>= 1.0), debconf (>= 0.5) | debconf-2.0" usr/bin/small-cc
package small-cc 4.3-1 amd64 "Depends: libsmall-abi (= 2), debconf (>= 0.5) | debconf-2.0" usr/bin/small-cc
package libsmall1 1.0-1 amd64 "" usr/lib/libsmall.so.1
package libsmall1 1.1-1+b1 amd64 "Provides: libsmall-abi (= 2)" usr/lib/libsmall.so.1

lock() {
  cat <<'HEAD'
# Every input of a build, pinned by size and hash. The format is described in
# package image/lock; "safebox lock update" writes this file anew.
format safebox-lock/1
epoch 1767225600
go 1.26.8
toolchain golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64 h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=
HEAD
  cat "$@"
}
lock lines-linux-image-9.9.9+deb99-cloud-amd64-9.9.9-1 lines-small-boot-2.0~rc1-1 > old.lock
lock lines-linux-image-9.9.10+deb99-cloud-amd64-9.9.10-1 lines-small-boot-2.0-1 > new.lock
lock lines-small-boot-2.0~rc1-1 lines-small-source-9.9-9.9.9-1 <(echo) lines-small-cc-4.2-1 lines-libsmall1-1.0-1 > old-source.lock
lock lines-small-boot-2.0-1 lines-small-source-9.9-9.9.10-1 <(echo) lines-small-cc-4.3-1 lines-libsmall1-1.1-1+b1 > new-source.lock
rm lines-*

index=dists/example/main/binary-amd64
mkdir -p $index
xz -9c Packages > $index/Packages.xz
rm Packages
cat > Release <<RELEASE
Origin: Test
Suite: stable
Codename: example
Date: Thu, 01 Jan 2026 00:00:00 UTC
Valid-Until: Fri, 01 Jan 2100 00:00:00 UTC
SHA256:
 $(hash $index/Packages.xz) $(stat -c %s $index/Packages.xz) main/binary-amd64/Packages.xz
RELEASE

mkdir -m 700 gnupg
gpg() { command gpg --faked-system-time 20260101T000000 "$@"; } # else a clock behind ours refuses the keys
key() { gpg --batch --quiet --passphrase '' --quick-generate-key "$1" ed25519 sign never; }
key 'Test archive <archive@example.org>'
key 'Somebody else <else@example.org>'
gpg --batch --quiet --yes -u archive@example.org --clear-sign --output dists/example/InRelease Release
gpg --batch --quiet --export archive@example.org > archive.gpg
gpg --batch --quiet --export else@example.org > else.gpg
gpgconf --kill gpg-agent
rm -r gnupg Release
