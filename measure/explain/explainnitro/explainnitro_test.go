package explainnitro

import (
	"bytes"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eif"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/nitro"
)

// data is measure/testdata.
var data = explaintest.New(os.DirFS("../../testdata"))

// enclaveImage opens an image of measure/testdata.
func enclaveImage(t testing.TB, name string) *eif.File {
	t.Helper()
	b := data.File(t, "nitro/eif/"+name)
	f, err := eif.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// enclavePCRs are those of an image by the program that made it.
func enclavePCRs(t testing.TB, name string) (list [nitro.Registers][]byte) {
	t.Helper()
	var all []struct {
		File string
		PCR  map[string]string
	}
	if err := json.Unmarshal(data.File(t, "nitro/eif/vectors.json"), &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.File != name {
			continue
		}
		for i, key := range map[int]string{0: "PCR0", 1: "PCR1", 2: "PCR2", 8: "PCR8"} {
			if v.PCR[key] != "" {
				list[i] = explaintest.Unhex(t, v.PCR[key])
			} else {
				list[i] = make([]byte, 48)
			}
		}
		return list
	}
	t.Fatalf("no vector %s", name)
	return list
}

func certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := eif.ParseCertificate(data.File(t, "nitro/eif/signer_cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEnclavesOfOthers explains the registers of one image as another one's. The
// registers are by the program that made the images.
func TestEnclavesOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, expected, reported string
		want                     []string
	}{
		{
			"place of the command line", "two_ramdisks.eif", "cmdline_last.eif",
			[]string{
				"the reported PCR 0 is what this enclave gives with the command line behind the ramdisks instead of in front of the ramdisks in the file",
				"the reported PCR 1 is what this enclave gives with the command line behind the ramdisks instead of in front of the ramdisks in the file",
			},
		},
		{
			"fewer ramdisks", "two_ramdisks.eif", "one_ramdisk.eif",
			[]string{
				"the reported PCR 0 is what this enclave gives with image one_ramdisk.eif instead of the expected one",
				"the reported PCR 2 is what this enclave gives with image one_ramdisk.eif instead of the expected one",
				"the reported PCR 2 is what this enclave gives with 2 of the 2 ramdisks in PCR 1 instead of 1 (put together to one section, or no ramdisk of its own)",
			},
		},
		{
			"signature", "two_ramdisks.eif", "signed_p384.eif",
			[]string{"the reported PCR 8 is what this enclave gives with a signature with signer_cert.pem instead of none"},
		},
		{
			"no signature", "signed_p384.eif", "two_ramdisks.eif",
			[]string{
				"the reported PCR 8 is what this enclave gives with no signature instead of one with the expected certificate",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Enclave{
				Input:        nitro.Input{Image: enclaveImage(t, tt.expected)},
				Images:       []explain.Named[*eif.File]{{Name: "one_ramdisk.eif", Value: enclaveImage(t, "one_ramdisk.eif")}},
				Certificates: []explain.Named[*x509.Certificate]{{Name: "signer_cert.pem", Value: certificate(t)}},
			}
			list, err := in.Explain(enclavePCRs(t, tt.reported))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, explaintest.Summaries(list)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestParentOfEnclave: PCR4 of real documents, PCR3 of AWS's example.
func TestParentOfEnclave(t *testing.T) {
	t.Parallel()
	const (
		arn   = "arn:aws:iam::123456789012:role/Webserver"
		pcr3  = "78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6" // AWS's example, by tkhq/qos
		id    = "i-0a22e5c5f24d22174"
		pcr4  = "45706d7b621e4620a332e147a5ddb000b049f73d47d3e61f6b03d2069152d4df6a4a786ad1c10102b955799a9dc96b44" // of ../../testdata/nitro/docs
		other = "i-0827e799ec9232d44"
	)
	in := Enclave{
		Input:       nitro.Input{Image: enclaveImage(t, "two_ramdisks.eif"), InstanceID: other, NoRole: true},
		RoleARNs:    []string{arn},
		InstanceIDs: []string{id},
	}
	var reported [nitro.Registers][]byte
	reported[3], reported[4] = explaintest.Unhex(t, pcr3), explaintest.Unhex(t, pcr4)
	want := []string{
		`the reported PCR 3 is what this enclave gives with role ARN "arn:aws:iam::123456789012:role/Webserver" instead of none`,
		`the reported PCR 4 is what this enclave gives with instance ID "i-0a22e5c5f24d22174" instead of "i-0827e799ec9232d44"`,
	}
	for _, debug := range []bool{false, true} { // the parent's registers are there in debug mode too
		in.Input.Debug = debug
		list, err := in.Explain(reported)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, explaintest.Summaries(list)); diff != "" {
			t.Errorf("debug %v: -want +got:\n%s", debug, diff)
		}
	}
}

// TestUnrelatedEnclave: nothing is found, but what one register tells of another
// is said.
func TestUnrelatedEnclave(t *testing.T) {
	t.Parallel()
	in := Enclave{Input: nitro.Input{Image: enclaveImage(t, "three_ramdisks.eif")}}
	reported := enclavePCRs(t, "three_ramdisks.eif")
	reported[1] = explaintest.Unhex(t, "0343b056cd8485ca7890ddd833476d78460aed2aa161548e4e26bedf321726696257d623e8805f3f605946b3d8b0c6aa") // in documents of 2024
	list, err := in.Explain(reported)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"nothing explains the reported PCR 1: 204 values were tried, by debug mode (1), value (1), command line (6), place of the command line (1), " +
			"order of the ramdisks (5), ramdisks in PCR 1 (3); a hash does not tell what it was made from",
		"the reported PCR 1 is known: AWS nitro-cli blobs, seen in documents of 2024-09 to 2026-01",
		"PCR 0 is as expected, so kernel, command line and ramdisks are the same bytes in the same order: " +
			"the border between the first ramdisk and the others lies elsewhere",
	}
	got := explaintest.Summaries(list)
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	if diff := cmp.Diff(want[1:], got[1:]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	t.Log(got[0])
}

// TestPartsOfEnclave changes what an image is made of, one thing at a time.
func TestPartsOfEnclave(t *testing.T) {
	t.Parallel()
	part := func(name string) []byte { return data.File(t, "nitro/eif/"+name) }
	kernel, line := part("in_kernel.bin"), part("in_cmdline.txt")
	first, second := part("in_ramdisk0.bin"), part("in_ramdisk1.bin")
	byHand := func(parts ...[]byte) []byte {
		sum := sha512.Sum384(bytes.Join(parts, nil))
		return explaintest.Fold(sum)
	}
	digest := sha512.Sum384(bytes.Join([][]byte{kernel, line, first, second}, nil))
	in := Enclave{Input: nitro.Input{Image: enclaveImage(t, "two_ramdisks.eif")}}
	for reported, want := range map[string]string{
		string(byHand(kernel, line, []byte("\n"), first, second)):   "a newline at the end of the command line instead of none (read from a file)",
		string(byHand(kernel, line, []byte("\x00"), first, second)): "a NUL at the end of the command line instead of none",
		string(byHand(kernel, line, second, first)):                 "ramdisks in the order 1 0 instead of 0 1",
		string(byHand(kernel, first, second, line)):                 "the command line behind the ramdisks instead of in front of the ramdisks in the file",
		string(digest[:]): "the SHA-384 of the content instead of the register it was extended into",
		string(byHand(kernel, line, []byte("\n"), second, first)): "a newline at the end of the command line instead of none (read from a file) and ramdisks in the order 1 0 instead of 0 1",
		string(make([]byte, 48)):                                  "debug mode instead of none (PCR 0, 1, 2 and 8 are zero, and the parent can read the enclave)",
	} {
		list, err := in.Explain([nitro.Registers][]byte{[]byte(reported)})
		if err != nil {
			t.Fatal(err)
		}
		explaintest.WantSentences(t, list[0], "the reported PCR 0 is what this enclave gives with "+want)
	}
}

// TestOtherImages: what is said of the expected image's command line and
// ramdisks is not said of an image that has others.
func TestOtherImages(t *testing.T) {
	t.Parallel()
	in := Enclave{
		Input:  nitro.Input{Image: enclaveImage(t, "two_ramdisks.eif")},
		Images: []explain.Named[*eif.File]{{Name: "fewer", Value: enclaveImage(t, "one_ramdisk.eif")}, {Name: "signed", Value: enclaveImage(t, "signed_p384.eif")}},
	}
	l := newLab(&in)
	l.images[2].text += " quiet"
	choices := l.imageAxis().Choices
	for i, want := range []string{axisRamdisks + " " + axisBorder, inputs.CommandLine} {
		if got := strings.Join(choices[i].Closes, " "); got != want {
			t.Errorf("%s: closes %q, want %q", choices[i].Value, got, want)
		}
	}
}

// TestRefused: questions that are none.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func() error{
		"image: got none": func() error { _, err := (Enclave{}).Explain([nitro.Registers][]byte{}); return err },
		"PCR 0: got 3 bytes, want 48": func() error {
			_, err := (Enclave{Input: nitro.Input{Image: enclaveImage(t, "one_ramdisk.eif")}}).Explain([nitro.Registers][]byte{{1, 2, 3}})
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}
