package measure

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/explainnitro"
	"safebox/measure/explain/explaintpm"
	"safebox/measure/nitro"
	"safebox/measure/tpm"
)

// pcrIndex reads the name of a register, "pcr4".
func pcrIndex(name string, count int) (int, error) {
	digits, ok := strings.CutPrefix(name, "pcr")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil || i < 0 || i >= count || strconv.Itoa(i) != digits {
		return 0, cli.Usage(fmt.Errorf("--explain: got register %.40q, want pcr0 to pcr%d", name, count-1), "")
	}
	return i, nil
}

// explainRegisters searches for what gives the registers of --explain.
func (f *nitroFlags) explainRegisters(stdout io.Writer, in nitro.Input) error {
	reported, order, err := asked(f.explain, len(nitro.Digest{}))
	if err != nil {
		return err
	}
	if in.Image == nil {
		return cli.Usage(errors.New("--explain wants --eif: an image is read more than once"), "")
	}
	var values [nitro.Registers][]byte
	for _, name := range order {
		i, err := pcrIndex(name, len(values))
		if err != nil {
			return err
		}
		values[i] = reported[name]
	}
	results, err := explainnitro.Enclave{Input: in}.Explain(values)
	return answer(stdout, results, err, order, f.json)
}

// explainRegisters searches for what gives the registers of --explain.
func (f *tpmFlags) explainRegisters(stdout io.Writer, in tpm.Input, bank tpm.Bank, log *eventlog.Log) error {
	reported, order, err := asked(f.explain, len(bank.Zero()))
	if err != nil {
		return err
	}
	p, err := tpm.Predict(in, bank)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.files(), err), "see what safebox inspect says about the file")
	}
	var values [eventlog.PCRs][]byte
	for _, name := range order {
		i, err := pcrIndex(name, len(values))
		if err != nil {
			return err
		}
		if slices.Contains([]tpm.Rule{tpm.Any, tpm.Unlisted}, p.PCRs[i].Rule) {
			return cli.Usage(fmt.Errorf("--explain %s: nothing is predicted for it: it depends on the machine", name), "")
		}
		values[i] = reported[name]
	}
	results, err := explaintpm.Boot{Input: in, Bank: bank, Log: log}.Explain(values)
	return answer(stdout, results, err, order, f.json)
}

// answer prints what was found out about the registers asked for.
func answer(stdout io.Writer, results []*explain.Result, err error, asked []string, asJSON bool) error {
	var equal *explain.EqualError
	switch {
	case errors.As(err, &equal):
		return printEqual(stdout, strings.Join(asked, " "), asJSON)
	case err != nil:
		return cli.Usage(err, "")
	}
	return printExplanations(stdout, results, asJSON)
}
