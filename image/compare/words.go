package compare

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// commandLine gives the words of a text of one line with more than one; nil for
// any other. A NUL may end it, as the kernel is given it.
func commandLine(b []byte) []string {
	b = bytes.TrimSuffix(b, []byte{0})
	if bytes.ContainsAny(b, "\n\r\t") {
		return nil
	}
	list := strings.Split(string(b), " ")
	if len(list) < 2 {
		return nil
	}
	return list
}

// words names the first word that differs. A word that one side has in addition
// is named as such, and not each one behind it: what is equal at the end is left
// out. It returns nil if the words are equal.
func words(a, b []string) *Difference {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	restA, restB := a[at:], b[at:]
	for len(restA) > 0 && len(restB) > 0 && restA[len(restA)-1] == restB[len(restB)-1] {
		restA, restB = restA[:len(restA)-1], restB[:len(restB)-1]
	}
	var d *Difference
	switch {
	case len(restA) == 0 && len(restB) == 0:
		return nil
	case len(restB) == 0:
		d = onOneSide(clip(strconv.Quote(restA[0])), true)
	case len(restA) == 0:
		d = onOneSide(clip(strconv.Quote(restB[0])), false)
	default:
		d = values(restA[0], restB[0])
	}
	d.What = fmt.Sprintf("word %d", at+1)
	return d
}
