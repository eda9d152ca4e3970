package idblock

import (
	"bytes"
	"testing"
)

func FuzzBlock(f *testing.F) {
	f.Add(realBlock(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := DecodeBlock(b)
		if err != nil {
			return
		}
		if again, err := block.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("got %x, %v, want %x", again, err, b)
		}
	})
}

func FuzzAuth(f *testing.F) {
	page := file(f, "sev-rust/test_auth_block.bin")
	f.Add(page)
	alone := bytes.Clone(page)
	clear(alone[4:8])
	clear(alone[0x680:])
	f.Add(alone)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAuth(b)
		if err != nil {
			return
		}
		if !bytes.Equal(a.Encode(), b) {
			t.Error("encoding again differs")
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	page := file(f, "sev-rust/test_auth_block.bin")
	f.Add(page[0x240:0x644])
	f.Add(page[0x880:0xc84])
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := DecodePublicKey(b)
		if err != nil {
			return
		}
		if !bytes.Equal(k.Encode(), b) {
			t.Error("encoding again differs")
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add(file(f, "sev-rust/test_id_sig.bin"))
	f.Add(file(f, "sev-rust/test_auth_sig.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sig, err := DecodeSignature(b)
		if err != nil {
			return
		}
		if !bytes.Equal(sig.Encode(), b) {
			t.Error("encoding again differs")
		}
	})
}
