package measure

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/explainsev"
	"safebox/measure/explain/explaintdx"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// errDiffers is the answer to every question for an explanation but one that
// needs none: a value that is explained is still another value.
var errDiffers = errors.New("the reported value differs from the computed one")

// printExplanations prints results and gives the answer no.
func printExplanations(stdout io.Writer, results []*explain.Result, asJSON bool) error {
	if asJSON {
		if err := cli.WriteJSON(stdout, results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			if err := r.WriteText(stdout); err != nil {
				return err
			}
		}
	}
	if len(results) == 0 {
		return nil
	}
	return errDiffers
}

// asked reads values of --explain: "rtmr1=HEX".
func asked(values []string, size int) (map[string][]byte, []string, error) {
	reported := map[string][]byte{}
	var order []string
	for _, v := range values {
		name, text, ok := strings.Cut(v, "=")
		if !ok {
			return nil, nil, cli.Usage(fmt.Errorf("--explain: got %.120q, want NAME=HEX", v), "")
		}
		b, err := parseHex("--explain "+name, text, size)
		if err != nil {
			return nil, nil, err
		}
		name = strings.ToLower(name)
		if reported[name] != nil {
			return nil, nil, cli.Usage(fmt.Errorf("--explain %s is given twice", name), "")
		}
		reported[name], order = b, append(order, name)
	}
	return reported, order, nil
}

// explainDigest searches for the launch that gives --explain.
func (f *sevFlags) explainDigest(stdout io.Writer, l snp.Launch) error {
	size := 32
	if f.technology == "snp" {
		size = 48
	}
	reported, err := parseHex("--explain", f.explain, size)
	if err != nil {
		return err
	}
	in := explainsev.Guest{Mode: f.mode(), Launch: l}
	if l.Kernel != nil {
		text, _, err := f.cmdline.read()
		if err != nil {
			return err
		}
		in.CommandLine = &text
	}
	for _, path := range f.others {
		im, err := readFirmware(path, false)
		if err != nil {
			return err
		}
		in.Firmware = append(in.Firmware, explain.Named[snp.Firmware]{Name: filepath.Base(path), Value: snp.NewFirmware(im)})
	}
	for _, path := range f.releases {
		if err := addRelease(&in, path); err != nil {
			return err
		}
	}
	result, err := in.Explain(reported)
	return answer(stdout, []*explain.Result{result}, err, []string{"launch_digest"}, f.json)
}

// addRelease adds what another release is started with.
func addRelease(in *explainsev.Guest, path string) error {
	b, err := cli.ReadInput(path, release.MaxSize)
	if err != nil {
		return err
	}
	r, err := release.Decode(b)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", path, err), "")
	}
	launch, ok := r.Launch(release.PlatformSNP)
	if !ok {
		return cli.Usage(fmt.Errorf("%s: no launch for SEV-SNP in it", path), "it was not built with --platform vtpm,snp")
	}
	l, err := accept.SNPLaunch(launch)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", path, err), "")
	}
	in.Firmware = append(in.Firmware, explain.Named[snp.Firmware]{Name: path, Value: l.Firmware})
	in.Kernels = append(in.Kernels, explain.Named[[32]byte]{Name: path, Value: l.Kernel.Kernel})
	in.Initrds = append(in.Initrds, explain.Named[[32]byte]{Name: path, Value: l.Kernel.Initrd})
	in.CommandLines = append(in.CommandLines, explain.Named[string]{Name: path, Value: launch.CommandLine})
	return nil
}

func (f *sevFlags) mode() explainsev.Mode {
	switch f.technology {
	case "sev":
		return explainsev.SEV
	case "seves":
		return explainsev.SEVES
	}
	return explainsev.SEVSNP
}

// printEqual says that there is nothing to explain.
func printEqual(stdout io.Writer, name string, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(stdout, []struct {
			Value   string `json:"value"`
			Verdict string `json:"verdict"`
		}{{name, "equal"}})
	}
	_, err := fmt.Fprintf(stdout, "%s equal\n", name)
	return err
}

// namedFirmware reads images of other releases.
func namedFirmware(paths []string) ([]explain.Named[*ovmf.Image], error) {
	var list []explain.Named[*ovmf.Image]
	for _, path := range paths {
		im, err := readFirmware(path, false)
		if err != nil {
			return nil, err
		}
		list = append(list, explain.Named[*ovmf.Image]{Name: filepath.Base(path), Value: im})
	}
	return list, nil
}

// explainRegisters searches for what gives the registers of --explain.
func (f *tdxFlags) explainRegisters(stdout io.Writer, in tdx.Input, log *eventlog.CCLog) error {
	reported, order, err := asked(f.explain, len(tdx.Digest{}))
	if err != nil {
		return err
	}
	question := explaintdx.TD{Input: in, Log: log}
	var values [eventlog.MRs][]byte
	for _, name := range order {
		i := slices.Index([]string{"mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"}, name)
		if i < 0 {
			return cli.Usage(fmt.Errorf("--explain: got register %q, want mrtd or rtmr0 to rtmr3", name), "")
		}
		values[i] = reported[name]
	}
	if question.Firmware, err = namedFirmware(f.others); err != nil {
		return err
	}
	for _, dir := range f.otherACPI {
		files, err := readACPIFolder(dir)
		if err != nil {
			return err
		}
		question.ACPI = append(question.ACPI, explain.Named[*tdx.ACPI]{Name: dir, Value: files})
	}
	for _, path := range f.otherVars {
		b, err := cli.ReadInput(path, ovmf.MaxSize)
		if err != nil {
			return err
		}
		question.Vars = append(question.Vars, explain.Named[[]byte]{Name: filepath.Base(path), Value: b})
	}
	results, err := question.Explain(values)
	var equal *explain.EqualError
	if errors.As(err, &equal) {
		var failed error
		if order, failed = markSources(in, order); failed != nil {
			return failed
		}
	}
	return answer(stdout, results, err, order, f.json)
}

// markSources marks registers, which are equal, as where they are printed: one
// that rests on the machine's own log equals in part because it must.
func markSources(in tdx.Input, names []string) ([]string, error) {
	if in.Firmware != nil && in.Firmware.CheckUnified() != nil {
		in.Firmware = nil // as in the explanation
	}
	p, err := tdx.Predict(in)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	var marked []string
	for _, name := range names {
		for _, r := range p.Registers {
			if r.Name == name {
				marked = append(marked, name+label(r.Source().String()))
			}
		}
	}
	return marked, nil
}
