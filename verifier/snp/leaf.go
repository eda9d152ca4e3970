package snp

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
)

// Leaf is what the certificate of a signing key says by its extensions (AMD
// 57230, section 3, tables "VCEK Certificate Fields" and "X.509 Certificate
// Extensions"; the VLEK's has CSP_ID in place of HWID).
type Leaf struct {
	StructVersion uint8
	ProductName   string // such as "Milan-B0"; the stepping may be another than the machine's
	Product       Product
	TCB           TCB    // of the key: it was derived from these versions
	HWID          []byte // VCEK: 64 bytes, 8 for Turin; nil for a VLEK
	CSPID         string // VLEK: the provider; empty for a VCEK
}

// Extensions of a leaf, by what follows 1.3.6.1.4.1.3704.1.
const (
	extStructVersion = "1"
	extProductName   = "2"
	extSPL           = "3." // the TCB's eight numbers and, from structVersion 1, FMC
	extHWID          = "4"
	extCSPID         = "5"
)

// spl lists the numbers of the TCB's components under extSPL in the order of
// the eight bytes of a TCB_VERSION.
func spl(structVersion uint8) [8]int {
	const bootloader, tee, snp, spl4, spl5, spl6, spl7, microcode, fmc = 1, 2, 3, 4, 5, 6, 7, 8, 9
	if structVersion == 1 {
		return [8]int{fmc, bootloader, tee, snp, spl5, spl6, spl7, microcode}
	}
	return [8]int{bootloader, tee, spl4, spl5, spl6, spl7, snp, microcode}
}

// Size of HWID by structVersion, and the longest product name and CSP_ID.
const (
	hwidSize      = 64
	hwidSizeTurin = 8
	maxText       = 127 // one byte of length in DER
)

// ParseLeaf reads the extensions of a VCEK's or VLEK's certificate: exactly
// those that its structVersion has, each once, and no others. It does not
// verify the certificate.
func ParseLeaf(c *x509.Certificate) (*Leaf, error) {
	values := make(map[string][]byte, 12)
	for _, e := range c.Extensions {
		name, ok := amdExtension(e.Id)
		if !ok {
			return nil, fmt.Errorf("parsing extensions: %v is unknown", e.Id)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("parsing extensions: %v twice", e.Id)
		}
		values[name] = e.Value
	}
	l := &Leaf{}
	if err := l.parse(values); err != nil {
		return nil, fmt.Errorf("parsing extensions: %w", err)
	}
	return l, nil
}

// amdExtension gives what follows 1.3.6.1.4.1.3704.1 in an identifier.
func amdExtension(id asn1.ObjectIdentifier) (string, bool) {
	prefix := [...]int{1, 3, 6, 1, 4, 1, 3704, 1}
	if len(id) <= len(prefix) || [8]int(id[:8]) != prefix {
		return "", false
	}
	switch rest := id[8:]; {
	case len(rest) == 1 && rest[0] >= 1 && rest[0] <= 5 && rest[0] != 3:
		return string(rune('0' + rest[0])), true
	case len(rest) == 2 && rest[0] == 3 && rest[1] >= 1 && rest[1] <= 9:
		return extSPL + string(rune('0'+rest[1])), true
	}
	return "", false
}

// parse takes each extension out of values; what is left is one too many.
func (l *Leaf) parse(values map[string][]byte) error {
	var err error
	if l.StructVersion, err = takeNumber(values, extStructVersion); err != nil {
		return err
	}
	if l.StructVersion > 1 {
		return fmt.Errorf("structVersion: got %d, want 0 or 1", l.StructVersion)
	}
	if err := l.parseProduct(values); err != nil {
		return err
	}
	var raw [8]byte
	for i, n := range spl(l.StructVersion) {
		if raw[i], err = takeNumber(values, extSPL+string(rune('0'+n))); err != nil {
			return err
		}
	}
	l.TCB = decodeTCB(raw, l.Product)
	if l.TCB.reserved() {
		return fmt.Errorf("SPL of a reserved component: got %x, want it zero", raw)
	}
	if err := l.parseOwner(values); err != nil {
		return err
	}
	for name := range values {
		return fmt.Errorf("extension 1.3.6.1.4.1.3704.1.%s has no place in structVersion %d", name, l.StructVersion)
	}
	return nil
}

