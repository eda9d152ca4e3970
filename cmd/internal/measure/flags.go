package measure

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"safebox/cmd/internal/cli"
)

// checkFlags refuses flags that would do nothing: without a value, as where a
// script's variable is empty, or without the flag that they belong to. Whoever
// gives --explain or --log and gets exit code 0 must have got an answer.
func checkFlags(c *cobra.Command, _ []string) error {
	var refused error
	c.Flags().Visit(func(f *pflag.Flag) {
		if err := checkFlag(c, f); err != nil && refused == nil {
			refused = cli.Usage(err, "")
		}
	})
	return refused
}

func checkFlag(c *cobra.Command, f *pflag.Flag) error {
	if f.Name != "cmdline" && isEmpty(f.Value) { // an empty command line is one
		return fmt.Errorf("--%s: got an empty value, want one, or no such flag", f.Name)
	}
	if with := companion(f.Name); with != "" && !c.Flags().Changed(with) {
		return fmt.Errorf("--%s does nothing without --%s", f.Name, with)
	}
	for _, other := range idle(f.Name) {
		if c.Flags().Changed(other) {
			return fmt.Errorf("--%s does nothing with --%s", other, f.Name)
		}
	}
	return nil
}

func isEmpty(v pflag.Value) bool {
	if list, ok := v.(pflag.SliceValue); ok {
		return len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
	}
	return v.Type() == "string" && v.String() == ""
}

// companion is the flag without which another does nothing. Those that are
// refused where they are read are not here.
func companion(flag string) string {
	switch flag {
	case "other-firmware", "other-acpi-tables", "other-release", "other-vars":
		return "explain"
	case "qemu-arg", "phys-bits":
		return "qemu"
	case "kernel-patched", "kernel-measures-nothing":
		return "kernel"
	case "accept-all-early":
		return "gce-machine"
	case "policy":
		return "id-key"
	}
	return ""
}

// idle are the flags that do nothing beside another.
func idle(flag string) []string {
	if flag == "explain" {
		return []string{"trace", "id-key", "id-block", "id-auth"}
	}
	return nil
}

// checkOutputs refuses outputs that are the same file as another or as an
// input. Inputs may be empty: not given.
func checkOutputs(outputs []string, inputs ...string) error {
	for i, out := range outputs {
		if slices.Contains(outputs[:i], out) {
			return cli.Usage(fmt.Errorf("%s would be written twice", out), "choose another name")
		}
		if err := cli.CheckNotInput(out, slices.Concat(inputs, outputs[:i])...); err != nil {
			return err
		}
	}
	return nil
}
