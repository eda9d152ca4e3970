#!/bin/bash
# boot.sh CASE WORK: boots CASE/case.txt in the folder WORK, and writes pcrs.txt and evlog.bin there.
# WORK/ovmf holds the OVMF_* files and the flashes of inputs (unpacked); WORK/kernel, WORK/stub257 and
# WORK/stub262 are the files of README.md; WORK/NAME.key and WORK/NAME.pem sign ("sign NAME").
# Kernel messages can break into what init prints: boot again until the log replays to the registers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case=$here/$1/case.txt
work=$2
get() { awk -v k="$1" '$1 == k { $1 = ""; sub(/^ /, ""); print; exit }' "$case"; }

cd "$work"
rm -rf tpm && mkdir tpm
cp "ovmf/$(get vars)" vars.fd
python3 "$here/make.py" uki "$case" kernel stub257 stub262 >uki.efi
if [ -n "$(get sign)" ]; then
	sbsign --key "$(get sign).key" --cert "$(get sign).pem" --output uki.signed uki.efi
	mv uki.signed uki.efi
fi
swtpm_setup --tpm2 --tpmstate tpm --pcr-banks sha256,sha384
swtpm socket --tpm2 --tpmstate dir=tpm --ctrl type=unixio,path=tpm/sock --terminate &
while [ ! -S tpm/sock ]; do sleep 0.1; done
args=()
if [ "$(get boot)" = esp ]; then
	rm -f esp.img disk.img
	truncate -s 40M esp.img
	mkfs.vfat --invariant -F 32 -S 512 esp.img
	mmd -i esp.img ::/EFI ::/EFI/BOOT
	mcopy -i esp.img uki.efi ::/EFI/BOOT/BOOTX64.EFI
	truncate -s 42M disk.img
	printf '%s\n' 'label: gpt' 'label-id: 5AFEB0C0-0000-4000-8000-000000000001' \
		'start=2048, size=81920, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=5AFEB0C0-0000-4000-8000-000000000002, name=esp' |
		sfdisk -q disk.img
	dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc
	readonly=off
	if [ "$(get disk)" = readonly ]; then readonly=on; fi
	args=(-drive "file=disk.img,format=raw,if=none,id=d,readonly=$readonly" -device "virtio-blk-pci,drive=d,romfile=,bootindex=0")
else
	args=(-kernel uki.efi)
	if [ -n "$(get append)" ]; then args+=(-append "$(get append)"); fi
fi
machine=(-M q35)
case $(get firmware) in
*secboot*) machine=(-M "q35,smm=on" -global "driver=cfi.pflash01,property=secure,value=on") ;;
esac
timeout 200 qemu-system-x86_64 "${machine[@]}" -accel tcg,thread=multi -cpu max -m 1G -smp 2 -nodefaults -nographic -no-reboot \
	-drive "if=pflash,format=raw,unit=0,readonly=on,file=ovmf/$(get firmware)" -drive if=pflash,format=raw,unit=1,file=vars.fd \
	-chardev socket,id=t,path=tpm/sock -tpmdev emulator,id=t0,chardev=t -device tpm-crb,tpmdev=t0 \
	-serial file:console.log "${args[@]}"
tr -d '\r' <console.log | grep -a '^PCR ' | tr A-F a-f | sed 's/^PcR/PCR/' >pcrs.txt
tr -d '\r' <console.log | grep -aE '^L [0-9a-f]+$' | cut -c3- | xxd -r -p >evlog.bin
