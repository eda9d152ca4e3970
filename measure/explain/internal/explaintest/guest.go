package explaintest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"path"
	"testing"

	"safebox/measure/explain/explainsev"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
)

// Vector is a launch of measure/testdata with the digest that another tool or
// hardware gives it.
type Vector struct {
	ID          string            `json:"id"`
	Firmware    string            `json:"firmware"`
	Mode        string            `json:"mode"`
	VMM         string            `json:"vmm"`
	VCPUs       int               `json:"vcpus"`
	Signature   uint32            `json:"vcpu_sig"`
	Features    uint64            `json:"guest_features"`
	Hashes      bool              `json:"kernel_hashes"`
	Kernel      string            `json:"kernel_sha256"`
	Initrd      string            `json:"initrd_sha256"`
	CommandLine string            `json:"cmdline"`
	SVSM        string            `json:"svsm"`
	VarsSize    uint64            `json:"vars_size"`
	MXCSR       uint32            `json:"mxcsr"`
	FCW         uint16            `json:"x87_fcw"`
	Seed        string            `json:"seed"`
	TableGPA    uint32            `json:"hashes_table_gpa"`
	ResetEIP    uint32            `json:"ap_reset_eip"`
	Sections    []ovmf.SEVSection `json:"sections"`
	Expected    string            `json:"expected"`
}

// Vector reads a vector, in the list of a file or outside it.
func (d *Data) Vector(t testing.TB, file, id string) Vector {
	t.Helper()
	var all struct{ Vectors []Vector }
	if err := json.Unmarshal(d.File(t, file), &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all.Vectors {
		if v.ID == id {
			return v
		}
	}
	var outside map[string]json.RawMessage
	var v Vector
	if err := json.Unmarshal(d.File(t, file), &outside); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(outside[id], &v); err != nil {
		t.Fatalf("%s: vector %s: %v", file, id, err)
	}
	return v
}

// Digest is the value of a vector.
func (d *Data) Digest(t testing.TB, file, id string) []byte {
	t.Helper()
	return Unhex(t, d.Vector(t, file, id).Expected)
}

// Guest is the input of a vector.
func (d *Data) Guest(t testing.TB, file, id string) explainsev.Guest {
	t.Helper()
	folder, v := path.Dir(file), d.Vector(t, file, id)
	vmm, err := snp.ParseVMM(cmp.Or(v.VMM, "qemu")) // plain SEV has none
	if err != nil {
		t.Fatal(err)
	}
	in := explainsev.Guest{
		Mode: map[string]explainsev.Mode{
			"snp": explainsev.SEVSNP, "snp:svsm": explainsev.SEVSNP, "seves": explainsev.SEVES, "sev": explainsev.SEV,
		}[v.Mode],
		Launch: snp.Launch{VCPUs: v.VCPUs, CPU: v.Signature, VMM: vmm, Features: v.Features},
	}
	if v.Seed != "" && v.Firmware == "" {
		seed := snp.Digest(Unhex(t, v.Seed))
		in.Launch.Firmware = snp.Firmware{Seed: &seed, Sections: v.Sections, ResetEIP: &v.ResetEIP}
		if v.TableGPA != 0 {
			in.Launch.Firmware.HashTable = &ovmf.Area{GPA: v.TableGPA, Size: 1024}
		}
	} else {
		in.Launch.Firmware = snp.NewFirmware(d.Image(t, path.Join(folder, v.Firmware)))
	}
	if v.SVSM != "" {
		s, err := snp.NewSVSM(d.Image(t, path.Join(folder, v.SVSM)), v.VarsSize)
		if err != nil {
			t.Fatal(err)
		}
		in.Launch.SVSM = s
	}
	if v.Hashes {
		k := snp.KernelHashes{
			Kernel: sha256.Sum256(nil), Initrd: sha256.Sum256(nil), CommandLine: snp.HashCommandLine(v.CommandLine),
		}
		if v.Kernel != "" {
			k.Kernel, k.Initrd = [32]byte(Unhex(t, v.Kernel)), [32]byte(Unhex(t, v.Initrd))
		}
		in.Launch.Kernel, in.CommandLine = &k, &v.CommandLine
	}
	return in
}
