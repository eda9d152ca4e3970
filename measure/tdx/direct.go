package tdx

import (
	"crypto/sha512"
	"errors"
	"fmt"

	"safebox/measure/bzimage"
	"safebox/measure/eventlog"
	"safebox/measure/pe"
)

// OptionsForm is how the firmware puts the command line and the initrd's name
// together (edk2, OvmfPkg/Library/GenericQemuLoadImageLib).
type OptionsForm uint8

// The forms.
const (
	OptionsOfLayout OptionsForm = iota // InitrdFirst for L2, else InitrdLast
	InitrdLast                         // "cmdline initrd=initrd": edk2 up to 2025.02
	InitrdFirst                        // "initrd=initrd cmdline": later
	NoInitrdName                       // "cmdline" though there is an initrd: other loaders
)

// String names the form by its text.
func (f OptionsForm) String() string {
	switch f {
	case OptionsOfLayout:
		return "of layout"
	case InitrdLast:
		return "initrd last"
	case InitrdFirst:
		return "initrd first"
	case NoInitrdName:
		return "no initrd name"
	}
	return fmt.Sprintf("options form %d", uint8(f))
}

// directRTMR1 is a kernel that QEMU hands to the firmware: firmware loads it,
// and so measures it, before it signals that it is ready to boot.
func directRTMR1(in *input) (Register, error) {
	s := &sequence{}
	if in.Layout == Intel {
		s.either(eventlog.PlatformConfigFlags, "kernel file", nil, FromFile, in.Digests.IntelKernel,
			"the kernel file event of this layout: what it hashes is not known: give its digest")
	}
	if err := s.kernel(in); err != nil {
		return Register{}, err
	}
	if in.Layout == Intel {
		s.either(eventlog.PlatformConfigFlags, "DirectBoot Command Line", nil, FromFile, in.Digests.IntelCommandLine,
			"the command line event of this layout: what it hashes is not known: give its digest")
		s.bootVariables(in)
	}
	s.action(callingBootOption)
	switch in.Layout {
	case L0: // it went into RTMR0
	case L1, L2:
		s.separator()
	case Intel: // for PCR 2 to 6 each
		for range 5 {
			s.separator()
		}
	}
	s.exits()
	return s.register(), nil
}

// kernel appends the digest of the kernel as the firmware gets it.
func (s *sequence) kernel(in *input) error {
	d := in.Direct
	const kind, name = eventlog.EFIBootServicesApplication, "Authenticode digest of the kernel"
	if d.Kernel == nil {
		s.either(kind, name, nil, FromFile, in.Digests.Kernel, "no kernel given")
		return nil
	}
	// A UKI is no bzImage: by -kernel it has one event more than a kernel.
	if _, err := bzimage.Decode(d.Kernel); err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	b := d.Kernel
	if d.Patched {
		if missing := in.patchMissing(); missing != "" {
			s.unknown(kind, name, "kernel with a patched header: needs "+missing)
			return nil
		}
		var err error
		b, err = bzimage.Patch{
			CommandLine: d.CommandLine, Initrd: in.hasInitrd(), InitrdSize: d.InitrdSize, Memory: in.Memory,
			WideHeapEnd: d.WideHeapEnd, KeepVideoMode: d.KeepVideoMode,
		}.Apply(b)
		if err != nil {
			return err
		}
	}
	digest, err := authenticode(b, d.PeerPadding)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	s.events = append(s.events, Event{kind, name, digest, FromFile})
	return nil
}

// patchMissing says what of the input a patched header needs and has not.
func (in *Input) patchMissing() string {
	switch {
	case in.hasInitrd() && in.Memory == 0:
		return "the memory size, which places the initrd"
	case in.hasInitrd() && in.Direct.InitrdSize == 0:
		return "the size of the initrd"
	case in.Digests.LoadOptions != nil && !in.Direct.KeepVideoMode:
		return "the command line, in which vga= may stand"
	}
	return ""
}

// hasInitrd reports whether a direct boot has one.
func (in *Input) hasInitrd() bool { return in.Direct.InitrdSHA384 != nil || in.Digests.Initrd != nil }

