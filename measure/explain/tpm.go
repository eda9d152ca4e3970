package explain

import (
	"errors"
	"fmt"
	"io"

	"safebox/measure/eventlog"
	"safebox/measure/fat"
	"safebox/measure/gpt"
	"safebox/measure/tpm"
)

// TPM is a measured boot whose PCRs were expected, and what else the caller has at
// hand. It serves a NitroTPM too.
type TPM struct {
	Input tpm.Input
	Bank  tpm.Bank

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	UKIs         []Named[[]byte]
	Firmware     []Named[[]byte]
	SecureBoot   []Named[*tpm.SecureBoot]
	CommandLines []string // that a host may have given: load options

	// Log is the log that came with the values. It explains them if it replays to
	// them.
	Log *eventlog.Log
}

// tpmProbes bounds the search for a register. What it costs are the predictions,
// each of which hashes a whole UKI.
const (
	tpmProbes      = 5000
	tpmPredictions = 16
)

// Explain searches for each register that is reported, predicted and differs.
// Reported values have the index of their PCR, nil for one that is not known. If
// nothing differs, the error is an EqualError.
func (in TPM) Explain(reported [eventlog.PCRs][]byte) ([]*Result, error) {
	expected, err := tpm.Predict(in.Input, in.Bank)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	lab, err := newTPMLab(&in, expected)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	var list []*Result
	for i, register := range expected.PCRs {
		if reported[i] == nil || register.Rule == tpm.Any || register.Rule == tpm.Unlisted {
			continue
		}
		r, err := lab.explain(i, register, reported[i])
		var equal *EqualError
		if errors.As(err, &equal) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if list == nil {
		return nil, &EqualError{Value: "PCRs"}
	}
	return list, nil
}

// explain searches for one register.
func (l *tpmLab) explain(index int, expected tpm.Register, reported []byte) (*Result, error) {
	r, err := newResult(fmt.Sprintf("pcr%d", index), expected.Value, reported)
	if err != nil {
		return nil, err
	}
	if n := len(reported); n != len(tpm.SHA256.Zero()) && n != len(tpm.SHA384.Zero()) {
		return nil, fmt.Errorf("explaining PCR %d: got %d bytes, want 32 or 48", index, n)
	}
	s := search[tpmState]{start: l.start, axes: l.axes(index), most: tpmProbes}
	s.probe = func(s tpmState) (bool, []Change, int, error) { return l.probe(index, s, reported) }
	s.run()
	s.report(r, "this boot")
	if l.full {
		r.note("only %d boots were predicted", tpmPredictions)
	}
	l.explainLog(r, index, reported)
	if len(r.Findings) > 0 {
		return r, nil
	}
	switch index {
	case 0:
		r.note("PCR 0 is the firmware's: give that of the machine to have it tried")
	case 5:
		r.note("PCR 5 moves with the size of the disk")
	case 12:
		r.note("PCR 12 holds what the host gave to systemd-stub (command line, credentials, add-ons): only a log shows it")
	case 15:
		r.note("PCR 15 holds the configuration that the guest measured itself")
	}
	return r, nil
}

// explainLog names the first event that differs.
func (l *tpmLab) explainLog(r *Result, index int, reported []byte) {
	if l.in.Log == nil {
		return
	}
	values, err := l.in.Log.Replay(tpm.Algorithm(l.in.Bank))
	if err != nil {
		r.note("the log can't be replayed: %v", err)
		return
	}
	if string(values[index]) != string(reported) {
		r.note("the log does not replay to the reported value: it explains nothing")
		return
	}
	differences, err := l.expected.CompareLog(l.in.Log)
	if err != nil {
		r.note("the log can't be compared: %v", err)
		return
	}
	for _, d := range differences {
		if d.PCR != index || d.Event == nil {
			continue
		}
		got, want := "no event", "no event"
		if e := d.Event.Got; e != nil {
			got = fmt.Sprintf("%v %s with digest %v", e.Type, e.Describe(), d.Event.Digest)
		}
		if e := d.Event.Want; e != nil {
			want = e.Description
		}
		r.addEvent(d.Event.Index, got, want)
	}
}

// ukiOf takes the UKI out of a disk, for boots without it.
func ukiOf(r io.ReaderAt, size int64) ([]byte, error) {
	table, err := gpt.Decode(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading disk: %w", err)
	}
	for i := range table.Partitions {
		p := &table.Partitions[i]
		if p.Type != gpt.ESP() {
			continue
		}
		fs, err := fat.Open(p.Section(r), p.Size())
		if err != nil {
			return nil, fmt.Errorf("reading EFI system partition: %w", err)
		}
		return fs.ReadFile(tpm.BootPath)
	}
	return nil, errors.New("reading disk: no EFI system partition")
}
