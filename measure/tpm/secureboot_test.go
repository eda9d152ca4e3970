package tpm

import (
	"bytes"
	"strings"
	"testing"

	"safebox/measure/tpm/golden"
	"safebox/measure/tpm/varstore"
)

// storeOf decodes a flash of testdata/boots/inputs.
func storeOf(t *testing.T, name string) *varstore.Store {
	t.Helper()
	s, err := varstore.Decode(unxz(t, "testdata/boots/inputs/"+name+".xz"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSecureBootState lists what the flashes were made with (testdata/README.md).
func TestSecureBootState(t *testing.T) {
	for name, want := range map[string]bool{"ca.fd": true, "leaf.fd": true, "hash.fd": true, "disabled.fd": false} {
		sb, err := NewSecureBoot(storeOf(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if sb.Enabled != want || len(sb.PK) == 0 || len(sb.KEK) == 0 || len(sb.DB) == 0 || bytes.Equal(sb.PK, sb.KEK) {
			t.Errorf("%s: got %v with %d, %d and %d bytes", name, sb.Enabled, len(sb.PK), len(sb.KEK), len(sb.DB))
		}
	}
	sb, err := NewSecureBoot(&varstore.Store{})
	if err != nil || sb.Enabled || sb.PK != nil {
		t.Errorf("no variables: got %+v, %v", sb, err)
	}
}

func TestSecureBootRefuses(t *testing.T) {
	drop := func(s *varstore.Store, name string) {
		for i := range s.Variables {
			if s.Variables[i].Name == name {
				s.Variables[i].State = varstore.Deleted
			}
		}
	}
	find := func(s *varstore.Store, name string) *varstore.Variable {
		for i := range s.Variables {
			if s.Variables[i].Name == name {
				return &s.Variables[i]
			}
		}
		t.Fatalf("no %s", name)
		return nil
	}
	for _, tt := range []struct {
		name   string
		change func(s *varstore.Store)
		want   string
	}{
		{"attributes", func(s *varstore.Store) { find(s, "db").Attributes = 7 }, "variable db: attributes: got 0x7, want 0x27"},
		{"empty", func(s *varstore.Store) { find(s, "dbx").Data = nil }, "variable dbx: empty"},
		{"dbt", func(s *varstore.Store) { find(s, "dbx").Name = "dbt" }, "variable dbt: exists"},
		{"dbr", func(s *varstore.Store) { find(s, "dbx").Name = "dbr" }, "variable dbr: exists"},
		{"no SecureBootEnable", func(s *varstore.Store) { drop(s, "SecureBootEnable") }, "variable SecureBootEnable: missing"},
		{"SecureBootEnable 2", func(s *varstore.Store) { find(s, "SecureBootEnable").Data = []byte{2} }, "variable SecureBootEnable: got 02"},
		{"SecureBootEnable of 2 bytes", func(s *varstore.Store) { find(s, "SecureBootEnable").Data = []byte{1, 0} }, "variable SecureBootEnable: got 0100"},
		{"no PK", func(s *varstore.Store) { drop(s, "PK") }, "variable PK: missing"},
	} {
		s := storeOf(t, "ca.fd")
		tt.change(s)
		_, err := NewSecureBoot(s)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestSecureBootInput refuses what firmware would not boot, or cannot be.
func TestSecureBootInput(t *testing.T) {
	sb, err := NewSecureBoot(storeOf(t, "ca.fd"))
	if err != nil {
		t.Fatal(err)
	}
	uki := assemble(stub(t), parts(t, "plain"))
	secure := bootFile(t, "OVMF_CODE_4M.secboot.fd", 3653632, golden.SecureBootFirmware()[0].SHA256)
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"unsigned", Input{Boot: Kernel, UKI: uki, SecureBoot: sb}, "PCR 7: authority of the UKI: unsigned image"},
		{"signed by others", Input{Boot: Kernel, UKI: attach(uki, readFile(t, "testdata/boots/sb-ca257/signature.bin")), SecureBoot: sb}, "the image's: it was changed after signing"},
		{"setup mode", Input{Boot: Kernel, UKI: uki, SecureBoot: &SecureBoot{Enabled: true}}, "want a PK"},
		{"firmware without", Input{Boot: Kernel, UKI: uki, SecureBoot: sb, Firmware: realFirmware(t)}, "firmware was built without Secure Boot"},
		{"variables missing", Input{Boot: Kernel, UKI: uki, Firmware: secure}, "firmware has Secure Boot: want its variables"},
	} {
		_, err := Predict(tt.in, SHA256)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestSignatureKeepsTheImage compares the two real boots of one UKI,
// signed and not, with Secure Boot on and off.
func TestSignatureKeepsTheImage(t *testing.T) {
	for _, bank := range banks() {
		_, signed := bootLog(t, "sb-esp257")
		_, unsigned := bootLog(t, "sb-setup257")
		for _, pcr := range []int{0, 2, 3, 5, 6, 9, 11, 12} {
			if !bytes.Equal(signed[bank][pcr], unsigned[bank][pcr]) {
				t.Errorf("%v PCR %d: got %x and %x", bank, pcr, signed[bank][pcr], unsigned[bank][pcr])
			}
		}
	}
}

// TestFirmwareOfOtherMachines: PCR 0 of the firmware in System Management Mode
// was seen on two machines, with different values, and is said of no other.
func TestFirmwareOfOtherMachines(t *testing.T) {
	code := bootFile(t, "OVMF_CODE_4M.secboot.fd", 3653632, golden.SecureBootFirmware()[0].SHA256)
	sb, err := NewSecureBoot(storeOf(t, "disabled.fd"))
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Boot: Kernel, UKI: assemble(stub(t), parts(t, "plain")), SecureBoot: sb}
	for _, tt := range []struct {
		vcpus  int
		memory int64
		boot   string // whose TPM returned the value; none: not predicted
	}{
		{2, 1 << 30, "boots/sb-esp257"},
		{1, 1 << 30, "onecpu"},
		{0, 0, ""},
		{1, 0, ""},
		{0, 1 << 30, ""},
		{3, 1 << 30, ""},
		{2, 2 << 30, ""},
		{1, 512 << 20, ""},
	} {
		in.VCPUs, in.Memory = tt.vcpus, tt.memory
		b, err := in.bootWith(openOnce(t, code))
		if err != nil {
			t.Fatal(err)
		}
		for _, bank := range banks() {
			r := b.predict(bank).PCRs[0]
			if tt.boot == "" {
				if r.Rule != Missing || r.Value != nil {
					t.Errorf("%d CPUs, %d bytes: got %v %v, want it missing", tt.vcpus, tt.memory, r.Rule, r.Value)
				}
				continue
			}
			if want := readRegisters(t, "testdata/"+tt.boot+"/pcrs.txt", bank)[0]; !r.Value.Equal(want) {
				t.Errorf("%d CPUs, %d bytes: got %v, the TPM had %x", tt.vcpus, tt.memory, r.Value, want)
			}
		}
	}
}