func (l *Leaf) parseProduct(values map[string][]byte) error {
	name, err := takeText(values, extProductName)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(name, "-")
	l.ProductName, l.Product = name, ParseProduct(line)
	if l.Product == 0 {
		return fmt.Errorf("productName: got %q, want that of Milan, Genoa or Turin", name)
	}
	if want := structVersion(l.Product); l.StructVersion != want {
		return fmt.Errorf("structVersion: got %d, want %d for %v", l.StructVersion, want, l.Product)
	}
	return nil
}

// structVersion is the version of the extensions that a product has.
func structVersion(p Product) uint8 {
	if p == Turin {
		return 1
	}
	return 0
}

// parseOwner reads whose key it is: a chip's or a provider's.
func (l *Leaf) parseOwner(values map[string][]byte) error {
	hwid, chip := values[extHWID]
	_, provider := values[extCSPID]
	switch {
	case chip == provider:
		return fmt.Errorf("HWID there: %t, CSP_ID there: %t, want exactly one", chip, provider)
	case provider:
		var err error
		l.CSPID, err = takeText(values, extCSPID)
		return err
	}
	want := hwidSize
	if l.Product == Turin {
		want = hwidSizeTurin
	}
	// Genuine certificates have the bytes as they are. AMD has announced the DER
	// that other extensions have (confidential-containers/attestation-service pull
	// request 131); the two lengths tell them apart.
	if len(hwid) == want+2 && hwid[0] == asn1.TagOctetString && hwid[1] == byte(want) {
		hwid = hwid[2:]
	} else if len(hwid) != want {
		return fmt.Errorf("HWID: got %d bytes, want %d for %v, as they are or as one OCTET STRING", len(hwid), want, l.Product)
	}
	l.HWID = hwid
	delete(values, extHWID)
	return nil
}

// takeNumber reads a DER INTEGER of 0 to 255 in its shortest form (X.690, 8.3).
func takeNumber(values map[string][]byte, name string) (uint8, error) {
	const tagInteger = 2
	b, ok := values[name]
	delete(values, name)
	switch {
	case !ok:
		return 0, fmt.Errorf("extension 1.3.6.1.4.1.3704.1.%s is missing", name)
	case len(b) == 3 && b[0] == tagInteger && b[1] == 1 && b[2] < 0x80:
		return b[2], nil
	case len(b) == 4 && b[0] == tagInteger && b[1] == 2 && b[2] == 0 && b[3] >= 0x80:
		return b[3], nil
	}
	return 0, fmt.Errorf("extension 1.3.6.1.4.1.3704.1.%s: got %x, want a DER INTEGER of 0 to 255", name, shortened(b))
}

// takeText reads a DER IA5String (X.690, 8.23) of printable ASCII.
func takeText(values map[string][]byte, name string) (string, error) {
	const tagIA5String = 0x16
	b, ok := values[name]
	delete(values, name)
	if !ok {
		return "", fmt.Errorf("extension 1.3.6.1.4.1.3704.1.%s is missing", name)
	}
	if len(b) < 3 || b[0] != tagIA5String || int(b[1]) != len(b)-2 || b[1] > maxText || !printable(b[2:]) {
		return "", fmt.Errorf("extension 1.3.6.1.4.1.3704.1.%s: got %x, want a DER IA5String of 1 to %d printable characters", name, shortened(b), maxText)
	}
	return string(b[2:]), nil
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// shortened is a value in an error, cut to a bearable length.
func shortened(b []byte) []byte { return b[:min(len(b), 32)] }

// errNoLeaf says that there is nothing to verify a signature by.
func errNoLeaf(name string, certificates int) error {
	if certificates == 0 {
		return errors.New("no certificate among the endorsements")
	}
	return fmt.Errorf("none of the %d certificates among the endorsements has the subject %s", certificates, name)
}
