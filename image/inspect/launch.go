package inspect

import "safebox/verifier/release"

// launch is how a confidential VM starts a release.
func launch(l release.Launch) Item {
	i := Item{Name: "launch", Value: l.Platform, Items: []Item{
		item("firmware", "%s", l.Firmware),
		item("kernel", "%s", l.Kernel),
		item("initrd", "%s", l.Initrd),
		item("command_line", "%q", l.CommandLine),
	}}
	if l.SNP != nil {
		i.Items = append(i.Items, snpLaunch(l.SNP)...)
	}
	if l.TDX != nil {
		i.Items = append(i.Items, tdxLaunch(l.TDX)...)
	}
	return i
}

func snpLaunch(s *release.SNP) []Item {
	items := []Item{
		item("seed", "%s", s.Seed),
		item("reset_eip", "%#x", s.ResetEIP),
		item("hash_table", "%#x bytes at %#x", s.HashTable.Size, s.HashTable.GPA),
		item("kernel_sha256", "%s", s.KernelSHA256),
		item("initrd_sha256", "%s", s.InitrdSHA256),
	}
	sections := item("sections", "%d", len(s.Sections))
	for _, x := range s.Sections {
		sections.Items = append(sections.Items, item("section", "type %#x, %#x bytes at %#x", x.Type, x.Size, x.GPA))
	}
	shapes := item("shapes", "%d", len(s.Shapes))
	for _, m := range s.Shapes {
		shapes.Items = append(shapes.Items, item(m.Name, "%s", m.LaunchDigest))
	}
	return append(items, sections, shapes)
}

func tdxLaunch(t *release.TDX) []Item {
	items := []Item{
		item("layout", "%s", t.Layout),
		item("cfv_sha384", "%s", t.CFVSHA384),
		item("td_hob", "%#x bytes at %#x", t.TDHOB.Size, t.TDHOB.GPA),
		item("kernel_pe_sha384", "%s", t.KernelPESHA384),
		item("initrd_sha384", "%s", t.InitrdSHA384),
	}
	accepted := item("accepted", "%d", len(t.Accepted))
	for _, a := range t.Accepted {
		accepted.Items = append(accepted.Items, item("range", "%#x bytes at %#x", a.Size, a.GPA))
	}
	items = append(items, accepted)
	for _, reg := range t.Registers {
		items = append(items, item(reg.Name, "%s %s", reg.Rule, reg.Value))
	}
	return items
}
