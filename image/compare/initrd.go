package compare

import (
	"fmt"

	"safebox/initrd"
)

// initrds compares two initrds by their entries. Archives with equal entries
// can still differ, in the compression or in how numbers are written.
func initrds(a, b []byte) *Difference {
	entriesA, errA := initrd.Decode(a)
	entriesB, errB := initrd.Decode(b)
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	for _, step := range []func(a, b []initrd.Entry) *Difference{missingEntry, differentEntry, otherOrder, otherNumber} {
		if d := step(entriesA, entriesB); d != nil {
			return d
		}
	}
	d := firstByte(a, b)
	d.Note = "the entries are equal, only their encoding differs"
	return d
}

// entryKey is what makes an entry the same one on both sides.
type entryKey struct {
	archive int
	name    string
}

func keyOf(e initrd.Entry) entryKey { return entryKey{e.Archive, e.Name} }

// component names an entry. Our archives have one part; what systemd-stub
// passes to the kernel has several.
func component(e initrd.Entry) string {
	if e.Archive > 0 {
		return fmt.Sprintf("archive %d: entry /%s", e.Archive, e.Name)
	}
	return "entry /" + e.Name
}

func index(entries []initrd.Entry) map[entryKey]initrd.Entry {
	m := make(map[entryKey]initrd.Entry, len(entries))
	for _, e := range entries {
		m[keyOf(e)] = e
	}
	return m
}

// missingEntry finds the first entry that only one side has.
func missingEntry(a, b []initrd.Entry) *Difference {
	inA, inB := index(a), index(b)
	for i := range max(len(a), len(b)) {
		if i < len(b) {
			if _, ok := inA[keyOf(b[i])]; !ok {
				return onOneSide(describe(b[i]), false).in(component(b[i]))
			}
		}
		if i < len(a) {
			if _, ok := inB[keyOf(a[i])]; !ok {
				return onOneSide(describe(a[i]), true).in(component(a[i]))
			}
		}
	}
	return nil
}

func describe(e initrd.Entry) string {
	return fmt.Sprintf("mode 0%o, %s", e.Mode, count(int64(len(e.Data))))
}

// differentEntry compares the entries, which are the same ones on both sides,
// in the order of b.
func differentEntry(a, b []initrd.Entry) *Difference {
	inA := index(a)
	for _, eb := range b {
		ea := inA[keyOf(eb)]
		if d := entryFields(ea, eb); d != nil {
			return d.in(component(eb))
		}
		if d := contents(ea.Data, eb.Data, kindInitrd); d != nil {
			return d.in(component(eb))
		}
	}
	return nil
}

func entryFields(a, b initrd.Entry) *Difference {
	if a.Mode != b.Mode {
		return &Difference{What: "mode", A: fmt.Sprintf("0%o", a.Mode), B: fmt.Sprintf("0%o", b.Mode)}
	}
	fields := []struct {
		name string
		a, b uint32
	}{
		{"owner", a.UID, b.UID},
		{"group", a.GID, b.GID},
		{"links", a.NLink, b.NLink},
		{"modification time", a.MTime, b.MTime},
		{"major of its device", a.DevMajor, b.DevMajor},
		{"minor of its device", a.DevMinor, b.DevMinor},
		{"device major", a.RdevMajor, b.RdevMajor},
		{"device minor", a.RdevMinor, b.RdevMinor},
	}
	for _, f := range fields {
		if f.a != f.b {
			return &Difference{What: f.name, A: fmt.Sprint(f.a), B: fmt.Sprint(f.b)}
		}
	}
	return nil
}

func otherOrder(a, b []initrd.Entry) *Difference {
	for i := range b {
		if keyOf(a[i]) != keyOf(b[i]) {
			return &Difference{What: fmt.Sprintf("order: entry %d", i), A: "/" + a[i].Name, B: "/" + b[i].Name}
		}
	}
	return nil
}

// otherNumber comes last: one entry more or less changes the inode numbers of
// all that follow.
func otherNumber(a, b []initrd.Entry) *Difference {
	for i := range b {
		if a[i].Ino != b[i].Ino {
			return (&Difference{What: "inode number", A: fmt.Sprint(a[i].Ino), B: fmt.Sprint(b[i].Ino)}).in(component(b[i]))
		}
	}
	return nil
}
