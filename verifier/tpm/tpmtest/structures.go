// Package tpmtest makes evidence of machines that do not exist, for tests: the
// structures of a TPM in software, an authority for its keys, event logs, and
// the files of Google's and Azure's machines. With it every check of
// verifier/tpm/cloud has evidence that it alone refuses.
//
// It writes TPM 2.0 Library, Part 2 structures, RFC 5280 certificates and the
// files of packages gce and azure, each by its own code: nothing here uses the
// decoders that it is there to test.
package tpmtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"testing"

	"safebox/verifier/tpm"
)

// key reads one of the PEM constants.
func key(t testing.TB, text string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("tpmtest: key: no PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(crypto.Signer)
}

func u16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// sized is a TPM2B.
func sized(b, v []byte) []byte { return append(u16(b, uint16(len(v))), v...) }

// public writes a TPMT_PUBLIC (Part 2, 12.2.4).
func (m *Machine) public() []byte {
	b := u16(nil, 0x000b) // nameAlg follows the type below
	b = u32(b, uint32(m.Attributes))
	b = u16(b, 0)                     // no policy
	b = u16(b, uint16(tpm.AlgNull))   // symmetric
	b = u16(b, uint16(m.keyScheme())) // scheme
	if m.keyScheme() != tpm.AlgNull {
		b = u16(b, uint16(m.Hash))
	}
	switch k := m.ak.Public().(type) {
	case *rsa.PublicKey:
		b = u16(b, uint16(k.N.BitLen()))
		b = u32(b, 0)
		return append(u16(nil, uint16(tpm.AlgRSA)), sized(b, k.N.Bytes())...)
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			m.t.Fatal(err)
		}
		size := len(point) / 2
		curve := tpm.CurveP256
		if size == 48 {
			curve = tpm.CurveP384
		}
		b = u16(u16(b, uint16(curve)), uint16(tpm.AlgNull))
		b = sized(b, point[1:1+size])
		return append(u16(nil, uint16(tpm.AlgECC)), sized(b, point[1+size:])...)
	}
	m.t.Fatal("tpmtest: kind of key")
	return nil
}

func (m *Machine) keyScheme() tpm.Algorithm {
	if m.NoScheme {
		return tpm.AlgNull
	}
	return m.scheme()
}

func (m *Machine) scheme() tpm.Algorithm {
	if _, ok := m.ak.(*rsa.PrivateKey); ok {
		return tpm.AlgRSASSA
	}
	return tpm.AlgECDSA
}

// attest writes a TPMS_ATTEST with a quote (Part 2, 10.12.12) of a bank.
func (m *Machine) attest(bank tpm.Algorithm) []byte {
	b := u32(nil, 0xff544347)
	b = u16(b, m.AttestType)
	b = sized(b, make([]byte, 34))
	b = sized(b, m.Extra)
	b = u64(b, 12345)
	resets, restarts := m.Resets, m.Restarts
	if bank != m.Banks[0] {
		resets, restarts = resets+m.LaterResets, restarts+m.LaterRestarts
	}
	b = u32(u32(b, resets), restarts)
	b = append(b, map[bool]byte{true: 1}[m.Safe])
	b = u64(b, 0x20160511)
	said := bank
	if m.SaidBank != 0 {
		said = m.SaidBank
	}
	b = append(u16(u32(b, 1), uint16(said)), 3)
	var bitmap [3]byte
	h := m.Hash.Hash().New()
	for _, index := range m.PCRs {
		bitmap[index/8] |= 1 << (index % 8)
		h.Write(m.registers(bank)[index])
	}
	return sized(append(b, bitmap[:]...), h.Sum(nil))
}

// sign makes the signature's fields: of RSASSA the bytes, of ECDSA r and s.
func (m *Machine) sign(message []byte) (tpmt, plain []byte) {
	h := m.Hash.Hash().New()
	h.Write(message)
	signer := m.ak
	if m.Signer != nil {
		signer = m.Signer
	}
	raw, err := signer.Sign(rand.Reader, h.Sum(nil), m.Hash.Hash())
	if err != nil {
		m.t.Fatal(err)
	}
	b := u16(u16(nil, uint16(m.scheme())), uint16(m.Hash))
	if m.scheme() == tpm.AlgRSASSA {
		return sized(b, raw), raw
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(raw, &point); err != nil {
		m.t.Fatal(err)
	}
	return sized(sized(b, point.R.Bytes()), point.S.Bytes()), nil
}

// pins are the pins of one key.
func pins(public []byte) [][32]byte { return [][32]byte{sha256.Sum256(public)} }

// replace puts other bytes in place of the first that are like old.
func replace(b, old, with []byte) []byte { return bytes.Replace(b, old, with, 1) }
