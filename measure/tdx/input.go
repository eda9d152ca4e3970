package tdx

import (
	"errors"
	"fmt"
	"io"

	"safebox/measure/ovmf"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
)

// Input is what a prediction is made from. Whatever is absent leaves the
// registers that need it without a value; nothing is guessed.
type Input struct {
	Firmware *ovmf.Image     // unified image, as package ovmf's Open returns it
	Order    tdvf.Order      // of MRTD's pages
	Trace    func(tdvf.Page) // gets every page of MRTD in order, if not nil
	Memory   uint64          // of a q35 machine in bytes, for the TD HOB and a patched kernel
	HOB      []byte          // TD HOB without its end, where it is not that of a q35 machine
	Layout   Layout          // of RTMR0 and RTMR1

	Variables   *Variables  // nil: none enrolled, which the firmware's image is checked for
	BootEntries []BootEntry // nil: those of a direct boot, see Layout
	FWCfg       *FWCfg      // layout L2 only; nil: those of a direct boot without more options
	ACPI        *ACPI
	Authorities [][]byte // UEFI_VARIABLE_DATA of each EV_EFI_VARIABLE_AUTHORITY, which come last in RTMR0

	// What is booted: at most one of them.
	Direct *Direct
	UKI    *UKI
	Disk   *Disk

	Runtime []Event // RTMR3; nil: nothing extends it

	Digests Digests // stand in for bytes that are not at hand
}

// ACPI holds the tables as QEMU hands them to the firmware: files of fw_cfg.
type ACPI struct {
	Loader []byte // etc/table-loader
	RSDP   []byte // etc/acpi/rsdp
	Tables []byte // etc/acpi/tables
}

// Measurement is a digest whose bytes are not at hand: Given or FromLog.
type Measurement struct {
	Digest Digest
	Source Source
}

// Digests are measurements that stand in for bytes. To give both is an error.
type Digests struct {
	HOB, CFV             *Measurement
	Loader, RSDP, Tables *Measurement // ACPI
	Kernel               *Measurement // Authenticode digest, of Direct
	LoadOptions          *Measurement // of Direct
	Initrd               *Measurement // of Direct

	// Of the layout Intel, where it is not known what bytes are measured.
	IntelACPI, IntelKernel, IntelCommandLine *Measurement
}

// Direct is a boot by QEMU's -kernel.
type Direct struct {
	Kernel       []byte    // whole file
	InitrdSHA384 *[48]byte // of the file; nil: no initrd
	InitrdSize   uint64    // of the file, needed for a patched kernel only
	CommandLine  string    // as given with -append

	Patched     bool        // QEMU wrote into the setup header, see bzimage.Patch
	OptionsForm OptionsForm // zero: as the layout's edk2 builds them
	Silent      bool        // the kernel measures nothing: before Linux 6.9

	// Slips of other tools, for explaining their values.
	WideHeapEnd   bool // see bzimage.Patch
	KeepVideoMode bool // see bzimage.Patch
	PeerPadding   bool // see peerAuthenticode
}

// UKI is the boot of a unified kernel image with systemd-stub.
type UKI struct {
	Boot tpm.Boot // tpm.ESP or tpm.Kernel

	// Image, or the disk that holds it, DiskSize bytes long: see tpm.Input.
	Image    []byte
	Disk     io.ReaderAt
	DiskSize int64
	Profile  int // which the load options choose
}

// Disk is any other boot from a disk, such as by shim and a boot loader. What
// the loader measures is its own affair: RTMR2 is what the caller gives.
type Disk struct {
	GPT    []byte  // event data, package gpt's EventData
	Images []Image // in the order in which they are loaded
	RTMR2  []Event
}

// Image is an EFI application: its file or its Authenticode digest.
type Image struct {
	Name   string
	File   []byte
	Digest *Measurement
}

// input is an Input with what several registers take from its UKI.
type input struct {
	Input
	uki *ukiEvents // nil if no UKI is booted
}

