package snp

import (
	"errors"
	"fmt"

	"safebox/measure/ovmf"
)

// firmwareEnd is the address after the last byte of a firmware image: the
// reset vector is 16 bytes below 4 GiB.
const firmwareEnd = 1 << 32

// resetBlock is the name of the entry with the processors' reset address.
const resetBlock = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"

// Firmware is what a launch needs of a firmware image. Either Pages or Seed is
// given.
type Firmware struct {
	Pages     []byte            // the whole image
	GPA       uint64            // of Pages, whose end is at 4 GiB
	Seed      *Digest           // launch digest after the image, see OVMFHash
	Sections  []ovmf.SEVSection // of its SEV metadata, in its order
	ResetEIP  *uint32           // where all processors but the first start
	HashTable *ovmf.Area        // where the firmware looks for kernel hashes
}

// NewFirmware takes from an image what a launch needs.
func NewFirmware(im *ovmf.Image) Firmware {
	return Firmware{
		Pages: im.Bytes, GPA: im.GPA(),
		Sections: im.SEV, ResetEIP: im.ResetEIP, HashTable: im.HashTable,
	}
}

// OVMFHash is the launch digest of SEV-SNP after the pages of the firmware and
// nothing else. With Firmware.Seed it stands for the image, of which then only
// the metadata is needed. No machine reports it.
func OVMFHash(firmware []byte) (Digest, error) {
	if err := checkPages(firmware); err != nil {
		return Digest{}, fmt.Errorf("hashing firmware: %w", err)
	}
	var c Chain
	c.Normal(firmwareEnd-uint64(len(firmware)), firmware, "firmware")
	return c.LD(), nil
}

// checkPages: a monitor measures whole pages.
func checkPages(b []byte) error {
	if len(b) == 0 || len(b)%pageSize != 0 {
		return fmt.Errorf("size: got %d bytes, want a multiple of %d", len(b), pageSize)
	}
	if len(b) > ovmf.MaxSize {
		return fmt.Errorf("size: got %d bytes, want at most %d", len(b), ovmf.MaxSize)
	}
	return nil
}

// checkImage is check without a seed: what all of SEV measures alike.
func (f *Firmware) checkImage() error {
	if err := checkPages(f.Pages); err != nil {
		return fmt.Errorf("firmware: %w", err)
	}
	if want := firmwareEnd - uint64(len(f.Pages)); f.GPA != want {
		return fmt.Errorf("firmware: address: got %#x, want %#x, so that it ends at 4 GiB", f.GPA, want)
	}
	return nil
}

func (f *Firmware) check() error {
	switch {
	case f.Seed == nil:
		if err := f.checkImage(); err != nil {
			return err
		}
	case f.Pages != nil:
		return errors.New("firmware: got pages and a hash that stands for them, want one of them")
	}
	return nil
}

// checkHashTable: QEMU, sev_add_kernel_loader_hashes, refuses to start with an
// area that is absent or too small, and aborts with one that leaves its page
// (snp_launch_update_kernel_hashes).
func (f *Firmware) checkHashTable() error {
	if f.HashTable == nil || f.HashTable.GPA == 0 {
		return errors.New("kernel: the firmware has no SEV hash table (7255371f-3a3b-4b04-927b-1da6efa8d454), " +
			"so it would not check kernel, initrd and command line: want firmware built for it, such as OVMF.amdsev.fd")
	}
	if f.HashTable.Size < hashTableSize {
		return fmt.Errorf("kernel: SEV hash table of the firmware at %#x: size: got %d, want at least %d",
			f.HashTable.GPA, f.HashTable.Size, hashTableSize)
	}
	if offset := f.HashTable.GPA % pageSize; offset+hashTableSize > pageSize {
		return fmt.Errorf("kernel: SEV hash table of the firmware at %#x: offset in its page: got %#x, want at most %#x: the table would cross the page's end",
			f.HashTable.GPA, offset, pageSize-hashTableSize)
	}
	return nil
}
