package tpm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

func banks() []Bank { return golden.Banks() }

// TestOracle compares whole predictions with testdata/oracle.txt, which another
// program computed.
func TestOracle(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(readFile(t, "testdata/oracle.txt"))), "\n")
	if want := 3 * 2 * 2 * 7; len(lines) != want {
		t.Fatalf("oracle.txt: got %d lines, want %d", len(lines), want)
	}
	predictions := map[string]*Prediction{}
	for _, line := range lines {
		var kind, bootName, bankName, want string
		var pcr int
		if _, err := fmt.Sscan(line, &kind, &bootName, &bankName, &pcr, &want); err != nil {
			t.Fatal(err)
		}
		id := kind + bootName + bankName
		if predictions[id] == nil {
			predictions[id] = predict(t, kind, bootName, bankName)
		}
		got := predictions[id].PCRs[pcr].Value
		if bootName == "esp" && pcr == 5 {
			continue // TestDisk
		}
		if got.String() != want {
			t.Errorf("%s %s %s PCR %d: got %v, want %s", kind, bootName, bankName, pcr, got, want)
		}
	}
}

// TestDisk predicts from a disk that other programs made and compares with
// testdata/oracle.txt.
func TestDisk(t *testing.T) {
	disk := realDisk(t)
	oracle := string(readFile(t, "testdata/oracle.txt"))
	for _, bank := range banks() {
		p, err := Predict(Input{Boot: ESP, Disk: bytes.NewReader(disk), DiskSize: int64(len(disk))}, bank)
		if err != nil {
			t.Fatal(err)
		}
		for _, pcr := range []int{2, 3, 4, 5, 6, 9, 11} {
			want := fmt.Sprintf("plain esp %v %d %v\n", bank, pcr, p.PCRs[pcr].Value)
			if !strings.Contains(oracle, want) {
				t.Errorf("oracle.txt has no line %q", want)
			}
		}
	}
}

func predict(t *testing.T, kind, bootName, bankName string) *Prediction {
	t.Helper()
	boot, err := ParseBoot(bootName)
	if err != nil {
		t.Fatal(err)
	}
	bank, err := ParseBank(bankName)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Predict(Input{Boot: boot, UKI: assemble(stub(t), parts(t, kind))}, bank)
	if err != nil {
		t.Fatalf("%s %s %s: %v", kind, bootName, bankName, err)
	}
	return p
}

// TestFirmwareRegistersOfRealBoots predicts what does not depend on the UKI
// and compares with what the TPM returned in ten boots.
func TestFirmwareRegistersOfRealBoots(t *testing.T) {
	in := Input{Boot: Kernel, UKI: assemble(stub(t), parts(t, "plain")), Firmware: realFirmware(t)}
	for _, bank := range banks() {
		p, err := Predict(in, bank)
		if err != nil {
			t.Fatal(err)
		}
		if want := golden.KnownFirmware()[0].PCR0(bank); !p.PCRs[0].Value.Equal(want) {
			t.Errorf("%v PCR 0: computed %v, golden table has %v", bank, p.PCRs[0].Value, want)
		}
		for _, boot := range boots() {
			got := readPCRs(t, boot, bank)
			for _, i := range []int{0, 2, 3, 6, 7, 8, 13, 14} {
				if !p.PCRs[i].Value.Equal(got[i]) {
					t.Errorf("%s: %v PCR %d: TPM has %x, predicted %v", boot, bank, i, got[i], p.PCRs[i].Value)
				}
			}
		}
	}
}

// TestPCR5OfRealBoots takes the partition table from the log's event and
// compares with the TPM.
func TestPCR5OfRealBoots(t *testing.T) {
	for _, name := range boots() {
		b := &boot{Boot: Kernel, uki: plainUKI(t)}
		for _, e := range readLog(t, name).Events {
			if e.Type == eventlog.EFIGPTEvent {
				b.Boot, b.gpt = ESP, e.Data
			}
		}
		for _, bank := range banks() {
			if r, got := b.predict(bank).PCRs[5], readPCRs(t, name, bank)[5]; !r.Value.Equal(got) {
				t.Errorf("%s: %v: TPM has %x, predicted %v", name, bank, got, r.Value)
			}
		}
	}
}

