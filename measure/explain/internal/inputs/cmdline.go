package inputs

import (
	"fmt"
	"strings"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/search"
)

// Line is another command line than the expected one.
type Line struct {
	Text   string
	Raw    bool   // hashed without the NUL behind it
	Value  string // as in search.Choice, as are the following
	Phrase string
	Rare   bool
}

// CommandLines lists what becomes of a command line on its way: tools trim it,
// shells and files add a line's end. Text is nil if it is unknown; others are
// tried as they are.
func CommandLines(text *string, others []explain.Named[string]) []Line {
	list := []Line{{Value: "empty", Phrase: "an empty command line instead of the expected one"}}
	if text != nil {
		t := *text
		trimmed := strings.TrimSpace(t)
		list = append(list,
			Line{
				Text: trimmed, Value: "trimmed",
				Phrase: "the command line trimmed of white space instead of as given (as virtee/sev and dstack do)",
			},
			Line{
				Text: t + "\n", Value: "with a newline",
				Phrase: "a newline at the end of the command line instead of none (read from a file)",
			},
			Line{
				Text: strings.TrimSuffix(t, "\n"), Value: "without the newline",
				Phrase: "the command line without its newline instead of with it",
			},
			Line{
				Text: t, Raw: true, Value: "without the NUL", Rare: true,
				Phrase: "the command line hashed without its NUL instead of with it",
			},
			Line{
				Text: t + "\x00", Value: "with a second NUL", Rare: true,
				Phrase: "a second NUL at the end of the command line instead of one (the file holds one already)",
			},
			Line{
				Text: t + " ", Value: "with a space behind", Rare: true,
				Phrase: "a space at the end of the command line instead of none",
			},
			Line{
				Text: " " + t, Value: "with a space in front", Rare: true,
				Phrase: "a space in front of the command line instead of none",
			},
		)
	}
	for _, o := range others {
		list = append(list, Line{
			Text: o.Value, Value: fmt.Sprintf("%s: %q", o.Name, o.Value),
			Phrase: search.Instead(CommandLine, o.Name, "the expected one"),
		})
	}
	return list
}
