package explaintdx

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"

	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
)

// state is a TD that may have been the real one.
type state struct {
	input    tdx.Input // without firmware and ACPI tables
	firmware int       // of lab
	acpi     int       // of lab
	hob      []byte    // in place of the one that memory gives
}

// lab computes registers of states, hashing each file only once.
type lab struct {
	in       *TD
	unusable error // what is wrong with the expected firmware
	start    state
	firmware []firmware
	acpi     []acpiTables
	kernels  map[kernelForm]tdx.Digest
	full     bool // kernels has all that it may
}

type firmware struct {
	name   string
	phrase string
	image  *ovmf.Image // nil if none is given or it can't be launched
	cfv    *tdx.Measurement
}

type acpiTables struct {
	name                 string
	loader, rsdp, tables *tdx.Measurement
}

// kernelForm is all that the digest of a kernel depends on.
type kernelForm struct {
	kernel              *byte // first byte of the file, which stands for it
	patched, initrd     bool
	wide, keep, padding bool
	size, memory        uint64
	commandLine         string
}

func newLab(in *TD, unusable error) *lab {
	l := &lab{in: in, unusable: unusable, kernels: map[kernelForm]tdx.Digest{}}
	l.start.input = in.Input
	l.start.input.Firmware, l.start.input.ACPI = nil, nil
	first := in.Input.Firmware
	if unusable != nil {
		first = nil
	}
	l.addFirmware("the expected firmware", "", first)
	for _, f := range in.Firmware {
		l.addFirmware(f.Name, search.Instead(inputs.Firmware, f.Name, "the expected one"), f.Value)
	}
	if unusable != nil {
		l.addVars()
	}
	l.addACPI("the expected tables", in.Input.ACPI)
	for _, a := range in.ACPI {
		l.addACPI(a.Name, a.Value)
	}
	return l
}

func (l *lab) addFirmware(name, phrase string, im *ovmf.Image) {
	f := firmware{name: name, phrase: phrase, image: im}
	if im != nil {
		if cfv, err := tdvf.CFV(im); err == nil {
			f.cfv = given(cfv)
		}
	}
	l.firmware = append(l.firmware, f)
}

// addVars makes whole images of a CODE image.
func (l *lab) addVars() {
	for _, v := range l.in.Vars {
		whole := append(bytes.Clone(v.Value), l.in.Input.Firmware.Bytes...)
		im, err := ovmf.Open(whole)
		if err != nil {
			continue // not its other half
		}
		l.addFirmware(v.Name+" before it", fmt.Sprintf("%s in front of the firmware instead of the CODE image alone", v.Name), im)
	}
}

func (l *lab) addACPI(name string, a *tdx.ACPI) {
	t := acpiTables{name: name}
	if a != nil {
		t.loader, t.rsdp, t.tables = given(a.Loader), given(a.RSDP), given(a.Tables)
	}
	l.acpi = append(l.acpi, t)
}

// given is a digest in place of bytes, nil for none.
func given(b []byte) *tdx.Measurement {
	if b == nil {
		return nil
	}
	return &tdx.Measurement{Digest: sha512.Sum384(b), Source: tdx.Given}
}

// probe compares a register of a state, and its neighbours in events.
func (l *lab) probe(index int, s state, reported []byte) (found bool, changes []search.Change, tried int, err error) {
	r, err := l.register(index, s)
	if err != nil {
		return false, nil, 0, err
	}
	if bytes.Equal(r.Value[:], reported) {
		return true, nil, 1, nil
	}
	if index == tdx.MRTD {
		return false, nil, 1, nil
	}
	events := make([]registers.Event, len(r.Events))
	for i, e := range r.Events {
		events[i] = registers.Event{Name: e.Description, Digest: e.Digest[:]}
	}
	found, changes, tried = registers.Neighbours(sha512.New384(), events, reported)
	return found, changes, tried + 1, nil
}

// register predicts one register from as little as it needs.
func (l *lab) register(index int, s state) (tdx.Register, error) {
	var in tdx.Input
	var err error
	switch index {
	case tdx.MRTD:
		in = l.mrtdInput(s)
	case tdx.RTMR0:
		in, err = l.rtmr0Input(s)
	case tdx.RTMR1:
		in, err = l.rtmr1Input(s)
	case tdx.RTMR2:
		in = rtmr2Input(s)
	default:
		in.Runtime = s.input.Runtime
	}
	if err != nil {
		return tdx.Register{}, err
	}
	p, err := tdx.Predict(in)
	if err != nil {
		return tdx.Register{}, err
	}
	r := p.Registers[index]
	if r.Value == nil {
		return tdx.Register{}, errors.New(r.Missing)
	}
	return r, nil
}

