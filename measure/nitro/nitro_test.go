package nitro

import (
	"bytes"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eif"
	"safebox/measure/vectortest"
)

const (
	folder = "nitro/eif/"
	zero   = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
)

func testdata() fs.FS { return os.DirFS("../testdata") }

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, testdata(), name)
}

func open(t testing.TB, name string) *eif.File {
	t.Helper()
	b := readFile(t, folder+name)
	f, err := eif.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// parts are those that the vectors' images were made of.
func parts(t testing.TB, ramdisks int) *Parts {
	t.Helper()
	p := &Parts{Kernel: bytes.NewReader(readFile(t, folder+"in_kernel.bin")), CommandLine: readFile(t, folder+"in_cmdline.txt")}
	for i := range ramdisks {
		p.Ramdisks = append(p.Ramdisks, bytes.NewReader(readFile(t, folder+"in_ramdisk"+string(rune('0'+i))+".bin")))
	}
	return p
}

func certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := eif.ParseCertificate(readFile(t, folder+"signer_cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func predict(t testing.TB, in Input) *Prediction {
	t.Helper()
	p, err := Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs one vector of ../testdata/nitro.
func run(t *testing.T, v vectortest.Vector) {
	switch v.ID {
	case "eif_pcr2_no_app_ramdisk":
		checkKnown(t, v, func(_ string) Register { return predict(t, Input{Parts: parts(t, 1)}).PCRs[2] })
	case "pcr3_role_arn":
		checkKnown(t, v, func(arn string) Register { return predict(t, Input{Parts: parts(t, 1), RoleARN: arn}).PCRs[3] })
	case "pcr4_instance_id":
		checkKnown(t, v, func(id string) Register { return predict(t, Input{Parts: parts(t, 1), InstanceID: id}).PCRs[4] })
	case "aws_pcr1_seen_in_the_wild":
		checkBlobs(t, v)
	case "nitrotpm_pcr7_secureboot_off_no_keys", "nitrotpm_separator_only", "nitrotpm_pcr4_before_first_image":
		checkTPM(t, v)
	default:
		checkImage(t, v)
	}
}

func TestVectors(t *testing.T) { vectortest.Each(t, testdata(), "nitro", run) }

// checkImage predicts PCR0, 1, 2 and 8 of an image.
func checkImage(t *testing.T, v vectortest.Vector) {
	var want struct {
		File string
		PCR  map[string]string
	}
	v.Decode(t, &want)
	b := v.File(t, want.File)
	image, err := eif.Open(bytes.NewReader(b), int64(len(b)))
	if refused := []string{"gap_between_sections.eif", "bad_crc.eif", "size_mismatch.eif"}; strings.Contains(strings.Join(refused, " "), want.File) {
		if err == nil {
			t.Error("a damaged image was accepted")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if want.PCR["PCR8"] == "" {
		want.PCR["PCR8"] = zero
	}
	got := predict(t, Input{Image: image})
	checkPCRs(t, got, want.PCR)
	checkTrace(t, got, b)
	if order, ramdisks := sections(image); strings.HasPrefix(order, "kernel cmdline") {
		in := Input{Parts: parts(t, ramdisks)}
		if image.Signature != nil {
			in.Certificate = certificate(t)
		}
		checkPCRs(t, predict(t, in), want.PCR)
	}
}

// sections are the measured ones, with the number of ramdisks.
func sections(f *eif.File) (order string, ramdisks int) {
	for _, s := range f.Sections {
		if s.Type == eif.RamdiskSection {
			ramdisks++
		}
		order += s.Type.String() + " "
	}
	return order, ramdisks
}

func checkPCRs(t *testing.T, p *Prediction, want map[string]string) {
	t.Helper()
	if len(want) != 4 {
		t.Fatalf("got %d values in the vector, want those of PCR0, PCR1, PCR2 and PCR8", len(want))
	}
	for name, i := range map[string]int{"PCR0": 0, "PCR1": 1, "PCR2": 2, "PCR8": 8} {
		r := p.PCRs[i]
		rule := Exact
		if want[name] == zero {
			rule = Zero
		}
		if r.Value.String() != want[name] || r.Rule != rule {
			t.Errorf("%s: got %v (%v), want %s (%v)", name, r.Value, r.Rule, want[name], rule)
		}
	}
	for _, i := range []int{5, 6, 7, 9, 10, 11, 12, 13, 14, 15} {
		if r := p.PCRs[i]; r.Rule != Zero || r.Value.String() != zero {
			t.Errorf("PCR%d: got %v (%v), want zero", i, r.Value, r.Rule)
		}
	}
}

// checkTrace recomputes the registers from the places in the file that the
// events name.
func checkTrace(t *testing.T, p *Prediction, file []byte) {
	t.Helper()
	for i := range 3 {
		r, content := p.PCRs[i], []byte(nil)
		for _, item := range r.Event.Content {
			if item.SHA384 != nil {
				t.Errorf("PCR%d: %s: got a digest that nobody asked for", i, item.Name)
			}
			content = append(content, file[item.Offset:][:item.Size]...)
		}
		if digest := sha512.Sum384(content); Digest(digest) != *r.Event.Digest || extend(digest[:]) != r.Value {
			t.Errorf("PCR%d: the content of the event has another digest", i)
		}
	}
}

// answer is a known answer: "in" is extend(Z, utf8('text')) or the like.
type answer struct{ In, Out, Origin string }

// checkKnown compares a register with one known answer, or with each of a list.
func checkKnown(t *testing.T, v vectortest.Vector, compute func(text string) Register) {
	t.Helper()
	list := []answer{{}}
	if bytes.HasPrefix(v.Raw, []byte("[")) {
		v.Decode(t, &list)
	} else {
		v.Decode(t, &list[0])
	}
	if len(list) == 0 {
		t.Fatal("no answer")
	}
	for _, a := range list {
		text := ""
		if m := regexp.MustCompile(`utf8\('(.*)'\)`).FindStringSubmatch(a.In); m != nil {
			text = m[1]
		}
		if got := compute(text); got.Value.String() != a.Out || got.Rule != Exact {
			t.Errorf("%s: got %v (%v), want %s", a.In, got.Value, got.Rule, a.Out)
		}
	}
}

// checkBlobs: each PCR1 that was seen is known by its dates, and no other.
func checkBlobs(t *testing.T, v vectortest.Vector) {
	t.Helper()
	var seen map[string]string
	v.Decode(t, &seen)
	if len(seen) != len(knownBlobs()) {
		t.Errorf("got %d known values, want the %d seen", len(knownBlobs()), len(seen))
	}
	for value, text := range seen {
		got := DescribePCR1(Digest(unhex(t, value)))
		dates := regexp.MustCompile(`20\d\d-\d\d\b`).FindAllString(text, 2)
		if len(dates) != 2 || !strings.Contains(got, dates[0]) || !strings.Contains(got, dates[1]) {
			t.Errorf("%s: got %q, want the dates of %q", value, got, text)
		}
	}
	if got := DescribePCR1(Digest{}); got != "" {
		t.Errorf("zero: got %q, want nothing", got)
	}
}

// TestSections: the digests of the sections are those of the files that the
// image was made of.
func TestSections(t *testing.T) {
	for _, in := range []Input{{Image: open(t, "cmdline_last.eif"), Sections: true}, {Parts: parts(t, 2), Sections: true}} {
		p := predict(t, in)
		files := map[string]string{"kernel": "in_kernel.bin", "cmdline": "in_cmdline.txt", "ramdisk 0": "in_ramdisk0.bin", "ramdisk 1": "in_ramdisk1.bin"}
		names := map[int]string{0: "kernel, cmdline, ramdisk 0, ramdisk 1", 1: "kernel, cmdline, ramdisk 0", 2: "ramdisk 1"}
		if in.Image != nil {
			names[0], names[1] = "kernel, ramdisk 0, ramdisk 1, cmdline", "kernel, ramdisk 0, cmdline"
		}
		for i := range 3 {
			var got []string
			for _, item := range p.PCRs[i].Event.Content {
				got = append(got, item.Name)
				content := readFile(t, folder+files[item.Name])
				if want := Digest(sha512.Sum384(content)); item.SHA384 == nil || *item.SHA384 != want || item.Size != int64(len(content)) {
					t.Errorf("PCR%d: %s: got %v of %d bytes, want %v of %d", i, item.Name, item.SHA384, item.Size, want, len(content))
				}
				if (item.Offset == -1) != (in.Image == nil) {
					t.Errorf("PCR%d: %s: got offset %d", i, item.Name, item.Offset)
				}
			}
			if diff := cmp.Diff(names[i], strings.Join(got, ", ")); diff != "" {
				t.Errorf("PCR%d (-want +got):\n%s", i, diff)
			}
		}
	}
}

// TestParent: what is not known is not predicted, what does not exist is zero.
func TestParent(t *testing.T) {
	p := predict(t, Input{Parts: parts(t, 1)})
	for _, i := range []int{3, 4} {
		if r := p.PCRs[i]; r.Rule != Missing || r.Value != (Digest{}) || r.Note == "" {
			t.Errorf("PCR%d: got %+v, want it missing, with a reason", i, r)
		}
	}
	p = predict(t, Input{Parts: parts(t, 1), NoRole: true})
	if r := p.PCRs[3]; r.Rule != Zero || r.Value != (Digest{}) {
		t.Errorf("PCR3 without a role: got %+v, want zero", r)
	}
}

// TestNames: what is printed of rules, and of a register that is not yet right.
func TestNames(t *testing.T) {
	for rule, want := range map[Rule]string{Exact: "exact", Zero: "zero", Missing: "missing", 0: "rule 0"} {
		if got := rule.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	p, err := Predict(Input{Parts: parts(t, 1), Certificate: certificate(t)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.PCRs[8].Note, "once the image is signed with this certificate's key"; got != want {
		t.Errorf("PCR8: got %q, want %q", got, want)
	}
}

// TestDebug: the four registers of the image read as zero.
func TestDebug(t *testing.T) {
	in := Input{Image: open(t, "signed_p384.eif"), InstanceID: "i-0a22e5c5f24d22174", NoRole: true}
	want := predict(t, in)
	in.Debug = true
	got := predict(t, in)
	for i := range got.PCRs {
		switch i {
		case 0, 1, 2, 8:
			if r := got.PCRs[i]; r.Rule != Zero || r.Value != (Digest{}) || !strings.Contains(r.Note, "debug mode") {
				t.Errorf("PCR%d: got %+v, want zero with a note", i, r)
			}
		default:
			if diff := cmp.Diff(want.PCRs[i], got.PCRs[i]); diff != "" {
				t.Errorf("PCR%d (-normal +debug):\n%s", i, diff)
			}
		}
	}
	if !got.Debug || want.Debug {
		t.Error("the prediction does not say whether it is for debug mode")
	}
}

// TestNoRamdisk: an image may do without ramdisks; PCR0 and PCR1 are the same
// then and PCR2 holds nothing, the known answer.
func TestNoRamdisk(t *testing.T) {
	var known map[string]json.RawMessage
	if err := json.Unmarshal(readFile(t, "nitro/pcr/known_answers.json"), &known); err != nil {
		t.Fatal(err)
	}
	var empty answer
	if err := json.Unmarshal(known["eif_pcr2_no_app_ramdisk"], &empty); err != nil {
		t.Fatal(err)
	}
	p := predict(t, Input{Parts: parts(t, 0)})
	if p.PCRs[0].Value != p.PCRs[1].Value || p.PCRs[2].Value.String() != empty.Out {
		t.Errorf("got %v, %v, %v, want the first two equal, the third %s", p.PCRs[0].Value, p.PCRs[1].Value, p.PCRs[2].Value, empty.Out)
	}
}

// TestBlocks: content of any length in any portions gives the same, around
// the size of the buffer too.
func TestBlocks(t *testing.T) {
	for _, n := range []int{1, bufferSize - 1, bufferSize, bufferSize + 1, 3*bufferSize + 17} {
		content := bytes.Repeat([]byte{0xa5, 0x5a, 1}, n/3+1)[:n]
		p := predict(t, Input{Parts: &Parts{
			Kernel: strings.NewReader("k"), CommandLine: []byte("c"),
			Ramdisks: []io.Reader{bytes.NewReader(content), io.MultiReader(bytes.NewReader(content[:n/2]), bytes.NewReader(content[n/2:]))},
		}})
		all := append(append([]byte("kc"), content...), content...)
		for i, want := range [][]byte{all, all[:2+n], content} {
			if digest := sha512.Sum384(want); *p.PCRs[i].Event.Digest != digest {
				t.Errorf("%d bytes: PCR%d: got %v, want %x", n, i, p.PCRs[i].Event.Digest, digest)
			}
		}
	}
}
