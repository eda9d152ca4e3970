package kernel

import (
	"fmt"
	"strings"
)

// maxConfig bounds a .config in bytes; those of today have 80 thousand.
const maxConfig = 1 << 20

// configPrefix starts the name of an option outside Kconfig files.
const configPrefix = "CONFIG_"

// config is a .config: each option that has a line with its value, or "n" for
// one that is said to be not set.
type config map[string]string

// parseConfig reads a .config or a fragment strictly: Linux
// Documentation/kbuild/kconfig-language.rst and scripts/kconfig/confdata.c
// (6.12), conf_write_symbol. Each line sets an option, says that it is not set,
// or is a comment or blank.
func parseConfig(text string) (config, error) {
	if len(text) > maxConfig {
		return nil, fmt.Errorf("configuration of %d bytes, limit is %d", len(text), maxConfig)
	}
	c := config{}
	for i, line := range strings.Split(text, "\n") {
		name, value, err := parseConfigLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if name == "" {
			continue
		}
		if old, ok := c[name]; ok {
			return nil, fmt.Errorf("line %d: %s%s is set a second time: got %s, had %s", i+1, configPrefix, name, value, old)
		}
		c[name] = value
	}
	return c, nil
}

// parseConfigLine returns no name for a line that sets nothing.
func parseConfigLine(line string) (name, value string, err error) {
	if rest, ok := strings.CutPrefix(line, "# "+configPrefix); ok {
		// Anything else after the option's name would be a comment that a
		// reader takes for a setting.
		name, ok := strings.CutSuffix(rest, " is not set")
		if !ok || !validOption(name) {
			return "", "", fmt.Errorf("got %q, want \"# %sNAME is not set\"", line, configPrefix)
		}
		return name, "n", nil
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", nil
	}
	rest, ok := strings.CutPrefix(line, configPrefix)
	if !ok {
		return "", "", fmt.Errorf("got %q, want %sNAME=VALUE", line, configPrefix)
	}
	name, value, ok = strings.Cut(rest, "=")
	if !ok || !validOption(name) || !validValue(value) {
		return "", "", fmt.Errorf("got %q, want %sNAME=VALUE", line, configPrefix)
	}
	return name, value, nil
}

// validOption tells whether s can name an option: Kconfig takes letters of
// both cases (CONFIG_LZO_x), digits and underscores.
func validOption(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

// validValue tells whether s is y, m, n, a number, or a string in quotes
// without escapes: none of ours has one.
func validValue(s string) bool {
	if inner, ok := strings.CutPrefix(s, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		return ok && !strings.ContainsAny(inner, "\"\\") && printable(inner)
	}
	if s == "y" || s == "m" || s == "n" {
		return true
	}
	digits := strings.TrimPrefix(s, "-")
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		return hex != "" && strings.Trim(hex, "0123456789abcdefABCDEF") == ""
	}
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// state is the value of an option, "n" for one without a line: Kconfig writes
// no line for an option whose conditions do not hold.
func (c config) state(option string) string {
	if v, ok := c[option]; ok {
		return v
	}
	return "n"
}