func (l *lab) mrtdInput(s state) tdx.Input {
	in := tdx.Input{Firmware: l.firmware[s.firmware].image, Order: s.input.Order, Memory: s.input.Memory, HOB: s.input.HOB}
	if s.hob != nil {
		in.HOB = s.hob
	}
	if in.Order != tdvf.TDHOBBug {
		in.HOB = nil
	}
	return in
}

// rtmr0Input leaves the firmware out: MRTD would be computed again.
func (l *lab) rtmr0Input(s state) (tdx.Input, error) {
	in := s.input
	in.Runtime, in.UKI, in.Disk, in.Direct = nil, nil, nil, nil
	if isDirect(&s.input) {
		in.Direct = &tdx.Direct{Silent: true}
	}
	in.Digests.Kernel, in.Digests.LoadOptions, in.Digests.Initrd = nil, nil, nil
	f := l.firmware[s.firmware]
	if f.cfv != nil {
		in.Digests.CFV = f.cfv
	}
	if a := l.acpi[s.acpi]; a.tables != nil {
		in.Digests.Loader, in.Digests.RSDP, in.Digests.Tables = a.loader, a.rsdp, a.tables
	}
	switch {
	case s.hob != nil:
		in.HOB, in.Digests.HOB = s.hob, nil
	case in.HOB != nil || in.Digests.HOB != nil:
	case f.image != nil && in.Memory != 0:
		hob, err := tdvf.TDHOB(f.image, in.Memory)
		if err != nil {
			return in, err
		}
		in.HOB = hob
	}
	return in, nil
}

func isDirect(in *tdx.Input) bool {
	return in.Direct != nil || in.UKI != nil && in.UKI.Boot == kernelBoot
}

// rtmr1Input puts the digest of the kernel in place of its bytes.
func (l *lab) rtmr1Input(s state) (tdx.Input, error) {
	in := s.input
	in.Memory, in.HOB, in.Runtime = 0, nil, nil
	if in.Direct == nil || in.Direct.Kernel == nil {
		return in, nil
	}
	digest, err := l.kernel(&s.input)
	if err != nil {
		return in, err
	}
	in.Direct = &tdx.Direct{Silent: true}
	in.Digests = tdx.Digests{
		Kernel:      &tdx.Measurement{Digest: digest, Source: tdx.Given},
		IntelKernel: s.input.Digests.IntelKernel, IntelCommandLine: s.input.Digests.IntelCommandLine,
	}
	return in, nil
}

// kernel is the Authenticode digest of the kernel in its form.
func (l *lab) kernel(in *tdx.Input) (tdx.Digest, error) {
	d := *in.Direct
	form := kernelForm{kernel: &d.Kernel[0], padding: d.PeerPadding}
	if d.Patched {
		form.patched, form.wide, form.keep, form.commandLine = true, d.WideHeapEnd, d.KeepVideoMode, d.CommandLine
		if d.InitrdSHA384 != nil {
			form.initrd, form.size, form.memory = true, d.InitrdSize, in.Memory
		}
	}
	if digest, ok := l.kernels[form]; ok {
		return digest, nil
	}
	if len(l.kernels) >= kernelForms {
		l.full = true
		return tdx.Digest{}, errors.New("kernel: too many forms")
	}
	d.Silent = true
	p, err := tdx.Predict(tdx.Input{Layout: tdx.L1, Memory: in.Memory, Direct: &d})
	if err != nil {
		return tdx.Digest{}, err
	}
	r := p.Registers[tdx.RTMR1]
	if r.Value == nil {
		return tdx.Digest{}, errors.New(r.Missing)
	}
	l.kernels[form] = r.Events[0].Digest
	return r.Events[0].Digest, nil
}

// rtmr2Input leaves out what goes into other registers.
func rtmr2Input(s state) tdx.Input {
	in := s.input
	in.Memory, in.HOB, in.Runtime = 0, nil, nil
	if in.Direct != nil {
		d := *in.Direct
		d.Kernel, d.Patched = nil, false
		in.Direct = &d
	}
	return in
}