func plainUKI(t *testing.T) *uki {
	t.Helper()
	k, err := decodeUKI(assemble(stub(t), parts(t, "plain")), 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSpecVectors are the known answers of specs/image.md 2.3 and 8.
func TestSpecVectors(t *testing.T) {
	u := unhex(t, "e426ea3da061d35b4019ff8d03b8cb3b1eb5f388c08a57c9de3625e6ee69c988")
	l := unhex(t, "782467f032ce2d6a96d9131eac2bcf910ba46099c99e6cfd20555da97a7f1390")
	p, err := Predict(Input{Boot: ESP, UKI: assemble(stub(t), parts(t, "plain"))}, SHA256)
	if err != nil {
		t.Fatal(err)
	}
	four := p.PCRs[4].Events // A, S, U, L; the last two of other images
	if len(four) != 4 {
		t.Fatalf("PCR 4: got %d events, want 4", len(four))
	}
	fold := SHA256.Extend(SHA256.Zero(), four[0].Digest, four[1].Digest, u, l)
	options, err := loadOptions([]byte("console=ttyS0 panic=1"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		got  Digest
		want string
	}{
		{"A", four[0].Digest, "3d6772b4f84ed47595d72a2c4c5ffd15f5bb72c7507fe26f2aaee2c69d5633ba"},
		{"S", four[1].Digest, "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119"},
		{"PCR 4", fold, "ee7a369b97f9b95026da893f882124424c2208b759624dab5a30b6bc902bfc35"},
		{"load options", SHA256.Sum(options), "2b3dd1962f2ac36963990c264a825c3518b57875bd75dbe1be0455d556664015"},
		{"PCR 7", p.PCRs[7].Value, "b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439"},
		{"PCR 2", p.PCRs[2].Value, "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"},
	}
	for _, tt := range tests {
		if tt.got.String() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestNamesOfRealPCR11 compares the digests of the section names, every second
// event of PCR 11, with a real log.
func TestNamesOfRealPCR11(t *testing.T) {
	k, err := decodeUKI(assemble(stub(t), parts(t, "osrel")), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, bank := range banks() {
		events := sectionEvents(bank, k)
		n := 0
		for _, e := range readLog(t, "osrel").Events {
			if e.PCR != 11 {
				continue
			}
			if n%2 == 0 && !events[n].Digest.Equal(e.Digest(Algorithm(bank))) {
				t.Errorf("%v event %d: log has %x (%s), predicted %v (%s)",
					bank, n, e.Digest(Algorithm(bank)), e.Describe(), events[n].Digest, events[n].Description)
			}
			n++
		}
		if n != len(events) {
			t.Errorf("%v: log has %d events, predicted %d", bank, n, len(events))
		}
	}
}

func TestRules(t *testing.T) {
	in := Input{Boot: Kernel, UKI: assemble(stub(t), parts(t, "plain"))}
	p, err := Predict(in, SHA256)
	if err != nil {
		t.Fatal(err)
	}
	// specs/protocol.md 4.
	want := [eventlog.PCRs]Rule{
		Missing, Any, Exact, Exact, Exact, FixedDisk, Exact, Exact, Zero, Exact, Any, Exact, Zero, Zero, Zero,
		Configuration,
	}
	for i, r := range p.PCRs {
		if r.Rule != want[i] {
			t.Errorf("PCR %d: rule: got %v, want %v", i, r.Rule, want[i])
		}
	}
	in.Firmware = realFirmware(t)
	if p, err = Predict(in, SHA384); err != nil || p.PCRs[0].Rule != Exact {
		t.Errorf("PCR 0 with firmware: got %v, %v", p.PCRs[0].Rule, err)
	}
	in.Boot = ESP
	if p, err = Predict(in, SHA384); err != nil || p.PCRs[5].Rule != Missing || p.PCRs[5].Value != nil {
		t.Errorf("PCR 5 of an ESP boot without a disk: got %v, %v", p.PCRs[5].Rule, err)
	}
}

func TestUnknownFirmware(t *testing.T) {
	code := realFirmware(t)
	code[len(code)-1] ^= 1
	_, err := Predict(Input{Boot: Kernel, UKI: assemble(stub(t), parts(t, "plain")), Firmware: code}, SHA256)
	var unknown *UnknownFirmwareError
	if !errors.As(err, &unknown) || unknown.Hint() == "" {
		t.Errorf("got error %v, want an unknown firmware", err)
	}
	if _, err := openFirmware([]byte{}); err == nil {
		t.Error("empty firmware: no error")
	}
}
