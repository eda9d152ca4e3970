package tpmtest

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"safebox/verifier/check"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
)

// appendField writes a protobuf field with bytes.
func appendField(b []byte, number int, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// google writes an attest.Attestation.
func (m *Machine) google() []byte {
	b := appendField(nil, 1, m.public())
	for _, bank := range m.Banks {
		attest := m.attest(bank)
		signature, _ := m.sign(attest)
		attest[len(attest)-1] ^= m.FlipAttest
		signature[len(signature)-1] ^= m.FlipSignature
		pcrs := binary.AppendUvarint([]byte{1 << 3}, uint64(bank))
		for index, value := range m.registers(bank) {
			if index == m.FlipRegister {
				value[0] ^= 1
			}
			if index != m.OmitRegister {
				pcrs = appendField(pcrs, 2, appendField([]byte{1 << 3, byte(index)}, 2, value))
			}
		}
		b = appendField(b, 2, appendField(appendField(appendField(nil, 1, attest), 2, signature), 3, pcrs))
	}
	if m.Logged != nil {
		b = appendField(b, 3, m.encodeLog(m.Logged))
	}
	if m.Said != nil {
		b = appendField(b, 4, m.Said)
	}
	if m.Certificate != nil {
		b = appendField(b, 6, m.authority.issue(m.t, *m.Certificate, m.ak.Public()))
		b = appendField(b, 7, m.authority.Intermediate.Raw)
	}
	return b
}

// claims writes the paravisor's claims.
func (m *Machine) claims() []byte {
	k, ok := m.ak.(*rsa.PrivateKey)
	if !ok {
		m.t.Fatal("tpmtest: Azure's attestation keys are RSA")
	}
	uses, err := json.Marshal(m.KeyUses)
	if err != nil {
		m.t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"keys":[{"kid":"HCLAkPub","key_ops":%s,"kty":"RSA","e":"AQAB","n":"%s"},`+
		`{"kid":"HCLEkPub","key_ops":["encrypt"],"kty":"RSA","e":"AQAB","n":"AAAA"}],`+
		`"vm-configuration":{"console-enabled":true,"secure-boot":%t,"tpm-enabled":true,"vmUniqueId":"TEST"},"user-data":"%0128d"}`,
		uses, base64.RawURLEncoding.EncodeToString(k.N.Bytes()), m.ClaimsSecureBoot, 0)
}

// hcl writes the paravisor's report ("Guest attestation for confidential VMs"),
// and gives the hardware evidence that belongs to it.
func (m *Machine) hcl() (blob, hardware []byte) {
	claims := m.claims()
	data := sha256.Sum256(claims)
	if m.OtherClaims {
		data[0] ^= 1
	}
	le := binary.LittleEndian
	b := []byte("HCLA")
	for _, v := range []uint32{2, uint32(1236 + len(claims)), 2, 0, 0, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	area := make([]byte, 1184)
	if m.Azure == azure.SNP {
		copy(area[0x50:], data[:]) // report_data (AMD 56860)
		hardware = area
	} else {
		area[0] = 0x81               // a TDREPORT (Intel TDX Module 1.5 ABI)
		copy(area[128:], data[:])    // its reportdata
		hardware = make([]byte, 632) // header and body of a TD quote
		hardware[0] = 4              // its version
		copy(hardware[48+520:], data[:])
	}
	b = append(b, area...)
	for _, v := range []uint32{uint32(20 + len(claims)), 1, uint32(m.Azure), 1, uint32(len(claims))} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, claims...)
	return append(b, make([]byte, 2600-len(b))...), hardware
}

// azure writes the JSON of Azure's agents, version 1.
func (m *Machine) azure() []byte {
	attest := m.attest(tpm.AlgSHA256)
	_, signature := m.sign(attest)
	signature[len(signature)-1] ^= m.FlipSignature
	var pcrs []string
	for index, value := range m.registers(tpm.AlgSHA256) {
		if index == m.FlipRegister {
			value[0] ^= 1
		}
		pcrs = append(pcrs, fmt.Sprintf("%q", hex.EncodeToString(value)))
	}
	blob, hardware := m.hcl()
	name := "td_quote"
	if m.Azure == azure.SNP {
		name, hardware = "vcek", []byte("no certificate")
	}
	url := base64.URLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"version":1,"tpm_quote":{"signature":"%x","message":"%x","pcrs":[%s]},"hcl_report":%q,%q:%q}`,
		signature, attest, strings.Join(pcrs, ","), url(blob), name, url(hardware))
}

// Processor stands for the package of a processor: it looks at report_data and
// at nothing else.
func Processor(h azure.Hardware, want [64]byte, _ *check.Recorder) error {
	off := 0x50
	if h.Kind == azure.TDX {
		off = 48 + 520
	}
	if len(h.Report) < off+64 || string(h.Report[off:off+64]) != string(want[:]) {
		return errors.New("report_data is another")
	}
	return nil
}
