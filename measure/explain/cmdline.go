package explain

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// line is another command line than the expected one.
type line struct {
	text   string
	raw    bool // hashed without the NUL behind it
	value  string
	phrase string
	rare   bool
}

// commandLines lists what becomes of a command line on its way: tools trim it,
// shells and files add a line's end. Text is nil if it is unknown; others are
// tried as they are.
func commandLines(text *string, others []Named[string]) []line {
	list := []line{{value: "empty", phrase: "an empty command line instead of the expected one"}}
	if text != nil {
		t := *text
		trimmed := strings.TrimSpace(t)
		list = append(list,
			line{
				text: trimmed, value: "trimmed",
				phrase: "the command line trimmed of white space instead of as given (as virtee/sev and dstack do)",
			},
			line{
				text: t + "\n", value: "with a newline",
				phrase: "a newline at the end of the command line instead of none (read from a file)",
			},
			line{
				text: strings.TrimSuffix(t, "\n"), value: "without the newline",
				phrase: "the command line without its newline instead of with it",
			},
			line{
				text: t, raw: true, value: "without the NUL", rare: true,
				phrase: "the command line hashed without its NUL instead of with it",
			},
			line{
				text: t + "\x00", value: "with a second NUL", rare: true,
				phrase: "a second NUL at the end of the command line instead of one (the file holds one already)",
			},
			line{
				text: t + " ", value: "with a space behind", rare: true,
				phrase: "a space at the end of the command line instead of none",
			},
			line{
				text: " " + t, value: "with a space in front", rare: true,
				phrase: "a space in front of the command line instead of none",
			},
		)
	}
	for _, o := range others {
		list = append(list, line{
			text: o.Value, value: fmt.Sprintf("%s: %q", o.Name, o.Value),
			phrase: instead(axisCommandLine, o.Name, "the expected one"),
		})
	}
	return list
}

func sum256(s string) [32]byte { return sha256.Sum256([]byte(s)) }
