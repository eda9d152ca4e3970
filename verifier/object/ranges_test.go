package object

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRanges(t *testing.T) {
	for s, want := range map[string]Ranges{
		"0":          {{0, 1}},
		"0-9,20-29":  {{0, 10}, {20, 30}},
		"5,7,9-10":   {{5, 6}, {7, 8}, {9, 11}},
		"0-0":        {{0, 1}},
		"100-200000": {{100, 200001}},
	} {
		got, err := ParseRanges(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", s, diff)
		}
		if back, err := ParseRanges(got.String()); err != nil || cmp.Diff(got, back) != "" {
			t.Errorf("%s: written as %s: %v, %v", s, got, back, err)
		}
	}
	for _, bad := range []string{
		"", ",", "1,", "-", "1-", "-1", "2-1", "0-9,9-10", "0-9,10-11", "3,1", "1,1", " 1", "+1", "01", "1-02", "0x1",
		"4294967295", "4294967296", "1-4294967295", strings.Repeat("9", 40), "1-2-3", "1;2",
	} {
		if got, err := ParseRanges(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestRangesCheck(t *testing.T) {
	many := func(n int) Ranges {
		var r Ranges
		for i := range uint32(n) {
			r = append(r, [2]uint32{2 * i, 2*i + 1})
		}
		return r
	}
	if err := many(MaxRanges).Check(1000); err != nil {
		t.Error(err)
	}
	if err := (Ranges{{0, 10}}).Check(10); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]Ranges{
		"none":        {},
		"empty range": {{3, 3}},
		"backwards":   {{4, 3}},
		"order":       {{5, 6}, {0, 1}},
		"overlap":     {{0, 5}, {4, 6}},
		"touch":       {{0, 5}, {5, 6}},
		"beyond":      {{0, 1001}},
		"too many":    many(MaxRanges + 1),
	} {
		if err := bad.Check(1000); err == nil || !strings.HasPrefix(err.Error(), "ranges: ") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	r := Ranges{{0, 10}, {20, 21}}
	if r.Count() != 11 || !r.Contains(9) || r.Contains(10) || r.Contains(19) || !r.Contains(20) {
		t.Errorf("%v: count %d", r, r.Count())
	}
}
