package publishtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"

	"filippo.io/mldsa"

	"safebox/verifier/dsse"
)

// prefix begins the name of each key and the text that its seed is the
// SHA-256 of: whoever reads a policy or a log sees what they are.
const prefix = "TEST-ONLY."

// Names of the log and the witnesses, as their notes are signed.
const (
	Origin   = prefix + "log.example/releases"
	WitnessA = prefix + "witness-a.example" // Ed25519
	WitnessB = prefix + "witness-b.example" // Ed25519
	WitnessC = prefix + "witness-c.example" // ML-DSA-44
)

// Operators of the three rebuilders: the two first keys that Rebuilder gives
// are of different ones, as is the third.
const (
	OperatorA = prefix + "Operator A"
	OperatorB = prefix + "Operator B"
	OperatorC = prefix + "Operator C"
)

// seed gives the secret of a key: anybody can, these keys protect nothing.
func seed(name string) []byte {
	sum := sha256.Sum256([]byte(prefix + name))
	return sum[:]
}

// Signer gives the Ed25519 key of a name: the same at each call.
func Signer(t testing.TB, name string) dsse.Signer {
	t.Helper()
	return signer(t, Key(name))
}

// Key is the private half of Signer.
func Key(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed(name)) }

// SignerP256 gives the ECDSA P-256 key of a name. Its signatures differ at
// each call.
func SignerP256(t testing.TB, name string) dsse.Signer {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed(name))
	if err != nil {
		t.Fatal(err)
	}
	return signer(t, key)
}

func signer(t testing.TB, key crypto.Signer) dsse.Signer {
	t.Helper()
	s, err := dsse.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Publisher is the key that signs releases.
func Publisher(t testing.TB) dsse.Signer { return Signer(t, "publisher") }

// Rebuilder is the key of rebuilder 0, 1 or 2, or of one more.
func Rebuilder(t testing.TB, i int) dsse.Signer { return Signer(t, fmt.Sprintf("rebuilder %d", i)) }

// Signature types of C2SP signed-note, section "Signatures", and
// C2SP tlog-cosignature, section "Format".
const (
	algorithmEd25519     = 0x01
	algorithmCosignature = 0x04
	algorithmMLDSA       = 0x06
)

// noteKey signs notes under one name: a log's key or a witness's.
type noteKey struct {
	name      string
	algorithm byte
	public    []byte
	sign      func(t testing.TB, message []byte) []byte
}

// logKey is the key of a log.
func logKey(name string) noteKey { return ed25519Key(name, algorithmEd25519) }

// witnessKey is the key of a witness: C's is ML-DSA-44, all others Ed25519.
func witnessKey(t testing.TB, name string) noteKey {
	t.Helper()
	if name == WitnessC {
		return mldsaKey(t, name)
	}
	return ed25519Key(name, algorithmCosignature)
}

func ed25519Key(name string, algorithm byte) noteKey {
	key := Key(name)
	return noteKey{
		name: name, algorithm: algorithm, public: key.Public().(ed25519.PublicKey),
		sign: func(_ testing.TB, message []byte) []byte { return ed25519.Sign(key, message) },
	}
}

func mldsaKey(t testing.TB, name string) noteKey {
	t.Helper()
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed(name))
	if err != nil {
		t.Fatal(err)
	}
	return noteKey{
		name: name, algorithm: algorithmMLDSA, public: key.PublicKey().Bytes(),
		sign: func(t testing.TB, message []byte) []byte {
			t.Helper()
			sig, err := key.SignDeterministic(message, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sig
		},
	}
}

// typed is the public key behind its type: what a key ID and a vkey are made
// of.
func (k *noteKey) typed() []byte { return append([]byte{k.algorithm}, k.public...) }

// id is SHA-256(name || 0x0a || type || public key), its first 4 bytes
// (C2SP signed-note, section "Verifier keys").
func (k *noteKey) id() uint32 {
	sum := sha256.Sum256(append([]byte(k.name+"\n"), k.typed()...))
	return binary.BigEndian.Uint32(sum[:])
}

// vkey is the public key as text (C2SP signed-note, section "Verifier keys").
func (k *noteKey) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(k.typed()))
}

// skey is the secret key as text, in the form of golang.org/x/mod/sumdb/note.
func (k *noteKey) skey() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(append([]byte{k.algorithm}, seed(k.name)...)))
}

// LogKeys gives secret and public text of the log's key.
func LogKeys() (skey, vkey string) {
	k := logKey(Origin)
	return k.skey(), k.vkey()
}

// WitnessKeys gives secret and public text of a witness's key.
func WitnessKeys(t testing.TB, name string) (skey, vkey string) {
	t.Helper()
	k := witnessKey(t, name)
	return k.skey(), k.vkey()
}
