package nitro_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/verdict"
)

const (
	documents = "../../measure/testdata/nitro/docs"
	own       = "testdata"
)

// genuine is a document of AWS. Its facts are those of the vectors' INDEX.md, which
// were read by another program.
type genuine struct {
	file                       string
	sha256                     string
	timestamp                  int64 // ms
	from, until                int64 // s: when all certificates are valid
	debug                      bool
	publicKey, userData, nonce int // bytes, -1 for null
}

func reals() []genuine {
	return []genuine{
		{"anjuna_attester_sample_prod_doc.cbor", "5a2eac9dac9d983e40ed0f5970ba41f71d2f336bd8e6d8290d0064608517dd54", 1695337797673, 1695337788, 1695348591, false, -1, 13, -1},
		{"anjuna_sample_attestation_doc_full.cbor", "8d6106b49a1b5426aba6132037bdb685ff1cb04e66d853a9672eb45322c58fb0", 1706120065635, 1706120054, 1706130857, true, 294, 13, 6},
		{"anjuna_sample_prod_doc.cbor", "234f1201a137f93d38d50c7ceaa560b4f73ecaf8e9d7849ab9a32f3b67a86f04", 1616018515685, 1616018515, 1616029315, false, -1, -1, -1},
		{"blocky_nitro_attestation.cbor", "72ffd835a669cad29f11314fb4185bd89eaed2762e30dc25282c663606ee30ee", 1725719859545, 1725719856, 1725730659, false, 1024, 1024, 1024},
		{"blocky_nitro_attestation_debug.cbor", "f67dfb87bcae0916bf4b4b6a35572e590ec6f8dd49323dda4727e6fcc39a62ec", 1725719886508, 1725719883, 1725730686, true, 1024, 1024, 1024},
		{"dstack_attest_nitro_attestation.cbor", "54ae0f973da0c7400abc2ff53fa38e352a9097a3c2ee16bd1f7664829bd1d387", 1766678659346, 1766678656, 1766689459, false, -1, 64, -1},
		{"dstack_attest_nitro_attestation_dbg.cbor", "1c921bd764eb93ff553beef4a967a72a19da844b5a8177da4789ac76b9906450", 1766650846577, 1766650843, 1766661646, true, -1, 64, -1},
		{"evervault_beta_debug.cbor", "46591b92f9abefaace22a6d7ea4ca9c7007dfdbe788fbe8634b230ec2043a789", 1665582606081, 1665582591, 1665593394, true, 19, 13, -1},
		{"evervault_ga_valid.cbor", "6f80ac250af2f06f1e423051f64a8b29926cc474a728d0bf1f7a4d21074ec9e5", 1695049410860, 1695047829, 1695058632, true, -1, 91, 256},
	}
}

