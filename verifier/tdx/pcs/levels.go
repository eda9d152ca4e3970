package pcs

// module reads tdxModule, or an entry of tdxModuleIdentities, which has an id and
// levels besides.
func (r *reader) module(identity bool) Module {
	var m Module
	required := []string{"mrsigner", "attributes", "attributesMask", "id", "tcbLevels"}
	if !identity {
		required = required[:3]
	}
	r.object("TDX module", func(name string) {
		switch name {
		case "mrsigner":
			r.hex(m.MRSigner[:])
		case "attributes":
			r.hex(m.Attributes[:])
		case "attributesMask":
			r.hex(m.AttributesMask[:])
		case "id":
			m.Version = r.moduleID()
		case "tcbLevels":
			r.array(name, func() { m.Levels = append(m.Levels, r.svnLevel(255)) })
		default:
			r.skip()
		}
	}, required...)
	if !identity && len(m.Levels) > 0 {
		r.fail("tdxModule has levels of its own, want them in tdxModuleIdentities")
	}
	return m
}

// moduleID reads "TDX_01": the version of the module in two hexadecimal digits.
func (r *reader) moduleID() uint8 {
	at := r.at
	s := r.text()
	var version [1]byte
	if len(s) != 6 || s[:4] != "TDX_" || !unhex(version[:], s[4:]) {
		r.failAt(at, "TDX module id %q, want TDX_ and two hexadecimal digits", s)
	}
	return version[0]
}

func (r *reader) level() Level {
	var l Level
	r.object("TCB level", func(name string) {
		switch name {
		case "tcb":
			r.object("tcb", func(name string) {
				switch name {
				case "sgxtcbcomponents":
					r.components(&l.SGX)
				case "tdxtcbcomponents":
					r.components(&l.TDX)
				case "pcesvn":
					l.PCESVN = uint16(r.number(1<<16 - 1))
				default:
					r.skip()
				}
			}, "sgxtcbcomponents", "tdxtcbcomponents", "pcesvn")
		case "tcbDate":
			l.Date = r.date()
		case "tcbStatus":
			l.Status = r.status(Status.ofPlatform)
		case "advisoryIDs":
			l.Advisories = r.advisories()
		default:
			r.skip()
		}
	}, "tcb", "tcbDate", "tcbStatus")
	return l
}

func (r *reader) components(into *[16]Component) {
	at, n := r.at, 0
	r.array("TCB components", func() {
		c := &Component{}
		if n < len(into) {
			c = &into[n]
		}
		n++
		r.object("TCB component", func(name string) {
			switch name {
			case "svn":
				c.SVN = uint8(r.number(255))
			case "category":
				c.Category = r.words()
			case "type":
				c.Type = r.words()
			default:
				r.skip()
			}
		}, "svn")
	})
	if n != len(into) {
		r.failAt(at, "%d TCB components, want %d", n, len(into))
	}
}

// svnLevel reads a level of a TDX module or an enclave.
func (r *reader) svnLevel(most uint64) SVNLevel {
	var l SVNLevel
	r.object("TCB level", func(name string) {
		switch name {
		case "tcb":
			r.object("tcb", func(name string) {
				if name != "isvsvn" {
					r.skip()
					return
				}
				l.ISVSVN = uint16(r.number(most))
			}, "isvsvn")
		case "tcbDate":
			l.Date = r.date()
		case "tcbStatus":
			l.Status = r.status(Status.ofEnclave)
		case "advisoryIDs":
			l.Advisories = r.advisories()
		default:
			r.skip()
		}
	}, "tcb", "tcbDate", "tcbStatus")
	return l
}

func (r *reader) status(allowed func(Status) bool) Status {
	at := r.at
	s, err := ParseStatus(r.text())
	if err != nil {
		r.failAt(at, "%w", err)
	} else if !allowed(s) {
		r.failAt(at, "TCB status %s is not one that a level of this kind has", s)
	}
	return s
}

func (r *reader) advisories() []string {
	all := []string{}
	r.list(func() { all = append(all, r.words()) })
	return all
}
