package compare

import (
	"strings"
	"testing"
)

// config is the beginning of a .config that Kconfig of Linux 6.12 wrote.
const config = `#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.12.107 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_64BIT=y
CONFIG_LOCALVERSION=""

#
# General setup
#
# CONFIG_KEXEC is not set
# CONFIG_SWAP is not set
CONFIG_LOG_BUF_SHIFT=17
`

func TestKernelConfig(t *testing.T) {
	replace := func(old, with string) []byte { return []byte(strings.Replace(config, old, with, 1)) }
	tests := map[string]struct {
		a    []byte
		want string
	}{
		"equal":        {[]byte(config), ""},
		"turned on":    {replace("# CONFIG_KEXEC is not set", "CONFIG_KEXEC=y"), "f: CONFIG_KEXEC: y, want not set"},
		"turned off":   {replace("CONFIG_64BIT=y", "# CONFIG_64BIT is not set"), "f: CONFIG_64BIT: not set, want y"},
		"number":       {replace("=17", "=18"), "f: CONFIG_LOG_BUF_SHIFT: 18, want 17"},
		"text":         {replace(`VERSION=""`, `VERSION="-x=1"`), `f: CONFIG_LOCALVERSION: "-x=1", want ""`},
		"missing":      {replace("CONFIG_64BIT=y\n", ""), "f: CONFIG_64BIT: none, want y"},
		"extra":        {replace("CONFIG_64BIT=y\n", "CONFIG_64BIT=y\nCONFIG_NEW=m\n"), "f: CONFIG_NEW: m, want none"},
		"several":      {replace("# CONFIG_KEXEC is not set\n", "CONFIG_A=y\n"), "f: CONFIG_KEXEC: none, want not set"},
		"comment":      {replace("General setup", "Other setup"), `f: line 10: "# Other setup", want "# General setup"`},
		"order":        {replace("# CONFIG_KEXEC is not set\n# CONFIG_SWAP is not set\n", "# CONFIG_SWAP is not set\n# CONFIG_KEXEC is not set\n"), `f: line 12: "# CONFIG_SWAP is not set", want "# CONFIG_KEXEC is not set"`},
		"there twice":  {replace("CONFIG_64BIT=y\n", "CONFIG_64BIT=y\nCONFIG_64BIT=n\n"), `f: line 7: "CONFIG_64BIT=n", want "CONFIG_LOCALVERSION=\"\""`},
		"no config":    {replace("CONFIG_64BIT=y", "64BIT=y"), `f: line 6: "64BIT=y", want "CONFIG_64BIT=y"`},
		"no value":     {replace("CONFIG_64BIT=y", "CONFIG_64BIT"), `f: line 6: "CONFIG_64BIT", want "CONFIG_64BIT=y"`},
		"only comment": {[]byte("# a\n"), `f: line 1: "# a", want "#"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, []byte(config), tt.want) })
	}
}

func TestCommandLine(t *testing.T) {
	const line = "console=ttyS0 panic=1 quiet panic=1"
	tests := map[string]struct{ a, want string }{
		"equal":       {line, ""},
		"changed":     {"console=ttyS0 panic=0 quiet panic=1", `f: word 2: "panic=0", want "panic=1"`},
		"in front":    {"evil=1 " + line, `f: word 1: "evil=1", want none`},
		"in between":  {"console=ttyS0 panic=1 evil=1 quiet panic=1", `f: word 3: "evil=1", want none`},
		"at the end":  {line + " evil=1", `f: word 5: "evil=1", want none`},
		"left out":    {"console=ttyS0 panic=1 panic=1", `f: word 3: none, want "quiet"`},
		"two changes": {"console=ttyS0 evil=1 quiet evil=2", `f: word 2: "evil=1", want "panic=1"`},
		"repeated":    {line + " panic=1", `f: word 5: "panic=1", want none`},
		"space":       {line + " ", `f: word 5: "", want none`},
		"NUL":         {line + "\x00", `f: text: "` + line + `\x00", want "` + line + `"`},
		"one word":    {"console=ttyS0", `f: text: "console=ttyS0", want "` + line + `"`},
		"two lines":   {line + "\n", `f: lines: 2, want 1`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, []byte(tt.a), []byte(line), tt.want) })
	}
}
