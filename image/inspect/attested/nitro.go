package attested

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/tree"
	"safebox/verifier/nitro"
)

// What a document begins with: COSE_Sign1 (RFC 9052, section 4.2), with or
// without its tag, and the protected header {1: -35} (ES384; RFC 9053, 2.1).
const (
	coseTag   = "\xd2"
	coseStart = "\x84\x44\xa1\x01\x38\x22"
	tpmMember = "nitrotpm_pcrs" // only documents of a NitroTPM have it
)

func isNitro(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(b, []byte(coseTag)), []byte(coseStart))
}

func isNitroTPM(b []byte) bool {
	return isNitro(b) && bytes.Contains(b[:min(len(b), nitro.MaxSize)], []byte(tpmMember))
}

func nitroDocument(b []byte) ([]tree.Item, error) {
	d, err := nitro.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{
		unverified(),
		tree.New("module", "%q", d.ModuleID),
		tree.New("instance", "%q", d.Instance),
		tree.New("timestamp", "%s", tree.Time(d.Timestamp)),
	}
	if d.Kind == nitro.Enclave {
		items = append(items, tree.New("debug_mode", "%s", debugMode(d)))
	}
	items = append(items, tree.Bytes("user_data", d.UserData), tree.Bytes("nonce", d.Nonce), tree.Bytes("public_key", d.PublicKey))
	registers := tree.New("pcrs", "%d, sha384", len(d.PCRs))
	for _, i := range slices.Sorted(maps.Keys(d.PCRs)) {
		registers.Items = append(registers.Items, tree.New(fmt.Sprintf("pcr%d", i), "%x", d.PCRs[i]))
	}
	chain := tree.List("certificates", nil)
	for i, der := range slices.Concat([][]byte{d.Certificate}, d.CABundle) {
		chain.Items = append(chain.Items, endorsed.DER(fmt.Sprintf("certificate %d", i), der))
	}
	chain.Value = fmt.Sprintf("%d, leaf first, then from the root down", len(chain.Items))
	return append(items, registers, chain), nil
}

// debugMode: the hypervisor gives zeros in PCR0 to PCR2 when a console reads
// along (AWS Nitro Enclaves User Guide, "Debug mode").
func debugMode(d *nitro.Document) string {
	zero := 0
	for i := range 3 {
		if v, ok := d.PCRs[i]; ok && v == [48]byte{} {
			zero++
		}
	}
	switch zero {
	case 0:
		return "no"
	case 3:
		return "yes: PCR0, PCR1 and PCR2 are zero"
	}
	return fmt.Sprintf("unclear: %d of PCR0, PCR1 and PCR2 are zero", zero)
}
