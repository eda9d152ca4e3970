package wire

import (
	"encoding/binary"
	"fmt"

	"safebox/verifier/canon"
)

// MaxInfo bounds the encoded Info, in bytes: parameters of 64 KiB in base64,
// and ranges.
const MaxInfo = 512 << 10

// Job is the answer to OpJob: what a worker runs.
type Job struct {
	Info   Info
	Module []byte // WASM
}

// Info describes a run to the worker, canonical JSON. Everything in it may
// become known to the program.
type Info struct {
	Engine string         `json:"engine"` // "compiler" or "interpreter"
	Inputs []Input        `json:"inputs"`
	Memory int64          `json:"memory"` // limit of linear memory, bytes
	Output int64          `json:"output"` // limit of all outputs together, bytes
	Params []byte         `json:"params"`
	Seed   canon.Octets32 `json:"seed"` // of the deterministic random numbers
	Time   int64          `json:"time"` // logical time, milliseconds since 1970: the same during the run
}

// Input is one granted object.
type Input struct {
	ChunkSize int64       `json:"chunk_size"` // plaintext bytes of every chunk but the last
	Chunks    int64       `json:"chunks"`     // of the whole object
	Ranges    [][2]uint32 `json:"ranges"`     // granted chunks: half-open, sorted, disjoint
	Root      string      `json:"root"`       // rootCid
	Size      int64       `json:"size"`       // plaintext bytes of the whole object
}

// Encode gives LP(info) || module.
func (j *Job) Encode() ([]byte, error) {
	info, err := canon.Marshal(j.Info)
	if err != nil {
		return nil, fmt.Errorf("encoding job: %w", err)
	}
	if len(info) > MaxInfo {
		return nil, fmt.Errorf("encoding job: info of %d bytes, want at most %d", len(info), MaxInfo)
	}
	b := make([]byte, 0, 4+len(info)+len(j.Module))
	b = binary.BigEndian.AppendUint32(b, uint32(len(info)))
	return append(append(b, info...), j.Module...), nil
}

// DecodeJob is the strict inverse of Encode. Module is a part of b.
func DecodeJob(b []byte) (*Job, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("decoding job: %d bytes, want at least 4", len(b))
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n > MaxInfo || n > int64(len(b)-4) {
		return nil, fmt.Errorf("decoding job: info of %d bytes, want at most %d", n, min(MaxInfo, len(b)-4))
	}
	j := &Job{Module: b[4+n:]}
	if err := canon.Unmarshal(b[4:4+n], &j.Info); err != nil {
		return nil, fmt.Errorf("decoding job: %w", err)
	}
	return j, nil
}