func authenticode(b []byte, peers bool) (Digest, error) {
	if peers {
		return peerAuthenticode(b)
	}
	f, err := pe.Decode(b)
	if err != nil {
		return Digest{}, err
	}
	return Digest(f.Authenticode(sha512.New384())), nil
}

// peerAuthenticode hashes an image as dstack-mr, tdx-measure and Tinfoil's tool
// do, where that is not what firmware does: zeros to a multiple of 8 are added,
// and bytes behind the sections count only if the image is signed.
func peerAuthenticode(b []byte) (Digest, error) {
	f, err := pe.Decode(b)
	if err != nil {
		return Digest{}, err
	}
	if f.Certificates.Size == 0 {
		end := uint64(f.Header.SizeOfHeaders)
		for _, s := range f.Sections {
			end += uint64(s.RawSize)
		}
		if end > uint64(len(b)) {
			return Digest{}, errors.New("sections: end behind the file")
		}
		if f, err = pe.Decode(b[:end]); err != nil {
			return Digest{}, err
		}
	}
	h := sha512.New384()
	f.Authenticode(h) // Sum leaves h as it is
	h.Write(make([]byte, (8-len(b)%8)%8))
	return Digest(h.Sum(nil)), nil
}

// directRTMR2 is what the kernel's EFI stub was given (Linux 6.9 and later,
// drivers/firmware/efi/libstub/efi-stub-helper.c, efi_measure_tagged_event).
func directRTMR2(in *input) (Register, error) {
	d := in.Direct
	if d.Silent {
		return (&sequence{}).register(), nil
	}
	s := &sequence{}
	if err := s.checkMeasures(d.Kernel); err != nil {
		return Register{}, err
	}
	if d.InitrdSHA384 != nil && *d.InitrdSHA384 == sha512.Sum384(nil) {
		return Register{}, errors.New("initrd: got an empty file, want one with content or none: firmware and kernel pass over an empty one")
	}
	initrd := in.hasInitrd()
	if err := s.loadOptions(in, initrd); err != nil {
		return Register{}, err
	}
	if d.InitrdSHA384 != nil {
		s.events = append(s.events, Event{eventlog.EventTag, "Linux initrd", *d.InitrdSHA384, FromFile})
	} else if initrd {
		s.either(eventlog.EventTag, "Linux initrd", nil, FromFile, in.Digests.Initrd, "")
	}
	return s.register(), nil
}

// checkMeasures looks at the version of the kernel: before 6.9 it measures
// nothing in a TD, unless its distributor made it.
func (s *sequence) checkMeasures(kernel []byte) error {
	if kernel == nil {
		return nil
	}
	h, err := bzimage.Decode(kernel)
	if err != nil {
		return err
	}
	version, err := h.Version(kernel)
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		s.lack("kernel without a version: whether it measures its command line is not known: before Linux 6.9 it does not")
	} else if major < 6 || major == 6 && minor < 9 {
		s.lack(fmt.Sprintf("Linux %d.%d: before 6.9 the kernel measures nothing in a TD: say so if this one was not changed to", major, minor))
	}
	return nil
}

func (s *sequence) loadOptions(in *input, initrd bool) error {
	const name = "LOADED_IMAGE::LoadOptions"
	if in.Digests.LoadOptions != nil {
		s.either(eventlog.EventTag, name, nil, FromFile, in.Digests.LoadOptions, "")
		return nil
	}
	text := in.Direct.CommandLine
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return fmt.Errorf("command line: byte %d: got %#02x, want printable ASCII", i, c)
		}
	}
	form := in.Direct.OptionsForm
	if form == OptionsOfLayout {
		switch in.Layout {
		case L0, L1:
			form = InitrdLast
		case L2:
			form = InitrdFirst
		default:
			s.unknown(eventlog.EventTag, name, "load options: their form depends on the layout, which was not chosen or is not known")
			return nil
		}
	}
	switch {
	case !initrd, form == NoInitrdName:
	case form == InitrdLast:
		text += " initrd=initrd"
	case form == InitrdFirst:
		text = "initrd=initrd " + text
	default:
		return fmt.Errorf("load options: got %v", form)
	}
	if text == "" {
		s.unknown(eventlog.EventTag, name, "no command line given, and what a kernel without load options measures was not seen")
		return nil
	}
	s.add(Computed, eventlog.EventTag, name, wide(text))
	return nil
}
