package image

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"safebox/image/lock/locktest"
	"safebox/initrd/layout"
	"safebox/measure/benchtest"
)

// Limits of a release with the distribution's kernel.
const (
	maxUKI  = 24_000_000
	maxInit = 14_000_000
	maxTime = 5 * time.Second
)

// BenchmarkBuild builds and writes a release from cached inputs, with the
// compiler's cache filled, and compares with hashing and writing its files:
// less no builder can do. The compiler's own half second is in the ratio.
func BenchmarkBuild(b *testing.B) {
	lockFile, err := os.ReadFile("safebox.lock")
	if err != nil {
		b.Fatal(err)
	}
	resolver, err := locktest.Resolver("..")
	if err != nil {
		b.Fatal(err)
	}
	options := Options{
		Lock: lockFile, LockName: "safebox.lock", Resolver: resolver, Source: "..", Init: InitPackage,
		Kernel: layout.Distro, Platforms: Platforms()[:3], Disks: Disks(), Progress: func(Progress) {},
	}
	dir := b.TempDir()
	var a *Artifacts
	build := func() {
		if a, err = Build(b.Context(), options); err != nil {
			b.Fatal(err)
		}
		if err := a.Write(filepath.Join(dir, "release")); err != nil {
			b.Fatal(err)
		}
	}
	took := benchtest.Ratio(b, "x-of-hash-and-write", build, func() {
		for _, f := range a.files {
			if Describe(f.Name, f.Data).Size == 0 {
				b.Fatal("empty artifact")
			}
			if err := writeSynced(filepath.Join(dir, filepath.Base(f.Name)), f.Data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(took)/float64(maxTime), "of-5s-limit")
	b.ReportMetric(float64(len(a.File(UKI)))/maxUKI, "of-24MB-UKI-limit")
	b.ReportMetric(float64(len(a.File("safebox-init")))/maxInit, "of-14MB-init-limit")
}

func writeSynced(name string, data []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
