package record_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	intoto "github.com/in-toto/attestation/go/v1"
	oracle "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// statements are one of each kind.
func statements(t testing.TB) map[string][]byte {
	t.Helper()
	release, match, mismatch, revoke := goodRelease(), goodMatch(), goodMismatch(), goodRevoke()
	list := map[string][]byte{}
	for name, encode := range map[string]func() ([]byte, error){
		"release": release.Encode, "match": match.Encode, "mismatch": mismatch.Encode, "revoke": revoke.Encode,
	} {
		b, err := encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list[name] = b
	}
	return list
}

// TestInToto: in-toto/attestation reads our statements and finds them valid.
func TestInToto(t *testing.T) {
	want := map[string]struct {
		predicateType string
		digests       []string
	}{
		"release":  {"safebox:release/v1", []string{digest("one").String()}},
		"match":    {"safebox:rebuild/v1", []string{digest("one").String()}},
		"mismatch": {"safebox:rebuild/v1", []string{digest("one").String()}},
		"revoke":   {"safebox:revoke/v1", []string{digest("one").String(), digest("two").String(), digest("three").String()}},
	}
	for name, b := range statements(t) {
		var s intoto.Statement
		if err := protojson.Unmarshal(b, &s); err != nil { // refuses members that it does not know
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.GetType() != intoto.StatementTypeUri || s.GetPredicateType() != want[name].predicateType {
			t.Errorf("%s: got %s, %s", name, s.GetType(), s.GetPredicateType())
		}
		var digests []string
		for _, r := range s.GetSubject() {
			if r.GetName() != "release.json" || len(r.GetDigest()) != 1 {
				t.Errorf("%s: subject %v", name, r)
			}
			digests = append(digests, r.GetDigest()["sha256"])
		}
		slices.Sort(want[name].digests)
		if diff := cmp.Diff(want[name].digests, digests); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestFromInToto: a statement that in-toto/attestation's types hold, in
// canonical JSON, is the one that we write.
func TestFromInToto(t *testing.T) {
	predicate, err := structpb.NewStruct(map[string]any{
		"effective": epoch + 2*86400, "reason": "init follows links out of its folder", "svnFloor": 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: "safebox:revoke/v1", Predicate: predicate}
	for _, d := range goodRevoke().Digests {
		s.Subject = append(s.Subject, &intoto.ResourceDescriptor{Name: "release.json", Digest: map[string]string{"sha256": d.String()}})
	}
	b, err := protojson.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	canonical, err := canon.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(statements(t)["revoke"]), string(canonical)); diff != "" {
		t.Error(diff)
	}
	if _, err := record.DecodeStatement(canonical); err != nil {
		t.Error(err)
	}
}

// named is a verifier of the library under our key ID.
type named struct {
	oracle.SignerVerifier
	id string
}

func (n named) KeyID() (string, error) { return n.id, nil }

// TestLibraryVerifies: go-securesystemslib verifies an entry with two Ed25519
// keys and one of P-256 and gives the statement.
func TestLibraryVerifies(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err := dsse.NewSigner(ec)
	if err != nil {
		t.Fatal(err)
	}
	r := goodRelease()
	entry, err := record.AddSignature(readEntry(t, "release.dsse"), token)
	if err != nil {
		t.Fatal(err)
	}
	verifiers := []oracle.Verifier{ecdsaVerifier(t, ec, token.Public().ID())}
	for _, s := range signers(t)[:2] {
		verifiers = append(verifiers, ed25519Verifier(t, s.Public()))
	}
	verifier, err := oracle.NewMultiEnvelopeVerifier(3, verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	var e oracle.Envelope
	if err := json.Unmarshal(entry, &e); err != nil {
		t.Fatal(err)
	}
	accepted, body, err := verifier.VerifyAndDecode(context.Background(), &e)
	if err != nil || len(accepted) != 3 {
		t.Fatalf("library: got %d keys, %v", len(accepted), err)
	}
	got, err := record.DecodeStatement(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&r, got.Release); diff != "" {
		t.Error(diff)
	}
}

func ecdsaVerifier(t *testing.T, key *ecdsa.PrivateKey, id string) oracle.Verifier {
	t.Helper()
	v, err := signerverifier.NewECDSASignerVerifierFromSSLibKey(libraryKey(t, key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	return named{v, id}
}

func ed25519Verifier(t *testing.T, key dsse.PublicKey) oracle.Verifier {
	t.Helper()
	for _, s := range signers(t) {
		if s.Public() != key {
			continue
		}
		raw := ed25519.PublicKey(rawKey(t, key))
		v, err := signerverifier.NewED25519SignerVerifierFromSSLibKey(libraryKey(t, raw))
		if err != nil {
			t.Fatal(err)
		}
		return named{v, key.ID()}
	}
	t.Fatal("no such key")
	return nil
}

// libraryKey brings a key to the library as PEM.
func libraryKey(t *testing.T, key any) *signerverifier.SSLibKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := signerverifier.LoadKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rawKey is what the text of an Ed25519 key has in base64.
func rawKey(t *testing.T, key dsse.PublicKey) []byte {
	t.Helper()
	var raw []byte
	if err := json.Unmarshal([]byte(`"`+key.String()[len("ed25519:"):]+`"`), &raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestOpenSSLVerifies: openssl verifies a record that a P-256 key signed, from
// the payload and the signature alone, with the PAE written by printf's rules.
func TestOpenSSLVerifies(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err := dsse.NewSigner(ec)
	if err != nil {
		t.Fatal(err)
	}
	r := goodMismatch()
	var e struct {
		Payload    []byte
		Signatures []struct{ Sig []byte }
	}
	if err := json.Unmarshal(sign(t, r.Encode, token), &e); err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	size, err := json.Marshal(len(e.Payload))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"key": spki, "sig": e.Signatures[0].Sig,
		"message": append([]byte("DSSEv1 28 application/vnd.in-toto+json "+string(size)+" "), e.Payload...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(openssl, "dgst", "-sha256", "-keyform", "DER", "-verify", "key", "-signature", "sig", "message")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "Verified OK\n" {
		t.Errorf("openssl: %v: %s", err, out)
	}
}
