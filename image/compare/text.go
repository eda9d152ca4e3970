package compare

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxShown bounds the part of a line that is shown.
const maxShown = 120

// texts compares two texts of one form: kernel configurations option by option,
// command lines word by word, others line by line.
func texts(a, b []byte) *Difference {
	if optionsA, optionsB := kernelConfig(a), kernelConfig(b); optionsA != nil && optionsB != nil {
		if d := configs(optionsA, optionsB); d != nil {
			return d
		}
	}
	if wordsA, wordsB := commandLine(a), commandLine(b); wordsA != nil && wordsB != nil {
		if d := words(wordsA, wordsB); d != nil {
			return d
		}
	}
	return lines(a, b)
}

func lines(a, b []byte) *Difference {
	linesA, linesB := bytes.Split(a, []byte{'\n'}), bytes.Split(b, []byte{'\n'})
	for i := range min(len(linesA), len(linesB)) {
		if !bytes.Equal(linesA[i], linesB[i]) {
			d := values(string(linesA[i]), string(linesB[i]))
			if len(linesA) > 1 || len(linesB) > 1 {
				d.What = fmt.Sprintf("line %d", i+1)
			}
			return d
		}
	}
	return &Difference{What: "lines", A: fmt.Sprint(len(linesA)), B: fmt.Sprint(len(linesB))}
}

// values shows two texts, quoted.
func values(a, b string) *Difference {
	shownA, shownB := excerpts(a, b, strconv.Quote)
	return &Difference{What: "text", A: shownA, B: shownB}
}

// fact shows two values of something that is named, as they are.
func fact(what, a, b string) *Difference {
	shownA, shownB := excerpts(a, b, func(s string) string { return s })
	return &Difference{What: what, A: shownA, B: shownB}
}

// excerpts cuts long texts down to the part around the first difference.
func excerpts(a, b string, quote func(string) string) (shownA, shownB string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return excerpt(a, at, quote), excerpt(b, at, quote)
}

func excerpt(s string, at int, quote func(string) string) string {
	if len(s) <= maxShown {
		return quote(s)
	}
	start := max(0, at-maxShown/2)
	end := min(len(s), start+maxShown)
	shown := quote(s[start:end])
	if start > 0 {
		shown = ".." + shown
	}
	if end < len(s) {
		shown += ".."
	}
	return shown
}
