package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"safebox/image"
	"safebox/image/hostile"
	"safebox/image/output"
	"safebox/measure/tpm"
	"safebox/verifier/release"
)

// tampering is what the demo's hostile host does.
type tampering struct {
	name    string
	does    string
	refusal string // what the guest must name
	disk    func() ([]byte, error)
}

func (d *demo) tamperings() []tampering {
	unified := d.built.File(image.UKI)
	return []tampering{
		{
			"credential", "plants a credential file on the boot partition, beside an untouched UKI",
			"credentials", func() ([]byte, error) { return hostile.Credential(unified) },
		},
		{
			"program", "adds a program of its own to the initrd, and assembles a new UKI",
			"initramfs-entry", func() ([]byte, error) {
				stub, err := d.stub()
				if err != nil {
					return nil, err
				}
				return hostile.InitrdEntry(stub, unified)
			},
		},
	}
}

func (d *demo) bootTampered() error {
	group, ctx := errgroup.WithContext(d.ctx)
	for _, t := range d.tamperings() {
		disk, err := t.disk()
		if err != nil {
			return err
		}
		d.w.printf("   %-10s the host %s\n", t.name, t.does)
		if err := d.explainDisk(t.name, disk); err != nil {
			return err
		}
		folder := d.path("tampered-" + t.name)
		if err := d.writeTampered(folder, disk); err != nil {
			return err
		}
		group.Go(func() error {
			o, err := d.launch(ctx, machine{name: t.name, folder: folder, boot: "esp"})
			if err != nil {
				return err
			}
			return d.expectRefusal(t, o)
		})
	}
	return group.Wait()
}

// expectRefusal is the point of the chapter: a tampered guest that goes on is
// a failure of the demo.
func (d *demo) expectRefusal(t tampering, o *told) error {
	if o.report != nil {
		return fmt.Errorf("%s: the tampered guest went on", t.name)
	}
	if !slices.Contains(o.refusals, t.refusal) {
		return fmt.Errorf("%s: the guest stopped for %v, want %s", t.name, o.refusals, t.refusal)
	}
	d.w.printf("   %-10s the guest powered itself off: %s\n", t.name, t.refusal)
	d.found("refused    the host %s: the guest powered itself off and named %q", t.does, t.refusal)
	return nil
}

// explainDisk says what a TPM would report of the tampered disk.
func (d *demo) explainDisk(name string, disk []byte) error {
	published, ok := d.built.Release.Measurement("vtpm", "esp", "sha256")
	if !ok {
		return errors.New("release.json has no measurement of the disk boot")
	}
	in := tpm.Input{Boot: tpm.ESP, Disk: bytes.NewReader(disk), DiskSize: int64(len(disk)), Firmware: d.built.File(image.FirmwareCode)}
	p, err := tpm.Predict(in, tpm.SHA256)
	if err != nil {
		d.w.printf("   %-10s safebox measure refuses such a disk: %v\n", name, err)
		return nil
	}
	m, err := image.Measurement(p, tpm.ESP)
	if err != nil {
		return err
	}
	var moved []string
	for i, r := range m.Registers {
		if r.Value != published.Registers[i].Value {
			moved = append(moved, r.Name)
		}
	}
	d.w.printf("   %-10s a TPM would report other values than published: %s\n", name, strings.Join(moved, ", "))
	return nil
}

// writeTampered writes a release with another disk, and a release.json that
// fits it: a hostile host writes its own.
func (d *demo) writeTampered(folder string, disk []byte) error {
	r := *d.built.Release
	r.Artifacts = slices.Clone(r.Artifacts)
	for i := range r.Artifacts {
		if r.Artifacts[i].Name == image.RawDisk {
			r.Artifacts[i] = image.Describe(image.RawDisk, disk)
		}
	}
	encoded, err := r.Encode()
	if err != nil {
		return err
	}
	out, err := output.NewFolder(folder, release.FileName)
	if err != nil {
		return err
	}
	for _, a := range r.Artifacts {
		content := d.built.File(a.Name)
		if a.Name == image.RawDisk {
			content = disk
		}
		if err := out.Write(a.Name, whole(content)); err != nil {
			return errors.Join(err, out.Discard())
		}
	}
	if err := out.Write(release.FileName, whole(encoded)); err != nil {
		return errors.Join(err, out.Discard())
	}
	return out.Commit()
}

func whole(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}
