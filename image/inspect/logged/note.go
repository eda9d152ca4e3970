package logged

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"safebox/image/inspect/tree"
	"safebox/verifier/dsse"
	"safebox/verifier/tlog"
)

// proofMagic is the first line of a proof (C2SP tlog-proof, "Format").
const proofMagic = "c2sp.org/tlog-proof@v1"

func isProof(b []byte) bool { return firstLine(b) == proofMagic }

func proofFile(b []byte) ([]tree.Item, error) {
	p, err := tlog.DecodeProof(b)
	if err != nil {
		return nil, err
	}
	note, err := checkpointItems(p.Checkpoint)
	if err != nil {
		return nil, err
	}
	return []tree.Item{
		tree.Unverified(by),
		tree.New("index", "%d", p.Index), tree.New("hashes", "%d", len(p.Hashes)), tree.Bytes("extra", p.Extra),
		tree.Group("checkpoint", note...),
	}, nil
}

// isCheckpoint recognises a signed note whose second line is a size and whose
// third a root.
func isCheckpoint(b []byte) bool {
	lines := bytes.SplitN(b[:min(len(b), 4096)], []byte("\n"), 4)
	if len(lines) < 4 || !bytes.Contains(b, []byte("\n\n\u2014 ")) {
		return false
	}
	_, err := strconv.ParseUint(string(lines[1]), 10, 63)
	root, err2 := base64.StdEncoding.DecodeString(string(lines[2]))
	return err == nil && err2 == nil && len(root) == 32
}

func checkpointFile(b []byte) ([]tree.Item, error) {
	items, err := checkpointItems(b)
	return append([]tree.Item{tree.Unverified(by)}, items...), err
}

// checkpointItems are the facts of a signed checkpoint: nothing is verified.
func checkpointItems(note []byte) ([]tree.Item, error) {
	c, err := tlog.DecodeCheckpoint(note)
	if err != nil {
		return nil, err
	}
	n, err := tlog.DecodeNote(note)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{
		tree.New("origin", "%s", tree.Text(c.Origin)), tree.New("size", "%d", c.Size), tree.New("root", "%x", c.Root),
	}
	for _, line := range c.Extensions {
		items = append(items, tree.New("extension", "%s", tree.Text(line)))
	}
	for _, s := range n.Signatures {
		items = append(items, tree.New("signature", "%s", signatureText(c, s)))
	}
	return items, nil
}

// Sizes of what stands behind the key ID in a signature line: an Ed25519
// signature, and with 8 bytes of time before it one of Ed25519 (C2SP
// tlog-cosignature, "Format") or ML-DSA-44 (FIPS 204, table 2).
const (
	sizeEd25519 = 64
	sizeTime    = 8
	sizeMLDSA   = 2420
)

// signatureText tells by its size what a signature line is.
func signatureText(c *tlog.Checkpoint, s tlog.Signature) string {
	who := fmt.Sprintf("%s, key %08x", tree.Text(s.Name), s.ID)
	switch len(s.Sig) {
	case sizeEd25519:
		if s.Name == c.Origin {
			return who + ", of the log"
		}
	case sizeTime + sizeEd25519:
		return who + ", cosignature, Ed25519, " + stamp(s)
	case sizeTime + sizeMLDSA:
		return who + ", cosignature, ML-DSA-44, " + stamp(s)
	}
	return fmt.Sprintf("%s, %d bytes", who, len(s.Sig))
}

// stamp is when a witness says that it cosigned.
func stamp(s tlog.Signature) string {
	t := binary.BigEndian.Uint64(s.Sig)
	if t > 253402300799 { // 9999-12-31T23:59:59Z, the last that RFC 3339 can write
		return strconv.FormatUint(t, 10)
	}
	return fmt.Sprintf("%d, %s", t, tree.Time(time.Unix(int64(t), 0)))
}

// isPolicy recognises a text whose first line that is no comment says log,
// witness, group or quorum.
func isPolicy(b []byte) bool {
	if len(b) > tlog.MaxPolicy || !bytes.Contains(b, []byte("quorum")) {
		return false
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		switch fields[0] {
		case "log", "witness", "group", "quorum":
			return len(fields) > 1
		}
		return false
	}
	return false
}

func policyFile(b []byte) ([]tree.Item, error) {
	p, err := tlog.ParsePolicy(b)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{tree.Unverified(byOwner)}
	for _, k := range p.Logs() {
		items = append(items, tree.New("log", "%s, %v, key %08x", tree.Text(k.Name), k.Algorithm, k.ID))
	}
	for _, w := range p.Witnesses() {
		k, err := tlog.ParseKey(w.VKey)
		if err != nil {
			return nil, err
		}
		item := tree.New("witness", "%s: %s, %v, key %08x", tree.Text(w.Name), tree.Text(k.Name), k.Algorithm, k.ID)
		if w.URL != "" {
			item.Items = []tree.Item{tree.New("url", "%s", tree.Text(w.URL))}
		}
		items = append(items, item)
	}
	quorum := "named: cosignatures are wanted"
	if p.QuorumNone() {
		quorum = "none: a checkpoint that nobody witnessed is enough"
	}
	return append(items, tree.New("quorum", "%s", quorum)), nil
}

// isKey recognises a line with a public key: of a signer, a log or a witness.
func isKey(b []byte) bool {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if len(rest) > 0 || len(line) > 4096 {
		return false
	}
	algorithm, _, _ := strings.Cut(string(line), ":")
	if algorithm == dsse.AlgorithmEd25519 || algorithm == dsse.AlgorithmECDSAP256 {
		return true
	}
	_, err := tlog.ParseKey(string(line))
	return err == nil
}

func keyFile(b []byte) ([]tree.Item, error) {
	line := firstLine(b)
	if k, err := tlog.ParseKey(line); err == nil {
		return []tree.Item{
			tree.Unverified(byOwner), tree.New("use", "notes of a log or cosignatures of a witness"), tree.New("name", "%s", tree.Text(k.Name)),
			tree.New("algorithm", "%v", k.Algorithm), tree.New("key_id", "%08x", k.ID),
		}, nil
	}
	k, err := dsse.ParsePublicKey(line)
	if err != nil {
		return nil, err
	}
	return []tree.Item{
		tree.Unverified(byOwner), tree.New("use", "records of releases"), tree.New("algorithm", "%s", k.Algorithm()), tree.New("key_id", "%s", k.ID()),
	}, nil
}
