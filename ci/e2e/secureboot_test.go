package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/host/console"
	"safebox/host/vmm"
	"safebox/image"
	"safebox/image/disk"
	"safebox/image/secureboot/authenticode"
	"safebox/image/secureboot/keytest"
	"safebox/image/secureboot/variables"
	"safebox/measure/pe"
	"safebox/measure/tpm"
	"safebox/measure/tpm/varstore"
	"safebox/verifier/bootreport"
)

// secureFirmware is the build of Debian's OVMF that enforces Secure Boot. It
// keeps its variables in System Management Mode, which the board must have, and
// the flash must refuse writes from outside it (OvmfPkg/README, "SMM support").
const secureFirmware = "OVMF_CODE_4M.secboot.fd"

func secureArgs() []string {
	return []string{"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"}
}

// owner is a provider with keys of its own.
type owner struct {
	pk, kek, db keytest.Pair
	keys        []*variables.Variable
	updates     map[string][]byte // PK.auth and so on
}

func newOwner(t *testing.T, bits int) *owner {
	t.Helper()
	o := &owner{pk: keytest.New(t, "PK"), kek: keytest.New(t, "KEK"), db: keytest.NewRSA(t, "db", bits), updates: map[string][]byte{}}
	at, err := variables.NewTime(time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name         string
		pair, signer keytest.Pair
	}{{"PK", o.pk, o.pk}, {"KEK", o.kek, o.pk}, {"db", o.db, o.kek}} {
		key, err := variables.New(v.name, at, variables.Certificates(varstore.GUID{1, 2, 3}, v.pair.Certificate))
		if err != nil {
			t.Fatal(err)
		}
		update, err := key.Sign(v.signer.Key, v.signer.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		o.keys = append(o.keys, key)
		o.updates[v.name+".auth"] = update
	}
	return o
}

// sign signs with the key of db.
func (o *owner) sign(t *testing.T, image []byte) []byte {
	t.Helper()
	return sign(t, image, o.db)
}

func sign(t *testing.T, image []byte, by keytest.Pair) []byte {
	t.Helper()
	signed, err := authenticode.Sign(image, by.Key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// flash is the pinned flash with the owner's keys.
func (o *owner) flash(t *testing.T, b *built) []byte {
	t.Helper()
	filled, err := variables.Fill(b.artifacts.File("firmware/OVMF_VARS_4M.fd"), o.keys...)
	if err != nil {
		t.Fatal(err)
	}
	return filled
}

// secureMachine boots an image with this flash and Secure Boot.
func secureMachine(t *testing.T, boot vmm.Boot, unified, flash []byte, more ...disk.File) machine {
	t.Helper()
	dir := t.TempDir()
	writeFirmware(t, dir, "OVMF_VARS_4M.fd", flash)
	writeFirmware(t, dir, secureFirmware, packaged(t, "ovmf", "usr/share/OVMF/"+secureFirmware))
	writeFile(t, filepath.Join(dir, image.UKI), unified)
	raw, err := image.Disk(unified, more...)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, image.RawDisk), raw)
	return machine{release: dir, boot: boot, code: filepath.Join(dir, "firmware", secureFirmware), extra: secureArgs()}
}

// predictSecure gives what the machine must report, in both banks.
func predictSecure(t *testing.T, m machine) []*tpm.Prediction {
	t.Helper()
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	store, err := varstore.Decode(read(filepath.Join(m.release, "firmware", "OVMF_VARS_4M.fd")))
	if err != nil {
		t.Fatal(err)
	}
	in := tpm.Input{Firmware: read(m.code), VCPUs: 1, Memory: 1 << 30} // as machine.shape has them
	if in.SecureBoot, err = tpm.NewSecureBoot(store); err != nil {
		t.Fatal(err)
	}
	if m.boot == vmm.ESP {
		raw := read(filepath.Join(m.release, image.RawDisk))
		in.Boot, in.Disk, in.DiskSize = tpm.ESP, bytes.NewReader(raw), int64(len(raw))
	} else {
		in.Boot, in.UKI = tpm.Kernel, read(filepath.Join(m.release, image.UKI))
	}
	list, err := tpm.PredictBanks(in, tpm.SHA256, tpm.SHA384)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestSecureBoot: with Secure Boot on and the owner's keys enrolled, the signed
// image boots to its API, and every register is as predicted.
func TestSecureBoot(t *testing.T) {
	b := release(t, testInit)
	for boot, bits := range map[vmm.Boot]int{vmm.ESP: 2048, vmm.Kernel: 4096} {
		t.Run(string(boot), func(t *testing.T) {
			t.Parallel()
			o := newOwner(t, bits)
			signed := o.sign(t, b.artifacts.File(image.UKI))
			checkSignature(t, signed, o.db)
			m := secureMachine(t, boot, signed, o.flash(t, b))
			compareSecure(t, m, bootMachine(t, m))
		})
	}
}

// checkSignature has another program verify the image.
func checkSignature(t *testing.T, signed []byte, by keytest.Pair) {
	t.Helper()
	if _, err := exec.LookPath("sbverify"); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	dir := t.TempDir()
	_, cert := by.Write(t, dir, "db")
	writeFile(t, dir+"/signed.efi", signed)
	if out, err := exec.Command("sbverify", "--cert", cert, dir+"/signed.efi").CombinedOutput(); err != nil {
		t.Fatalf("sbverify: %v: %s", err, out)
	}
}

// compareSecure compares the TPM's registers and the log with the prediction.
func compareSecure(t *testing.T, m machine, o *outcome) {
	t.Helper()
	if o.report == nil {
		t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
	}
	list := predictSecure(t, m)
	for _, p := range list {
		values, compared := bank(t, o.report, p.Bank.String()), 0
		for pcr, r := range p.PCRs[:16] {
			if r.Value == nil {
				continue
			}
			compared++
			if !r.Value.Equal(values[pcr]) {
				t.Errorf("%v PCR %d: the TPM says %x, predicted is %v", p.Bank, pcr, values[pcr], r.Value)
			}
		}
		if want := 14; compared != want { // all of 0 to 15 but 1 and 10
			t.Errorf("%v: %d registers compared, want %d", p.Bank, compared, want)
		}
		t.Logf("boot:   %v: %d registers of the TPM are as predicted, PCR 7 %x", p.Bank, compared, values[7])
	}
	compareLog(t, list, o.report)
}

// TestSecureBootOfARelease: the init of a release accepts the firmware that
// the release names, without Secure Boot, and says by name what it found.
func TestSecureBootOfARelease(t *testing.T) {
	t.Parallel()
	o := newOwner(t, 2048)
	b := release(t, image.InitPackage)
	got := bootMachine(t, secureMachine(t, vmm.ESP, o.sign(t, b.artifacts.File(image.UKI)), o.flash(t, b)))
	if got.report != nil {
		t.Fatal("the guest went on")
	}
	if refused, want := got.named(bootreport.Refused), []string{"pcr0-firmware", "pcr7-secure-boot"}; !slices.Equal(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
}

// TestSecureBootRefuses: what the owner did not sign does not start.
func TestSecureBootRefuses(t *testing.T) {
	o := newOwner(t, 2048)
	b := release(t, testInit)
	unified := b.artifacts.File(image.UKI)
	signed := o.sign(t, unified)
	for _, tt := range []struct {
		name  string
		boot  vmm.Boot
		image []byte
	}{
		{"unsigned", vmm.ESP, unified},
		{"unsigned, by -kernel", vmm.Kernel, unified},
		{"signed by another", vmm.ESP, sign(t, unified, keytest.New(t, "db"))},
		{"changed after signing", vmm.ESP, changed(t, signed)},
		{"changed after signing, by -kernel", vmm.Kernel, changed(t, signed)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := "failed to load Boot0001"
			if tt.boot == vmm.ESP {
				want = ": Access Denied"
			}
			said := bootUntil(t, secureMachine(t, tt.boot, tt.image, o.flash(t, b)), want)
			if tt.boot == vmm.Kernel && !strings.Contains(said, "Secure boot image verification failed") {
				t.Errorf("firmware did not say why:\n%s", said)
			}
			for _, started := range []string{"Linux version", "EFI stub", "safebox:"} {
				if strings.Contains(said, started) {
					t.Errorf("the guest started:\n%s", said)
				}
			}
		})
	}
}

// changed flips a bit of the command line in a signed image.
func changed(t *testing.T, signed []byte) []byte {
	t.Helper()
	f, err := pe.Decode(signed)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(signed)
	for _, s := range f.Sections {
		if s.Name == ".cmdline" {
			b[s.RawOffset] ^= 1
			return b
		}
	}
	t.Fatal("no section .cmdline")
	return nil
}

// bootUntil boots until the console shows want, and gives what it showed. The
// machine is not left time to do anything after that.
func bootUntil(t *testing.T, m machine, want string) string {
	t.Helper()
	text := &screen{want: want, found: make(chan struct{})}
	vm, ctx, _ := startMachine(t, m, text)
	select {
	case <-text.found:
	case <-vm.Done():
		t.Fatalf("the machine ended, want %q on its console:\n%s", want, text.String())
	case <-ctx.Done():
		t.Fatalf("no %q on the console within %v:\n%s", want, bootTime, text.String())
	}
	time.Sleep(settle)
	t.Logf("boot:   %s", text.lastLine())
	return text.String()
}

// settle is what firmware gets to go on to a guest after it has refused one.
const settle = 5 * time.Second

// startMachine starts a machine with a new TPM. It gives the path of its flash.
func startMachine(t *testing.T, m machine, text *screen) (*vmm.VM, context.Context, string) {
	t.Helper()
	host := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	t.Cleanup(cancel)
	dir := t.TempDir()
	if err := vmm.MakeTPM(ctx, host.parent, host.tools, dir); err != nil {
		t.Fatal(err)
	}
	emulator, channel, err := vmm.StartTPM(host.parent, host.tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, emulator.Child) })
	shape := m.shape(t, dir)
	vm, err := vmm.Start(host.parent, host.tools, shape, channel, console.NewLines(text.line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, vm.Child) })
	if err := channel.Close(); err != nil {
		t.Fatal(err)
	}
	return vm, ctx, shape.Vars
}