func read(t testing.TB, elements ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judge verifies a document under the test profile, with changes.
func judge(t testing.TB, document []byte, at time.Time, changes ...func(*nitropolicy.Policy)) (*verdict.Verdict, *nitro.Document) {
	t.Helper()
	p := nitrotest.Policy(t, nitropolicy.Enclave, "test")
	for _, c := range changes {
		c(&p)
	}
	log := check.New()
	doc := nitro.Verify(nitro.Input{Document: document, Rules: chain.Rules{At: at}, Policy: &p, Roots: nitro.PinnedRoots()}, log)
	return log.Verdict(nitro.Definitions(nitro.Enclave)), doc
}

func acceptDebug(p *nitropolicy.Policy) { p.AcceptDebug = true }
func bySelf(p *nitropolicy.Policy)      { p.Time = nitropolicy.Self }

// refused lists the checks that were reached and failed.
func refused(v *verdict.Verdict) []string {
	ids := []string{}
	for _, c := range v.Failed() {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func wantRefused(t *testing.T, what string, v *verdict.Verdict, ids ...string) {
	t.Helper()
	if ids == nil {
		ids = []string{}
	}
	if v.OK != (len(ids) == 0) || !slices.Equal(refused(v), ids) {
		t.Errorf("%s: refused by %q, want %q:\n%s", what, refused(v), ids, v.Text())
	}
}

// TestRealDocuments: every real document is accepted at its time under the test
// profile, those of debug mode only after opting in; and refused outside its
// certificates' times.
func TestRealDocuments(t *testing.T) {
	for _, r := range reals() {
		t.Run(r.file, func(t *testing.T) {
			b := read(t, documents, r.file)
			if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != r.sha256 {
				t.Fatalf("SHA-256: got %x", got)
			}
			at := time.UnixMilli(r.timestamp).UTC()
			v, doc := judge(t, b, at)
			if r.debug {
				wantRefused(t, "debug mode", v, "NITRO-8")
				v, doc = judge(t, b, at, acceptDebug)
				if !slices.ContainsFunc(v.Waived, func(w verdict.Waiver) bool { return w.What == "debug mode" }) {
					t.Error("debug mode is accepted and not said")
				}
			}
			wantRefused(t, "at its timestamp", v)
			if doc == nil || !doc.Timestamp.Equal(at) || len(doc.PCRs) != 16 || len(doc.CABundle) != 4 {
				t.Fatalf("document: %+v", doc)
			}
			got := []int{size(doc.PublicKey), size(doc.UserData), size(doc.Nonce)}
			if diff := cmp.Diff([]int{r.publicKey, r.userData, r.nonce}, got); diff != "" {
				t.Errorf("sizes of public_key, user_data, nonce (-want +got):\n%s", diff)
			}
			r.times(t, b)
		})
	}
}

// times judges a document around the times of its certificates.
func (r *genuine) times(t *testing.T, b []byte) {
	t.Helper()
	instance := func(p *nitropolicy.Policy) {
		p.PCRs[4] = nitropolicy.Register{Rule: nitropolicy.Instance}
		p.Rest = nitropolicy.Unused
	}
	young := func(p *nitropolicy.Policy) { p.Time, p.AnyAge, p.MaxAge = nitropolicy.Live, false, 5*time.Minute }
	slow := func(p *nitropolicy.Policy) { p.Skew = time.Minute }
	stamp := time.UnixMilli(r.timestamp)
	for _, c := range []struct {
		what    string
		at      time.Time
		change  func(*nitropolicy.Policy)
		refused []string
	}{
		{"a second before its certificates", time.Unix(r.from-1, 0), nil, []string{"NITRO-4", "NITRO-5"}},
		{"a second before its certificates, by a clock that may be slow", time.Unix(r.from-1, 0), slow, r.late()},
		{"a minute and a second before its certificates, by that clock", time.Unix(r.from-61, 0), slow, []string{"NITRO-4", "NITRO-5"}},
		{"the last second of its certificates", time.Unix(r.until, 0), nil, nil},
		{"a second after its certificates", time.Unix(r.until+1, 0), nil, []string{"NITRO-4"}},
		{"a second after its certificates, by a clock that may be slow", time.Unix(r.until+1, 0), slow, []string{"NITRO-4"}},
		{"the second of its timestamp", stamp.Truncate(time.Second), nil, nil},
		{"two seconds before its timestamp", stamp.Add(-2 * time.Second), nil, r.early()},
		{"by itself, at no time", time.Time{}, bySelf, nil},
		{"by itself, long after", time.Unix(r.until+1e9, 0), bySelf, nil},
		{"live, five minutes old", stamp.Add(5 * time.Minute), young, nil},
		{"live, a millisecond older", stamp.Add(5*time.Minute + time.Millisecond), young, []string{"NITRO-5"}},
		{"at no time", time.Time{}, nil, []string{"NITRO-4", "NITRO-5"}},
		{"today", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), nil, []string{"NITRO-4"}},
		{"PCR4 of its instance, the rest unused", stamp, instance, nil},
		{"under the zero policy", stamp, func(p *nitropolicy.Policy) { *p = nitropolicy.Policy{} }, []string{"NITRO-2"}},
	} {
		changes := []func(*nitropolicy.Policy){acceptDebug}
		if c.change != nil {
			changes = append(changes, c.change)
		}
		v, _ := judge(t, b, c.at, changes...)
		wantRefused(t, c.what, v, c.refused...)
	}
}

// early is who refuses a document two seconds before its timestamp: its leaf may
// begin only then.
func (r *genuine) early() []string {
	if time.UnixMilli(r.timestamp).Add(-2 * time.Second).Before(time.Unix(r.from, 0)) {
		return []string{"NITRO-4", "NITRO-5"}
	}
	return []string{"NITRO-5"}
}

// late is who refuses a document a second before its certificates, by a clock
// that may be slow by a minute: one that was made later than that.
func (r *genuine) late() []string {
	if time.UnixMilli(r.timestamp).Sub(time.Unix(r.from-1, 0)) > time.Minute+time.Second {
		return []string{"NITRO-5"}
	}
	return nil
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// TestRealKinds: a real enclave's document is refused where a NitroTPM's is asked
// for.
func TestRealKinds(t *testing.T) {
	for _, r := range reals() {
		p := nitrotest.Policy(t, nitropolicy.NitroTPM, "test")
		log := check.New()
		doc := nitro.Verify(nitro.Input{
			Document: read(t, documents, r.file), Rules: chain.Rules{At: time.UnixMilli(r.timestamp)}, Policy: &p, Roots: nitro.PinnedRoots(),
		}, log)
		wantRefused(t, r.file, log.Verdict(nitro.Definitions(nitro.NitroTPM)), "NITRO-2")
		if doc != nil {
			t.Errorf("%s: got a document", r.file)
		}
	}
}

// TestSelfSigned: the attester that signs for itself (specs/nitro.md, section 8).
func TestSelfSigned(t *testing.T) {
	b := read(t, own, "blocky_selfsigned_attestation.cbor")
	for _, change := range []func(*nitropolicy.Policy){acceptDebug, bySelf} {
		v, doc := judge(t, b, time.Unix(1713379906, 0), change)
		wantRefused(t, "self-signed", v, "NITRO-1") // unprotected headers null
		if doc != nil {
			t.Error("got a document")
		}
	}
	leaf := read(t, own, "blocky_selfsigned_cert.der")
	if !bytes.Contains(b, leaf) {
		t.Error("the certificate is not the document's")
	}
	// The rest of it with the next faults mended, one after the other: each is
	// refused on its own.
	mended := bytes.Replace(b, []byte("\xa1\x01\x38\x22\xf6"), []byte("\xa1\x01\x38\x22\xa0"), 1)
	v, _ := judge(t, mended, time.Unix(1713379906, 0), bySelf)
	wantRefused(t, "self-signed, unprotected headers empty", v, "NITRO-3")
	roots, err := nitro.NewRoots(leaf)
	if err != nil {
		t.Fatal(err)
	}
	p := nitrotest.Policy(t, nitropolicy.Enclave, "test")
	log := check.New()
	if nitro.Verify(nitro.Input{Document: b, Rules: chain.Rules{At: time.Unix(1713379906, 0)}, Policy: &p, Roots: roots}, log) != nil {
		t.Error("accepted under its own certificate as a root")
	}
	wantRefused(t, "self-signed, pinned", log.Verdict(nitro.Definitions(nitro.Enclave)), "NITRO-1")
}

// TestBase64: what was published as base64 is the document that is checked.
func TestBase64(t *testing.T) {
	b, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(read(t, own, "evervault_ga_valid.b64"))))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := judge(t, b, time.UnixMilli(1695049410860), acceptDebug)
	wantRefused(t, "decoded", v)
	v, _ = judge(t, read(t, own, "evervault_ga_valid.b64"), time.UnixMilli(1695049410860), acceptDebug)
	wantRefused(t, "as text", v, "NITRO-1")
}

// TestFilesNamed: no file lies in the folders that no test names.
func TestFilesNamed(t *testing.T) {
	named := map[string][]string{
		documents:                    {},
		own:                          {"README.md", "blocky_selfsigned_attestation.cbor", "blocky_selfsigned_cert.der", "evervault_ga_valid.b64", "fuzz"},
		"../testdata/evidence/nitro": {"root.pem"},
	}
	for _, r := range reals() {
		named[documents] = append(named[documents], r.file)
	}
	for folder, names := range named {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains(names, e.Name()) {
				t.Errorf("%s: %s is tested by nothing", folder, e.Name())
			}
		}
	}
}

