//go:build wasip1

package sdk

import "strconv"

// Granted says where the readable bytes of an input lie.
type Granted struct {
	ChunkSize int64
	Size      int64      // of the whole object
	Ranges    [][2]int64 // of chunks, half-open
}

// Granted reads the input's description. It is canonical JSON, so its members
// come in one order and without white space: no general parser is needed.
func (in Input) Granted() (*Granted, error) {
	b, err := in.Info()
	if err != nil {
		return nil, err
	}
	s := scanner{rest: string(b)}
	g := &Granted{}
	s.skip(`{"chunk_size":`)
	g.ChunkSize = s.number()
	s.skip(`,"chunks":`)
	s.number()
	s.skip(`,"ranges":[`)
	for s.rest != "" && s.rest[0] == '[' {
		s.skip("[")
		from := s.number()
		s.skip(",")
		to := s.number()
		s.skip("]")
		g.Ranges = append(g.Ranges, [2]int64{from, to})
		if s.rest != "" && s.rest[0] == ',' {
			s.skip(",")
		}
	}
	s.skip(`],"root":"`)
	for s.rest != "" && s.rest[0] != '"' {
		s.rest = s.rest[1:]
	}
	s.skip(`","size":`)
	g.Size = s.number()
	s.skip("}")
	if s.bad || s.rest != "" {
		return nil, EINVAL
	}
	return g, nil
}

// scanner takes a text apart from the left.
type scanner struct {
	rest string
	bad  bool
}

func (s *scanner) skip(text string) {
	if len(s.rest) < len(text) || s.rest[:len(text)] != text {
		s.bad, s.rest = true, ""
		return
	}
	s.rest = s.rest[len(text):]
}

func (s *scanner) number() int64 {
	n := 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(s.rest[:n], 10, 64)
	s.bad = s.bad || err != nil
	s.rest = s.rest[n:]
	return v
}
