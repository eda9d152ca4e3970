package vmm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"safebox/host/hint"
)

// CheckHardware tells whether this machine's KVM starts guests of a platform,
// snp or tdx.
func CheckHardware(platform string) error { return checkHardware("/", platform) }

func checkHardware(root, platform string) error {
	// Linux, arch/x86/kvm/svm/sev.c and vmx/tdx.c: module parameters that say
	// what was found to work when the module was loaded.
	var file string
	switch platform {
	case "snp":
		file = "sys/module/kvm_amd/parameters/sev_snp"
	case "tdx":
		file = "sys/module/kvm_intel/parameters/tdx"
	default:
		return fmt.Errorf("platform %q, want snp or tdx", platform)
	}
	b, err := os.ReadFile(filepath.Join(root, file))
	switch value := strings.TrimSpace(string(b)); {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("this machine's KVM has no guests of platform %s: there is no /%s", platform, file)
	case err != nil:
		return fmt.Errorf("asking KVM for platform %s: %w", platform, err)
	case value == "Y" || value == "1":
		return nil
	default:
		err = fmt.Errorf("this machine's KVM has no guests of platform %s: /%s is %q", platform, file, value)
	}
	return hint.New(err, "--print-args prints the command for a machine that has them")
}
