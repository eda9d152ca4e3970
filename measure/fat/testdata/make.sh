#!/bin/sh
# Makes the images beside it with dosfstools and mtools (README.md).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
export SOURCE_DATE_EPOCH=315532800 TZ=UTC LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1

fill() { # SIZE TEXT FILE: SIZE bytes of numbered lines
  mkdir -p "$(dirname "$3")"
  seq -f "$2 %g" 1 1000000 | head -c "$1" >"$3"
}
fill 3000 boot "$work/EFI/BOOT/BOOTX64.EFI"
fill 100 conf "$work/loader/loader.conf"
fill 700 lower "$work/loader/lower.efi"
fill 1537 long "$work/EFI/Linux/a rather long file name, with ünïcode.efi"
fill 5000 hole "$work/hole1"
fill 5000 hole "$work/hole2"
fill 20000 frag "$work/FRAG.BIN"
: >"$work/EMPTY"

image() { # NAME SIZE_KIB MKFS_OPTIONS...: one hole before FRAG.BIN, so that it lies in pieces
  name=$1 size=$2
  shift 2
  rm -f "$work/img"
  mkfs.vfat --invariant -C "$@" -n SAFEBOX "$work/img" "$size" >/dev/null
  mcopy -i "$work/img" "$work/hole1" "$work/EMPTY" ::
  mmd -i "$work/img" ::EFI ::EFI/BOOT ::EFI/Linux ::loader
  mcopy -i "$work/img" "$work/hole2" "$work/EFI/BOOT/BOOTX64.EFI" ::EFI/BOOT
  mcopy -i "$work/img" "$work/EFI/Linux"/* ::EFI/Linux
  mcopy -i "$work/img" "$work/loader"/* ::loader
  mdel -i "$work/img" ::hole1 ::EFI/BOOT/hole2
  mcopy -i "$work/img" "$work/FRAG.BIN" ::
  fsck.vfat -n "$work/img" >&2
  gzip -9nc "$work/img" >"$name.img.gz"
}
image fat12 1024 -F 12
image fat16 4200 -F 16 -s 1
image fat32 33800 -F 32 -s 1
(cd "$work" && sha256sum EFI/BOOT/BOOTX64.EFI EFI/Linux/* loader/* FRAG.BIN)
rm -r "$work"
