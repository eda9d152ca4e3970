package page

// minHex is the shortest run of hex digits that counts as a value to compare:
// eight bytes.
const minHex = 16

// span is a part of a string, in bytes.
type span struct{ from, to int }

// differing points out where the hex values of got are not those of want: in
// each pair, everything from the first to the last byte that is not the same.
// Values are compared in order, or all with the first if want has only one.
func differing(want, got string) (inWant, inGot []span) {
	wanted, found := hexRuns(want), hexRuns(got)
	if len(wanted) != len(found) && len(wanted) != 1 {
		return nil, nil
	}
	for i, f := range found {
		n := min(i, len(wanted)-1)
		from, to := middle(want[wanted[n].from:wanted[n].to], got[f.from:f.to])
		if from == to {
			continue
		}
		inGot = append(inGot, span{f.from + from, f.from + to})
		mark := span{wanted[n].from + from, wanted[n].from + to}
		if len(inWant) == 0 || inWant[len(inWant)-1].to < mark.from {
			inWant = append(inWant, mark)
		}
	}
	return inWant, inGot
}

// hexRuns finds the hex values in s. A run inside a longer word is none.
func hexRuns(s string) []span {
	var runs []span
	for i := 0; i < len(s); {
		if !wordByte(s[i]) {
			i++
			continue
		}
		from, hex := i, true
		for ; i < len(s) && wordByte(s[i]); i++ {
			hex = hex && hexByte(s[i])
		}
		if hex && i-from >= minHex {
			runs = append(runs, span{from, i})
		}
	}
	return runs
}

func wordByte(c byte) bool {
	return hexByte(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func hexByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// middle gives what lies between the common beginning and the common end of two
// hex values of one length, in whole bytes. Values of different lengths have
// nothing to compare.
func middle(a, b string) (from, to int) {
	if len(a) != len(b) || a == b {
		return 0, 0
	}
	for a[from] == b[from] {
		from++
	}
	to = len(a)
	for a[to-1] == b[to-1] {
		to--
	}
	from -= from % 2
	return from, min(to+to%2, len(a))
}
