package spawn

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Messages between keeper and PID 1: one packet of a SOCK_SEQPACKET pair each,
// numbers big-endian. The keeper chooses the worker's number, larger each time.
//
//	start    1 || u32 worker || u64 memory || u64 wall in ns || u8 engine (1 compiler, 2 interpreter)
//	kill     2 || u32 worker
//	started  3 || u32 worker, with one descriptor: the keeper's end of the worker's socket
//	refused  4 || u32 worker || text, at most 256 bytes
//	ended    5 || u32 worker || u8 signal || u8 status || u8 flags (1 OOM, 2 wall)
const (
	opStart   = 1
	opKill    = 2
	opStarted = 3
	opRefused = 4
	opEnded   = 5
)

const (
	headerSize = 1 + 4
	startSize  = headerSize + 8 + 8 + 1
	endedSize  = headerSize + 3
	maxText    = 256
	maxMessage = headerSize + maxText

	flagOOM  = 1
	flagWall = 2
)

// message is any of them; what an operation does not carry is zero.
type message struct {
	op     byte
	worker uint32
	limits Limits // start
	text   string // refused
	ending Ending // ended
}

func (m message) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{m.op}, m.worker)
	switch m.op {
	case opStart:
		b = binary.BigEndian.AppendUint64(b, uint64(m.limits.Memory))
		b = binary.BigEndian.AppendUint64(b, uint64(m.limits.Wall))
		b = append(b, engineNumber(m.limits.Engine))
	case opRefused:
		b = append(b, m.text[:min(len(m.text), maxText)]...)
	case opEnded:
		var flags byte
		if m.ending.OOM {
			flags |= flagOOM
		}
		if m.ending.Wall {
			flags |= flagWall
		}
		b = append(b, byte(m.ending.Signal), byte(m.ending.Status), flags)
	}
	return b
}

// decodeMessage is strict: the length is that of the operation, and unknown
// operations, engines and flags are errors.
func decodeMessage(b []byte) (message, error) {
	if len(b) < headerSize {
		return message{}, fmt.Errorf("decoding spawn message: got %d bytes, want at least %d", len(b), headerSize)
	}
	m := message{op: b[0], worker: binary.BigEndian.Uint32(b[1:])}
	rest := b[headerSize:]
	want := 0
	switch m.op {
	case opStart:
		want = startSize - headerSize
	case opEnded:
		want = endedSize - headerSize
	case opRefused:
		want = min(len(rest), maxText)
	case opKill, opStarted:
	default:
		return message{}, fmt.Errorf("decoding spawn message: got operation %d", m.op)
	}
	if len(rest) != want {
		return message{}, fmt.Errorf("decoding spawn message %d: got %d bytes after the header, want %d", m.op, len(rest), want)
	}
	switch m.op {
	case opStart:
		return m, m.decodeLimits(rest)
	case opEnded:
		return m, m.decodeEnding(rest)
	case opRefused:
		m.text = string(rest)
	}
	return m, nil
}

func (m *message) decodeLimits(b []byte) error {
	m.limits.Memory = int64(binary.BigEndian.Uint64(b))
	m.limits.Wall = time.Duration(binary.BigEndian.Uint64(b[8:]))
	switch b[16] {
	case engineNumber(EngineCompiler):
		m.limits.Engine = EngineCompiler
	case engineNumber(EngineInterpreter):
		m.limits.Engine = EngineInterpreter
	default:
		return fmt.Errorf("decoding spawn message: got engine %d, want 1 or 2", b[16])
	}
	return nil
}

func (m *message) decodeEnding(b []byte) error {
	if b[2]&^(flagOOM|flagWall) != 0 {
		return fmt.Errorf("decoding spawn message: got flags %#x", b[2])
	}
	m.ending = Ending{Signal: int(b[0]), Status: int(b[1]), OOM: b[2]&flagOOM != 0, Wall: b[2]&flagWall != 0}
	return nil
}

// engineNumber is 0 for no engine, which the reader refuses.
func engineNumber(engine string) byte {
	switch engine {
	case EngineCompiler:
		return 1
	case EngineInterpreter:
		return 2
	}
	return 0
}
