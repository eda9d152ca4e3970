package compare

import (
	"strings"
)

// option is a line of a kernel configuration.
type option struct{ name, value string }

// Forms of a line: Linux Documentation/kbuild/kconfig-language.rst and
// scripts/kconfig/confdata.c of 6.12.
const (
	configPrefix = "CONFIG_"
	unsetPrefix  = "# CONFIG_"
	unsetSuffix  = " is not set"
)

// notSet is how an option is shown that is known and off.
const notSet = "not set"

// kernelConfig reads a resolved .config; nil if b is none. Every line is an
// option, an option that is not set, a comment or empty, and no option is there
// twice.
func kernelConfig(b []byte) []option {
	var options []option
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		var o option
		name, unset := strings.CutPrefix(line, unsetPrefix)
		name, off := strings.CutSuffix(name, unsetSuffix)
		switch {
		case unset && off:
			o = option{configPrefix + name, notSet}
		case strings.HasPrefix(line, configPrefix):
			var ok bool
			if o.name, o.value, ok = strings.Cut(line, "="); !ok {
				return nil
			}
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		default:
			return nil
		}
		if seen[o.name] {
			return nil
		}
		seen[o.name] = true
		options = append(options, o)
	}
	return options
}

// configs compares the options in the order of b, then those that only a has.
func configs(a, b []option) *Difference {
	valuesA, valuesB := map[string]string{}, map[string]string{}
	for _, o := range a {
		valuesA[o.name] = o.value
	}
	for _, o := range b {
		valuesB[o.name] = o.value
		if got, ok := valuesA[o.name]; !ok {
			return onOneSide(clip(o.value), false).in(o.name)
		} else if got != o.value {
			return fact("", got, o.value).in(o.name)
		}
	}
	for _, o := range a {
		if _, ok := valuesB[o.name]; !ok {
			return onOneSide(clip(o.value), true).in(o.name)
		}
	}
	return nil
}