// screen is a console's text, and tells when what is wanted has come.
type screen struct {
	mu    sync.Mutex
	lines []string
	want  string
	found chan struct{}
	done  bool
}

func (r *screen) line(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, s)
	if !r.done && r.want != "" && strings.Contains(s, r.want) {
		r.done = true
		close(r.found)
	}
}

// String is all that came.
func (r *screen) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *screen) lastLine() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range slices.Backward(r.lines) {
		if strings.Contains(s, r.want) {
			return s
		}
	}
	return ""
}

// TestEnrolment enrols the signed updates on a machine in setup mode by
// systemd-boot, whose code is not ours. The flash then holds the very variables
// that Fill writes, and the signed image boots with it as predicted.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	o := newOwner(t, 2048)
	b := release(t, testInit)
	var enrolled []byte
	t.Run("enrol", func(t *testing.T) { enrolled = enrol(t, o, b) })
	if enrolled == nil {
		t.Fatal("nothing was enrolled")
	}
	t.Run("boot", func(t *testing.T) {
		m := secureMachine(t, vmm.ESP, o.sign(t, b.artifacts.File(image.UKI)), enrolled)
		compareSecure(t, m, bootMachine(t, m))
	})
}

// enrol gives the flash after the updates were enrolled.
func enrol(t *testing.T, o *owner, b *built) []byte {
	t.Helper()
	loader := packaged(t, "systemd-boot-efi", "usr/lib/systemd/boot/efi/systemd-bootx64.efi")
	files := []disk.File{{Path: "loader/loader.conf", Data: []byte("secure-boot-enroll force\ntimeout 1\n")}}
	for _, name := range []string{"PK.auth", "KEK.auth", "db.auth"} {
		files = append(files, disk.File{Path: "loader/keys/auto/" + name, Data: o.updates[name]})
	}
	blank := b.artifacts.File("firmware/OVMF_VARS_4M.fd")
	text := &screen{found: make(chan struct{})}
	vm, ctx, flash := startMachine(t, secureMachine(t, vmm.ESP, loader, blank, files...), text)
	select {
	case <-vm.Done(): // systemd-boot resets the machine, and -no-reboot ends it
	case <-ctx.Done():
		t.Fatalf("the keys were not enrolled within %v:\n%s", bootTime, text.String())
	}
	enrolled, err := os.ReadFile(flash)
	if err != nil {
		t.Fatal(err)
	}
	compareEnrolled(t, o.flash(t, b), enrolled, text.String())
	return enrolled
}

// compareEnrolled wants the same records of keys in both flashes.
func compareEnrolled(t *testing.T, filled, enrolled []byte, said string) {
	t.Helper()
	want, err := varstore.Decode(filled)
	if err != nil {
		t.Fatal(err)
	}
	got, err := varstore.Decode(enrolled)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		owner varstore.GUID
		name  string
	}{
		{varstore.GlobalVariable(), "PK"}, {varstore.GlobalVariable(), "KEK"}, {varstore.SecurityDatabase(), "db"},
	} {
		w, ok := want.Variable(k.owner, k.name)
		g, found := got.Variable(k.owner, k.name)
		if !ok || !found {
			t.Fatalf("%s: in the filled flash %v, enrolled %v\n%s", k.name, ok, found, said)
		}
		if a, b := fmt.Sprintf("%+v", *w), fmt.Sprintf("%+v", *g); a != b {
			t.Errorf("%s: firmware wrote %s, Fill writes %s", k.name, b, a)
		}
	}
}
