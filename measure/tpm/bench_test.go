package tpm

import (
	"bytes"
	"testing"

	"safebox/image/disk"
	"safebox/measure/benchtest"
	"safebox/measure/ovmf"
)

// realSize gives a UKI with sections as large as those of a release, and the
// bytes that are hashed for its registers in each bank: for PCR 4 the whole
// image and its kernel, for PCR 9 its initrd, for PCR 11 both again.
func realSize(b *testing.B) (unified []byte, hashed [][]byte) {
	b.Helper()
	kernel := linux(b)
	kernel = append(kernel, benchtest.Bytes(11_700_000-len(kernel))...)
	initrd := benchtest.Bytes(3_000_000)
	unified = assemble(stub(b), []part{
		{".cmdline", []byte("console=ttyS0 panic=1")},
		{".uname", []byte("6.12.107")},
		{".linux", kernel},
		{".initrd", initrd},
	})
	return unified, [][]byte{unified, kernel, initrd, kernel, initrd}
}

// BenchmarkPredict computes all registers of both banks and compares with the
// hashing that no implementation can do without; with firmware given, also
// with unpacking its volume once.
func BenchmarkPredict(b *testing.B) {
	unified, hashed := realSize(b)
	firmware := realFirmware(b)
	predict := func(in Input) func() {
		return func() {
			if _, err := PredictBanks(in, SHA256, SHA384); err != nil {
				b.Fatal(err)
			}
		}
	}
	hash := func(list ...[]byte) {
		for _, bank := range banks() {
			for _, data := range list {
				bank.Sum(data)
			}
		}
	}
	b.Run("kernel", func(b *testing.B) {
		benchtest.Ratio(b, "x-of-hash-bound", predict(Input{Boot: Kernel, UKI: unified}), func() { hash(hashed...) })
	})
	b.Run("disk", func(b *testing.B) {
		raw := bytes.NewReader(assembledDisk(b, unified))
		in := Input{Boot: ESP, Disk: raw, DiskSize: raw.Size()}
		benchtest.Ratio(b, "x-of-hash-bound", predict(in), func() { hash(hashed...) })
	})
	b.Run("firmware", func(b *testing.B) {
		in := Input{Boot: Kernel, UKI: unified, Firmware: firmware}
		benchtest.Ratio(b, "x-of-unpack-and-hash-bound", predict(in), func() {
			dxe, err := ovmf.DXEVolume(firmware)
			if err != nil {
				b.Fatal(err)
			}
			hash(append(hashed, dxe)...)
		})
	})
}

func assembledDisk(b *testing.B, unified []byte) []byte {
	b.Helper()
	im, err := disk.Assemble([]disk.File{{Path: disk.Boot, Data: unified}}, "benchmark")
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := im.WriteTo(&out); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}