// check refuses what contradicts itself.
func (in *Input) check() error {
	boots := 0
	for _, given := range []bool{in.Direct != nil, in.UKI != nil, in.Disk != nil} {
		if given {
			boots++
		}
	}
	if boots > 1 {
		return errors.New("boot: got several, want at most one of direct kernel, UKI and disk")
	}
	if in.Layout > Intel {
		return fmt.Errorf("layout: got %v, want one of %v", in.Layout, Layouts())
	}
	if err := in.checkTwice(); err != nil {
		return err
	}
	if err := in.checkSources(); err != nil {
		return err
	}
	if err := in.checkBytes(); err != nil {
		return err
	}
	if in.BootEntries != nil && len(in.BootEntries) == 0 {
		return errors.New("boot entries: got an empty list, want one or more: what a firmware without any measures was not seen")
	}
	if in.FWCfg != nil && in.Layout != L2 {
		return fmt.Errorf("fw_cfg files: got some with layout %v, which does not measure them: want %v", in.Layout, L2)
	}
	return nil
}

// checkSources wants a source of every digest that is not computed here, or the
// register would have a value with an event that nothing stands for.
func (in *Input) checkSources() error {
	digests := in.Digests.named()
	if in.Disk != nil {
		for i, im := range in.Disk.Images {
			digests[fmt.Sprintf("image %d %q", i, im.Name)] = im.Digest
		}
	}
	for what, m := range digests {
		if m != nil && m.Source != Given && m.Source != FromLog {
			return fmt.Errorf("digest of %s: source: got %v, want %v or %v", what, m.Source, Given, FromLog)
		}
	}
	return nil
}

// checkBytes refuses bytes that are there and cannot be what was measured.
func (in *Input) checkBytes() error {
	acpi, disk := in.ACPI, in.Disk
	if acpi == nil {
		acpi = &ACPI{}
	}
	if disk == nil {
		disk = &Disk{}
	}
	for what, b := range map[string][]byte{
		"etc/table-loader": acpi.Loader, "etc/acpi/rsdp": acpi.RSDP, "etc/acpi/tables": acpi.Tables, "partition table": disk.GPT,
	} {
		if b != nil && len(b) == 0 {
			return fmt.Errorf("%s: got an empty file, want its content or none", what)
		}
	}
	if in.HOB == nil {
		return nil
	}
	return checkHOB(in.HOB)
}

// checkTwice refuses digests beside the bytes they stand in for.
func (in *Input) checkTwice() error {
	direct := in.Direct
	if direct == nil {
		direct = &Direct{}
	}
	for _, t := range []struct {
		what  string
		bytes bool
		m     *Measurement
	}{
		{"TD HOB", in.HOB != nil, in.Digests.HOB},
		{"configuration volume", in.Firmware != nil, in.Digests.CFV},
		{"ACPI tables", in.ACPI != nil, in.Digests.Loader},
		{"ACPI tables", in.ACPI != nil, in.Digests.RSDP},
		{"ACPI tables", in.ACPI != nil, in.Digests.Tables},
		{"kernel", direct.Kernel != nil, in.Digests.Kernel},
		{"initrd", direct.InitrdSHA384 != nil, in.Digests.Initrd},
		{"load options", direct.CommandLine != "", in.Digests.LoadOptions},
	} {
		if t.bytes && t.m != nil {
			return fmt.Errorf("%s: got both bytes and a digest, want one", t.what)
		}
	}
	return nil
}

func (d *Digests) named() map[string]*Measurement {
	return map[string]*Measurement{
		"TD HOB": d.HOB, "configuration volume": d.CFV,
		"etc/table-loader": d.Loader, "etc/acpi/rsdp": d.RSDP, "etc/acpi/tables": d.Tables,
		"kernel": d.Kernel, "load options": d.LoadOptions, "initrd": d.Initrd,
		"Intel ACPI data": d.IntelACPI, "Intel kernel file": d.IntelKernel, "Intel command line": d.IntelCommandLine,
	}
}