// TestPinnedRoot: the constant is AWS's root, by the file that AWS publishes and
// by the digest in the vectors' INDEX.md; and each real document carries it.
func TestPinnedRoot(t *testing.T) {
	block, _ := pem.Decode(read(t, "../testdata/evidence/nitro/root.pem"))
	if block == nil {
		t.Fatal("root.pem: no block")
	}
	const want = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
	if got := sha256.Sum256(block.Bytes); hex.EncodeToString(got[:]) != want {
		t.Errorf("root.pem: got %x, want %s", got, want)
	}
	fromFile, err := nitro.NewRoots(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reals() {
		doc, err := nitro.Decode(read(t, documents, r.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(doc.CABundle[0], block.Bytes) {
			t.Errorf("%s: another root", r.file)
		}
		for _, roots := range []nitro.Roots{fromFile, nitro.PinnedRoots()} {
			p := nitrotest.Policy(t, nitropolicy.Enclave, "test")
			p.AcceptDebug = true
			log := check.New()
			if nitro.Verify(nitro.Input{Document: read(t, documents, r.file), Rules: chain.Rules{At: doc.Timestamp}, Policy: &p, Roots: roots}, log) == nil {
				t.Errorf("%s: refused", r.file)
			}
		}
	}
}

// TestKnownPCR4: PCR4 of a real document is the value in the vectors
// (pcr/known_answers.json), and another instance's is not.
func TestKnownPCR4(t *testing.T) {
	known, err := hex.DecodeString("45706d7b621e4620a332e147a5ddb000b049f73d47d3e61f6b03d2069152d4df6a4a786ad1c10102b955799a9dc96b44")
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1725719859545)
	b := read(t, documents, "blocky_nitro_attestation.cbor")
	v, doc := judge(t, b, at, func(p *nitropolicy.Policy) {
		p.PCRs[4] = nitropolicy.Register{Rule: nitropolicy.Listed, Values: [][48]byte{[48]byte(known)}}
		p.AnyInstance, p.Instances = false, []string{"i-0a22e5c5f24d22174"}
	})
	wantRefused(t, "its own instance", v)
	if doc == nil || doc.Instance != "i-0a22e5c5f24d22174" {
		t.Errorf("document: %+v", doc)
	}
	v, doc = judge(t, b, at, func(p *nitropolicy.Policy) { p.AnyInstance, p.Instances = false, []string{"i-0827e799ec9232d44"} })
	wantRefused(t, "another instance", v, "NITRO-9")
	if doc == nil {
		t.Error("no document, though AWS vouches for it")
	}
}
