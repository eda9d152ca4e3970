package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/agent"
	"safebox/host/instance"
	"safebox/host/vmm"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// confidential prints how a confidential VM is started from the release. No
// machine with the hardware has run the command yet, so this program doesn't
// either.
func (f *launchFlags) confidential(c *cobra.Command) error {
	m, err := f.machine()
	if err != nil {
		return cli.Usage(err, "see safebox-host launch --help")
	}
	r, err := openRelease(f.release)
	if err != nil {
		return err
	}
	l, ok := r.Launch(f.platform)
	if !ok {
		return cli.Usage(fmt.Errorf("opening release: %s has no launch of platform %s", filepath.Join(f.release, release.FileName), f.platform),
			"make one with: safebox build --platform vtpm,"+f.platform+" --out DIR")
	}
	if err := checkArtifacts(f.release, r); err != nil {
		return err
	}
	if !f.printArgs {
		return f.notHere()
	}
	dir, err := filepath.Abs(f.release)
	if err != nil {
		return err
	}
	m.Firmware, m.Kernel, m.Initrd = artifactPath(dir, l.Firmware), artifactPath(dir, l.Kernel), artifactPath(dir, l.Initrd)
	m.CommandLine = l.CommandLine
	if f.platform == release.PlatformSNP {
		err = f.addSNP(&m, l)
	} else {
		err = f.addTDX(&m)
	}
	if err != nil {
		return err
	}
	args, err := vmm.ConfidentialArgs(m)
	if err != nil {
		return err
	}
	return printCommand(c.OutOrStdout(), f.json, append([]string{qemuPath()}, args...))
}

// notHere says why nothing is started.
func (f *launchFlags) notHere() error {
	if err := vmm.CheckHardware(f.platform); err != nil {
		return err
	}
	return cli.Failed(fmt.Errorf("platform %s: this program starts no such guest", f.platform),
		"run the command that --print-args prints")
}

// machine is what the flags say of any confidential VM.
func (f *launchFlags) machine() (m vmm.Confidential, err error) {
	switch {
	case f.release == "":
		return m, errors.New("--release is missing")
	case f.vcpus < 1 || f.vcpus > vmm.MaxVCPUs:
		return m, fmt.Errorf("--vcpus %d, want 1 to %d", f.vcpus, vmm.MaxVCPUs)
	case f.port < 0 || f.port > 65535:
		return m, fmt.Errorf("--port %d, want 0 to 65535", f.port)
	case f.accel != string(vmm.Auto) && f.accel != string(vmm.KVM):
		return m, fmt.Errorf("--accel %s, want kvm: platform %s has no other", f.accel, f.platform)
	}
	m = vmm.Confidential{VCPUs: f.vcpus, Port: f.port}
	if m.Memory, err = parseMemory(f.memory); err != nil {
		return m, err
	}
	name := f.name
	if name == "" {
		name = instance.NewID()
	} else if err := instance.CheckID(name); err != nil {
		return m, err
	}
	m.Name = "safebox-" + name
	if m.Port == 0 {
		m.Port, err = agent.FreePort()
	}
	return m, err
}

// addSNP adds what SEV-SNP needs. An ID block must be one of this very launch:
// the secure processor would refuse any other.
func (f *launchFlags) addSNP(m *vmm.Confidential, l release.Launch) error {
	signature, err := snp.ParseCPU(f.cpu)
	if err != nil {
		return cli.Usage(fmt.Errorf("--cpu: %w", err), "")
	}
	policy, err := strconv.ParseUint(f.policy, 0, 64)
	if err == nil {
		err = idblock.Policy(policy).Check()
	}
	if err != nil {
		return cli.Usage(fmt.Errorf("--policy: %w", err), "")
	}
	m.SNP = &vmm.SNPGuest{CPU: f.cpu, Policy: policy}
	if err := readHex("--host-data", f.hostData, m.SNP.HostData[:]); err != nil {
		return err
	}
	if f.idBlock == "" && f.idAuth == "" {
		return nil
	}
	digests, err := accept.SNP(l, accept.SNPMachine{VMM: snp.QEMU, CPU: signature, Features: snp.SNPActive}, m.VCPUs)
	if err != nil {
		return err
	}
	return f.addIDBlock(m.SNP, digests[len(digests)-1])
}

func (f *launchFlags) addIDBlock(s *vmm.SNPGuest, digest snp.Digest) error {
	if f.idBlock == "" || f.idAuth == "" {
		return cli.Usage(errors.New("want both --id-block and --id-auth"), "safebox measure snp --id-key KEY writes them")
	}
	var err error
	if s.IDBlock, err = readInput(f.idBlock, idblock.BlockSize); err != nil {
		return err
	}
	if s.IDAuth, err = readInput(f.idAuth, idblock.AuthSize); err != nil {
		return err
	}
	block, auth, err := idblock.Open(s.IDBlock, s.IDAuth)
	if err != nil {
		return cli.Failed(fmt.Errorf("%s and %s: %w", f.idBlock, f.idAuth, err), "one of the files was changed, or they are not of one launch")
	}
	const advice = "safebox measure snp with --vcpus, --vcpu-type, --policy and --id-key writes one for this machine"
	if block.LaunchDigest != digest {
		return cli.Failed(fmt.Errorf("%s: launch digest: got %v, want %v, that of %d vCPUs of type %s", f.idBlock, block.LaunchDigest, digest, f.vcpus, f.cpu), advice)
	}
	if f.policyGiven && block.Policy != idblock.Policy(s.Policy) {
		return cli.Failed(fmt.Errorf("%s: policy: got %#x, want that of --policy, %#x", f.idBlock, uint64(block.Policy), s.Policy), advice)
	}
	s.Policy, s.Author = uint64(block.Policy), auth.Author != nil
	return nil
}

// addTDX adds what TDX needs.
func (f *launchFlags) addTDX(m *vmm.Confidential) error {
	m.TDX = &vmm.TDXGuest{}
	return errors.Join(
		readHex("--mrconfigid", f.configID, m.TDX.ConfigID[:]),
		readHex("--mrowner", f.owner, m.TDX.Owner[:]),
		readHex("--mrownerconfig", f.ownerConfig, m.TDX.OwnerConfig[:]),
	)
}

// readHex reads exactly the bytes of to, if there is a text.
func readHex(flag, text string, to []byte) error {
	if text == "" {
		return nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(to) {
		return cli.Usage(fmt.Errorf("%s: got %.120q, want %d bytes in hex", flag, text, len(to)), "")
	}
	copy(to, b)
	return nil
}

// artifactPath is where a release folder has an artifact.
func artifactPath(dir, name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }

// qemuPath is QEMU's path here, or its name: the command may be for another
// machine.
func qemuPath() string {
	const name = "qemu-system-x86_64"
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}
