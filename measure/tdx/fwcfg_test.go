package tdx

import (
	"crypto/sha512"
	"strings"
	"testing"
)

// TestFWCfg has the order and the sizes of edk2's list (OvmfPkg/Library/
// QemuFwCfgLib/QemuFwCfgCacheInit.c, mCacheFwCfgList, specs/measure.md 5.3).
func TestFWCfg(t *testing.T) {
	all := func() *FWCfg {
		return &FWCfg{
			ExtraPCIRoots: []byte("8 bytes."), BootMenu: []byte{1, 0}, BootMenuWait: []byte{9, 0},
			ReservedMemoryEnd: []byte("8 others"), PCIMMIO64Mb: []byte("65536"), BootOrder: []byte("/pci\x00"),
		}
	}
	want := []struct{ name, data string }{
		{"fw_cfg etc/extra-pci-roots", "8 bytes."},
		{"fw_cfg BootMenu", "\x01\x00"},
		{"fw_cfg etc/boot-menu-wait", "\x09\x00"},
		{"fw_cfg etc/reserved-memory-end", "8 others"},
		{"fw_cfg opt/ovmf/X-PciMmio64Mb", "65536"},
		{"fw_cfg bootorder", "/pci\x00"},
	}
	events := mustPredict(t, Input{Layout: L2, FWCfg: all()}).Registers[RTMR0].Events[2:] // behind HOB and CFV
	for i, w := range want {
		e := events[i]
		if e.Description != w.name || e.Digest != sha512.Sum384([]byte(w.data)) || e.Source != FromFile {
			t.Errorf("event %d: got %+v, want %s of %q", i, e, w.name, w.data)
		}
	}
	if got := events[len(want)].Description; got != "variable SecureBoot" {
		t.Errorf("behind the files: got %s", got)
	}

	// Files that are empty are passed over; others have one size.
	c := all()
	c.ExtraPCIRoots, c.PCIMMIO64Mb = []byte{}, nil
	events = mustPredict(t, Input{Layout: L2, FWCfg: c}).Registers[RTMR0].Events[2:]
	if events[0].Description != "fw_cfg BootMenu" || events[3].Description != "fw_cfg bootorder" {
		t.Errorf("without two files: got %v", events[:4])
	}
	for name, change := range map[string]func(*FWCfg){
		"etc/extra-pci-roots: got 9 bytes, want 8":     func(c *FWCfg) { c.ExtraPCIRoots = make([]byte, 9) },
		"BootMenu: got 1 bytes, want 2":                func(c *FWCfg) { c.BootMenu = []byte{1} },
		"BootMenu: got none, want 2 bytes":             func(c *FWCfg) { c.BootMenu = []byte{} },
		"etc/boot-menu-wait: got 4 bytes, want 2":      func(c *FWCfg) { c.BootMenuWait = make([]byte, 4) },
		"etc/reserved-memory-end: got 7 bytes, want 8": func(c *FWCfg) { c.ReservedMemoryEnd = make([]byte, 7) },
	} {
		c := all()
		change(c)
		if _, err := Predict(Input{Layout: L2, FWCfg: c}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}
