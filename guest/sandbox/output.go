package sandbox

import "golang.org/x/sys/unix"

// Kinds of outputs: parameter kind of out_open. Events and replies come with
// workflows.
const kindObject = 0

func kindName(kind uint32) string {
	if kind == kindObject {
		return "object"
	}
	return ""
}

// outputs are those that a program has opened. The handle is the slot.
type outputs struct {
	all  []*output
	size int64 // of all together
}

type output struct {
	kind   string
	data   []byte
	closed bool
}

// append leaves no copy behind when the data moves.
func (o *output) append(b []byte) {
	if n := len(o.data) + len(b); n > cap(o.data) {
		moved := append(make([]byte, 0, max(n, 2*cap(o.data))), o.data...)
		clear(o.data)
		o.data = moved
	}
	o.data = append(o.data, b...)
}

func (o *outputs) wipe() {
	for _, x := range o.all {
		clear(x.data)
	}
	o.all = nil
}

// outOpen opens the next slot. Names come with workflows: there are none yet.
func (p *program) outOpen(c *call) uint64 {
	kind, name := kindName(c.u32(0)), c.bytes(c.u32(1), c.u32(2))
	switch {
	case name == nil:
		return errno(unix.EFAULT)
	case kind == "" || len(name) != 0:
		return errno(unix.EINVAL)
	case len(p.outputs.all) == maxOutputs:
		return errno(unix.EMFILE)
	}
	p.outputs.all = append(p.outputs.all, &output{kind: kind})
	return uint64(len(p.outputs.all) - 1)
}

// open finds an output that can still be written to.
func (p *program) open(handle uint32) *output {
	if int64(handle) >= int64(len(p.outputs.all)) || p.outputs.all[handle].closed {
		return nil
	}
	return p.outputs.all[handle]
}

func (p *program) outWrite(c *call) uint64 {
	o, b := p.open(c.u32(0)), c.bytes(c.u32(1), c.u32(2))
	switch {
	case o == nil:
		return errno(unix.EBADF)
	case b == nil:
		return errno(unix.EFAULT)
	case p.outputs.size+int64(len(b)) > p.info.Output:
		return errno(unix.ENOSPC)
	}
	o.append(b)
	p.outputs.size += int64(len(b))
	return uint64(len(b))
}

// outClose hands the output to the keeper and gives its slot. An output that is
// never closed does not leave.
func (p *program) outClose(c *call) uint64 {
	slot := c.u32(0)
	o := p.open(slot)
	if o == nil {
		return errno(unix.EBADF)
	}
	if err := p.keeper.Output(slot, o.kind, o.data); err != nil {
		p.fail(err)
	}
	clear(o.data)
	o.data, o.closed = nil, true
	return uint64(slot)
}
