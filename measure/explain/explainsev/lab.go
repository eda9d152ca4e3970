package explainsev

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"slices"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/search"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
)

// state is a launch that may have been the real one.
type state struct {
	kind     digestKind
	launch   snp.Launch // without its firmware
	firmware int        // of lab
	unknown  unknownSections
}

// digestKind is a way to make a digest.
type digestKind uint8

const (
	kindSNP digestKind = iota + 1
	kindSEVES
	kindSEV
	kindFirmware // the chain of SEV-SNP after the firmware alone
	kindFile     // SHA-384 of the firmware's file
)

// unknownSections says what is done with SEV metadata of unknown types.
type unknownSections uint8

const (
	unknownRefused unknownSections = iota
	unknownZero
	unknownLeftOut
)

// lab computes digests of states, hashing each firmware only once.
type lab struct {
	in       *Guest
	reported []byte
	start    state
	firmware []firmware
}

type firmware struct {
	name   string
	image  snp.Firmware // as given
	seeded snp.Firmware // with a hash in place of its pages
}

func newLab(in *Guest, reported []byte) *lab {
	l := &lab{in: in, reported: reported}
	l.start = state{launch: in.Launch, kind: map[Mode]digestKind{SEVSNP: kindSNP, SEVES: kindSEVES, SEV: kindSEV}[in.Mode]}
	l.start.launch.Trace = nil
	l.start.launch.Firmware = snp.Firmware{}
	if in.Launch.UnknownAsZero {
		l.start.unknown = unknownZero
	}
	// A digest of another length comes from another kind of SEV, and its features
	// from another default.
	if len(reported) == 48 {
		l.start.launch.Features |= snp.SNPActive
	} else {
		l.start.launch.Features &^= snp.SNPActive
		l.start.launch.VMSAGPA = 0
	}
	l.add("the expected firmware", in.Launch.Firmware)
	for _, f := range in.Firmware {
		l.add(f.Name, f.Value)
	}
	return l
}

// add hashes a firmware. One that can't be hashed is found out about when it is
// launched.
func (l *lab) add(name string, image snp.Firmware) {
	f := firmware{name: name, image: image, seeded: image}
	if image.Seed == nil && len(l.reported) == 48 {
		if seed, err := snp.OVMFHash(image.Pages); err == nil {
			f.seeded.Seed, f.seeded.Pages, f.seeded.GPA = &seed, nil, 0
		}
	}
	l.firmware = append(l.firmware, f)
}

// most is how many states may be looked at: fewer where each needs the hash of a
// whole image.
func (l *lab) most() int {
	switch {
	case l.in.Launch.SVSM != nil:
		return svsmProbes
	case len(l.reported) == 32:
		return sevProbes
	}
	return snpProbes
}

// probe is a probe of a search. The number of vCPUs costs nothing more.
func (l *lab) probe(s state) (found bool, changes []search.Change, tried int, err error) {
	f := l.firmware[s.firmware]
	launch := s.launch
	launch.UnknownAsZero = s.unknown == unknownZero
	var digests [][]byte
	switch s.kind {
	case kindSNP:
		digests, err = l.measureSNP(launch, f, s.unknown)
	case kindSEVES:
		launch.Firmware = f.image
		digests, err = digestsOf(snp.MeasureSEVESUpTo(launch, vcpuLimit(launch, f)))
	case kindSEV:
		launch.Firmware = f.image
		var d [32]byte
		d, err = snp.MeasureSEV(launch)
		return l.compare(d[:], err)
	case kindFirmware:
		if f.seeded.Seed == nil {
			return false, nil, 0, fmt.Errorf("%s has no pages", f.name)
		}
		return l.compare(f.seeded.Seed[:], nil)
	case kindFile:
		if f.image.Pages == nil {
			return false, nil, 0, fmt.Errorf("%s has no pages", f.name)
		}
		d := sha512.Sum384(f.image.Pages)
		return l.compare(d[:], nil)
	}
	if err != nil || len(digests[0]) != len(l.reported) {
		return false, nil, 0, err
	}
	for i, d := range digests {
		if found, changes, _, _ := l.compare(d, nil); found {
			return true, append(l.vcpus(i+1), changes...), len(digests), nil
		}
	}
	return false, nil, len(digests), nil
}

// vcpuLimit is 1 for firmware that starts no second processor.
func vcpuLimit(launch snp.Launch, f firmware) int {
	if f.image.ResetEIP == nil && launch.SVSM == nil {
		return 1
	}
	return snp.MaxVCPUs
}

func (l *lab) measureSNP(launch snp.Launch, f firmware, unknown unknownSections) ([][]byte, error) {
	if len(l.reported) != 48 {
		return [][]byte{nil}, nil
	}
	launch.Firmware = f.seeded
	if launch.SVSM != nil {
		launch.Firmware = f.image
	}
	if unknown == unknownLeftOut {
		launch.Firmware.Sections = knownSections(launch.Firmware.Sections)
	}
	return digestsOf(snp.MeasureUpTo(launch, vcpuLimit(launch, f)))
}

func knownSections(list []ovmf.SEVSection) []ovmf.SEVSection {
	return slices.DeleteFunc(slices.Clone(list), unknownType)
}

// compare looks at a digest and, where the owner's key is known, at its HMAC.
func (l *lab) compare(d []byte, err error) (found bool, changes []search.Change, tried int, _ error) {
	if err != nil {
		return false, nil, 0, err
	}
	if bytes.Equal(d, l.reported) {
		return true, nil, 1, nil
	}
	if o := l.in.Owner; o != nil && len(d) == 32 && len(l.reported) == 32 {
		if mac := snp.LaunchMeasure(o.TIK, [32]byte(d), o.Measured); bytes.Equal(mac[:], l.reported) {
			return true, []search.Change{{
				Change: explain.Change{Axis: "value", Expected: "launch digest", Explains: "answer of LAUNCH_MEASURE"},
				Phrase: "the answer of LAUNCH_MEASURE (an HMAC under the session's key) instead of the digest itself",
			}}, 1, nil
		}
	}
	return false, nil, 1, nil
}

// vcpus is the change of the number of vCPUs, if there is one.
func (l *lab) vcpus(n int) []search.Change {
	if n == l.in.Launch.VCPUs {
		return nil
	}
	unit := "vCPUs"
	if n == 1 {
		unit = "vCPU"
	}
	return []search.Change{{
		Change: explain.Change{Axis: axisVCPUs, Expected: fmt.Sprint(l.in.Launch.VCPUs), Explains: fmt.Sprint(n)},
		Phrase: fmt.Sprintf("%d %s instead of %d", n, unit, l.in.Launch.VCPUs),
	}}
}

// digestsOf makes slices of a list of arrays.
func digestsOf[D snp.Digest | [32]byte](list []D, err error) ([][]byte, error) {
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(list))
	for i := range list {
		switch d := any(list[i]).(type) {
		case snp.Digest:
			out[i] = d[:]
		case [32]byte:
			out[i] = d[:]
		}
	}
	return out, nil
}
