package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Kinds of evidence against a log.
const (
	// kindFork: two checkpoints of one size with different roots, both signed
	// by the log. Whoever has the log's key can check it.
	kindFork = "fork"
	// kindInconsistent: a larger checkpoint, signed by the log, with a proof
	// that does not lead there from the one held. Either the log forked or the
	// client sent a wrong proof; only a right proof, or the entries, can tell.
	kindInconsistent = "inconsistent"
)

const (
	evidenceMagic = "safebox-witness-evidence/v1"
	// maxEvidence bounds the files of one kind against one log: anybody who has
	// a log's checkpoints can send them with wrong proofs. Forks are counted
	// apart, so that such files never crowd out a proof of a fork.
	maxEvidence = 64
)

// evidence is what the witness held when it refused a request, and the request.
type evidence struct {
	kind    string
	time    int64  // Unix seconds
	held    []byte // signed checkpoint
	request []byte // whole body of add-checkpoint
	size    int64  // of the checkpoint in the request
	root    [32]byte
}

// encode gives the bytes of an evidence file.
func (e *evidence) encode() []byte {
	b := fmt.Appendf(nil, "%s\nkind %s\ntime %d\nheld %d\nrequest %d\n\n",
		evidenceMagic, e.kind, e.time, len(e.held), len(e.request))
	return append(append(b, e.held...), e.request...)
}

// name tells trees apart, not the signatures and proofs that came with them:
// what was sent again gives no second file.
func (e *evidence) name(origin string) string {
	pair := sha256.Sum256(fmt.Appendf(nil, "%s\n%d %x", e.held, e.size, e.root))
	return fmt.Sprintf("%s-%x", evidencePrefix(e.kind, origin), pair[:16])
}

func evidencePrefix(kind, origin string) string {
	return kind + "-" + strings.TrimSuffix(stateName(origin), stateSuffix)[:16]
}

// keep writes evidence into the folder and gives its path below the folder;
// empty when it is there already, or when there is no room.
func (f *folder) keep(origin string, e *evidence) (path string, err error) {
	if err := f.root.Mkdir(evidenceDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	path = evidenceDir + "/" + e.name(origin)
	if _, err := f.root.Stat(path); err == nil {
		return "", nil
	}
	n, err := f.countEvidence(e.kind, origin)
	if err != nil || n >= maxEvidence {
		return "", err
	}
	if err := f.fill(path+tmpSuffix, e.encode()); err != nil {
		return "", err
	}
	if err := f.root.Rename(path+tmpSuffix, path); err != nil {
		return "", err
	}
	dir, err := f.root.Open(evidenceDir)
	if err != nil {
		return "", err
	}
	return path, errors.Join(f.sync(dir), dir.Close())
}

// countEvidence counts the files of a kind against a log.
func (f *folder) countEvidence(kind, origin string) (int, error) {
	entries, err := fs.ReadDir(f.root.FS(), evidenceDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), evidencePrefix(kind, origin)+"-") && !strings.HasSuffix(e.Name(), tmpSuffix) {
			n++
		}
	}
	return n, nil
}
