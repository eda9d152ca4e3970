// Package explaintpm says why PCRs of a measured boot are not the expected ones.
// Its axes are the ways in which firmware, systemd-stub and Linux boot within the
// TCG PC Client Platform Firmware Profile 1.06.
package explaintpm

import (
	"errors"
	"fmt"
	"io"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/fat"
	"safebox/measure/gpt"
	"safebox/measure/tpm"
)

// Boot is a measured boot whose PCRs were expected, and what else the caller has at
// hand. It serves a NitroTPM too.
type Boot struct {
	Input tpm.Input
	Bank  tpm.Bank

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	UKIs         []explain.Named[[]byte]
	Firmware     []explain.Named[[]byte]
	SecureBoot   []explain.Named[*tpm.SecureBoot]
	CommandLines []string // that a host may have given: load options

	// Log is the log that came with the values. It explains them if it replays to
	// them.
	Log *eventlog.Log
}

// probes bounds the search for a register. What it costs are the predictions,
// each of which hashes a whole UKI.
const (
	probes      = 5000
	predictions = 16
)

// Explain searches for each register that is reported, predicted and differs.
// Reported values have the index of their PCR, nil for one that is not known. If
// nothing differs, the error is an explain.EqualError.
func (in Boot) Explain(reported [eventlog.PCRs][]byte) ([]*explain.Result, error) {
	expected, err := tpm.Predict(in.Input, in.Bank)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	l, err := newLab(&in, expected)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	for i, register := range expected.PCRs {
		if register.Rule == tpm.Any || register.Rule == tpm.Unlisted {
			reported[i] = nil // not predicted
		}
	}
	return registers.Each("PCRs", reported[:], func(i int) (*explain.Result, error) {
		return l.explain(i, expected.PCRs[i], reported[i])
	})
}

// explain searches for one register.
func (l *lab) explain(index int, expected tpm.Register, reported []byte) (*explain.Result, error) {
	r, err := explain.New(fmt.Sprintf("pcr%d", index), expected.Value, reported)
	if err != nil {
		return nil, err
	}
	if n := len(reported); n != len(tpm.SHA256.Zero()) && n != len(tpm.SHA384.Zero()) {
		return nil, fmt.Errorf("explaining PCR %d: got %d bytes, want 32 or 48", index, n)
	}
	s := search.Space[state]{Start: l.start, Axes: l.axes(index), Most: probes}
	s.Probe = func(s state) (bool, []search.Change, int, error) { return l.probe(index, s, reported) }
	s.Search()
	s.Report(r, "this boot")
	if l.full {
		r.Note("only %d boots were predicted", predictions)
	}
	l.explainLog(r, index, reported)
	if len(r.Findings) > 0 {
		return r, nil
	}
	switch index {
	case 0:
		r.Note("PCR 0 is the firmware's: give that of the machine to have it tried")
	case 5:
		r.Note("PCR 5 moves with the size of the disk")
	case 12:
		r.Note("PCR 12 holds what the host gave to systemd-stub (command line, credentials, add-ons): only a log shows it")
	case 15:
		r.Note("PCR 15 holds the configuration that the guest measured itself")
	}
	return r, nil
}

// explainLog names the first event that differs.
func (l *lab) explainLog(r *explain.Result, index int, reported []byte) {
	if l.in.Log == nil {
		return
	}
	values, err := l.in.Log.Replay(tpm.Algorithm(l.in.Bank))
	if !registers.Replayed(r, values[index], reported, err) {
		return
	}
	differences, err := l.expected.CompareLog(l.in.Log)
	if err != nil {
		r.Note("the log can't be compared: %v", err)
		return
	}
	for _, d := range differences {
		if d.PCR != index || d.Event == nil {
			continue
		}
		want := registers.NoEvent
		if e := d.Event.Want; e != nil {
			want = e.Description
		}
		registers.Difference{Index: d.Event.Index, Got: d.Event.Got, Digest: d.Event.Digest, Want: want}.Report(r)
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
