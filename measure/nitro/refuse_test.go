package nitro

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"

	"safebox/measure/eif"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRefuse(t *testing.T) {
	signed := open(t, "signed_p384.eif")
	broken := errors.New("bad sector")
	for name, c := range map[string]struct {
		in   Input
		want string
	}{
		"nothing":              {Input{}, "predicting PCRs: want either an image or its parts"},
		"both":                 {Input{Image: signed, Parts: parts(t, 1)}, "predicting PCRs: want either an image or its parts"},
		"no kernel":            {Input{Parts: &Parts{}}, "predicting PCRs: kernel: missing"},
		"empty kernel":         {Input{Parts: &Parts{Kernel: strings.NewReader("")}}, "predicting PCR0: reading kernel: got no bytes, want content"},
		"no ramdisk":           {Input{Parts: &Parts{Kernel: strings.NewReader("k"), Ramdisks: []io.Reader{nil}}}, "predicting PCRs: ramdisk 0: missing"},
		"empty ramdisk":        {Input{Parts: &Parts{Kernel: strings.NewReader("k"), Ramdisks: []io.Reader{strings.NewReader("")}}}, "predicting PCR0: reading ramdisk 0: got no bytes, want content"},
		"NUL":                  {Input{Parts: &Parts{Kernel: strings.NewReader("k"), CommandLine: []byte("a\x00")}}, "predicting PCRs: cmdline: byte 1: got NUL, want text"},
		"NUL first":            {Input{Parts: &Parts{Kernel: strings.NewReader("k"), CommandLine: []byte("\x00a")}}, "predicting PCRs: cmdline: byte 0: got NUL, want text"},
		"unreadable":           {Input{Parts: &Parts{Kernel: iotest.ErrReader(broken)}}, "predicting PCR0: reading kernel: bad sector"},
		"role and none":        {Input{Parts: parts(t, 1), RoleARN: "arn:aws:iam::123456789012:role/a", NoRole: true}, `predicting PCR3: got role "arn:aws:iam::123456789012:role/a" and no role, want one of them`},
		"role":                 {Input{Parts: parts(t, 1), RoleARN: "Webserver"}, `predicting PCR3: role ARN: got "Webserver", want the form arn:aws:iam::123456789012:role/name`},
		"role with newline":    {Input{Parts: parts(t, 1), RoleARN: "arn:aws:iam::123456789012:role/a\n"}, "predicting PCR3: role ARN: got"},
		"short account":        {Input{Parts: parts(t, 1), RoleARN: "arn:aws:iam::12345678901:role/a"}, "predicting PCR3: role ARN: got"},
		"user, not role":       {Input{Parts: parts(t, 1), RoleARN: "arn:aws:iam::123456789012:user/a"}, "predicting PCR3: role ARN: got"},
		"instance profile":     {Input{Parts: parts(t, 1), RoleARN: "arn:aws:iam::123456789012:instance-profile/a"}, "predicting PCR3: role ARN: got"},
		"assumed role":         {Input{Parts: parts(t, 1), RoleARN: "arn:aws:sts::123456789012:assumed-role/a/i-0a22e5c5f24d22174"}, "predicting PCR3: role ARN: got"},
		"instance":             {Input{Parts: parts(t, 1), InstanceID: "0a22e5c5f24d22174"}, `predicting PCR4: instance ID: got "0a22e5c5f24d22174", want i- and 17`},
		"instance with space":  {Input{Parts: parts(t, 1), InstanceID: "i-0a22e5c5f24d22174 "}, "predicting PCR4: instance ID: got"},
		"instance upper case":  {Input{Parts: parts(t, 1), InstanceID: "i-0A22e5c5f24d22174"}, "predicting PCR4: instance ID: got"},
		"module":               {Input{Parts: parts(t, 1), InstanceID: "i-0a22e5c5f24d22174-enc0191cb90ab7f6c20"}, "predicting PCR4: instance ID: got"},
		"another certificate":  {Input{Image: signed, Certificate: another(t)}, "predicting PCR8: certificate: got another one than the one in the image"},
		"signature of another": {Input{Image: forged(t)}, "predicting PCR8: verifying EIF signature: signed PCR0: got 085ae2845547d014"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Predict(c.in)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if p != nil {
				t.Error("got a prediction together with an error")
			}
		})
	}
	if _, err := Predict(Input{Parts: &Parts{Kernel: iotest.ErrReader(broken)}}); !errors.Is(err, broken) {
		t.Errorf("got %v, want it to wrap %v", err, broken)
	}
}

// TestForms: names that real roles and instances have.
func TestForms(t *testing.T) {
	for _, arn := range []string{
		"arn:aws:iam::123456789012:role/Webserver",
		"arn:aws-cn:iam::123456789012:role/a",
		"arn:aws-us-gov:iam::123456789012:role/service-role/path/AWS_a+b=c,d.e@f-g",
	} {
		if err := checkRole(arn); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"i-0a22e5c5f24d22174", "i-1a2b3c4d"} {
		if err := checkInstance(id); err != nil {
			t.Error(err)
		}
	}
}

// another is a certificate of nobody's.
func another(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forged is an image with the signature of another one: three_ramdisks.eif
// reads as two_ramdisks.eif would if its signature were put there.
func forged(t *testing.T) *eif.File {
	t.Helper()
	f := open(t, "three_ramdisks.eif")
	f.Signature = open(t, "signed_p384.eif").Signature
	return f
}

// TestChanged: a file that changes between Open and Predict.
func TestChanged(t *testing.T) {
	b := readFile(t, folder+"two_ramdisks.eif")
	r := &shrinking{b: b}
	f, err := eif.Open(r, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.b = b[:len(b)-1]
	_, err = Predict(Input{Image: f})
	if want := "predicting PCR0: reading ramdisk 1: got 494 bytes, want 495: the file was changed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

type shrinking struct{ b []byte }

func (s *shrinking) ReadAt(b []byte, offset int64) (int, error) {
	return bytes.NewReader(s.b).ReadAt(b, offset)
}
