package inspect

import (
	"bytes"

	"safebox/verifier/release"
)

func isRelease(b []byte) bool {
	return len(b) <= release.MaxSize && bytes.HasPrefix(b, []byte("{")) &&
		bytes.Contains(b, []byte(`"type":"`+release.Type+`"`))
}

func releaseFile(b []byte) ([]Item, error) {
	r, err := release.Decode(b)
	if err != nil {
		return nil, err
	}
	id := release.Digest(b)
	items := []Item{
		item("release", "%x", id),
		item("go", "%s", r.Toolchain.Go),
		item("kernel", "%s", r.Kernel),
		item("epoch", "%d", r.Epoch),
		item("lock_sha256", "%s", r.LockSHA256),
	}
	inputs := Item{Name: "inputs"}
	for _, in := range r.Inputs {
		inputs.Items = append(inputs.Items, item(in.Package, "%s %s %s", in.Version, in.Architecture, in.SHA256))
	}
	artifacts := Item{Name: "artifacts"}
	for _, a := range r.Artifacts {
		artifacts.Items = append(artifacts.Items, item(a.Name, "%d bytes, sha256 %s", a.Size, a.SHA256))
	}
	lines := Item{Name: "command_lines"}
	for _, c := range r.CommandLines {
		lines.Items = append(lines.Items, item(c.Platform+" "+c.Form, "%q", c.Text))
	}
	items = append(items, inputs, artifacts, lines)
	for _, m := range r.Measurements {
		boot := Item{Name: "measurement", Value: m.Platform + " " + m.Boot + " " + m.Bank}
		for _, reg := range m.Registers {
			boot.Items = append(boot.Items, item(reg.Name, "%s %s", reg.Rule, reg.Value))
		}
		items = append(items, boot)
	}
	for _, l := range r.Launches {
		items = append(items, launch(l))
	}
	return items, nil
}
