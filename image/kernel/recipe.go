package kernel

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/initrd/layout"
)

//go:embed config/fragment
var fragmentText string

//go:embed config/policy
var policyText string

//go:embed config patches/*.patch
var sources embed.FS

// recipeVersion moves with every change of this package that can change a
// kernel and that the key does not see otherwise: the order of steps, or the
// arguments of tools.
const recipeVersion = "1"

// commandLineMark stands for the command line in fragment and policy.
const commandLineMark = "@CMDLINE@"

// recipe is what this package adds to source and tools.
type recipe struct {
	fragment string
	policy   string
	patches  []patch // in order
	epoch    int64   // seconds
}

// patch changes the source before it is built.
type patch struct{ name, text string }

// standardRecipe is the recipe of the release kernel.
func standardRecipe(epoch int64) (recipe, error) {
	line := cmdline.Text(layout.Source)
	// Kconfig's strings know two escapes, and the kernel's limit is checked
	// where the line is made.
	if strings.ContainsAny(line, "\"\\\n") {
		return recipe{}, fmt.Errorf("command line %q: a quote, backslash or newline has no place in a .config", line)
	}
	r := recipe{
		fragment: strings.ReplaceAll(fragmentText, commandLineMark, line),
		policy:   strings.ReplaceAll(policyText, commandLineMark, line),
		epoch:    epoch,
	}
	files, err := Files()
	if err != nil {
		return recipe{}, err
	}
	for _, f := range files {
		if name, ok := strings.CutPrefix(f.Name, folder); ok && strings.HasPrefix(name, "patches/") {
			r.patches = append(r.patches, patch{name, string(f.Content)})
		}
	}
	return r, nil
}

// folder is where this package lies in the source of the appliance.
const folder = "image/kernel/"

// File is a text of this package that goes into a kernel.
type File struct {
	Name    string // path in the source of the appliance
	Content []byte
}

// Files lists the fragment, the policy and the patches as they lie in the
// source, sorted by name.
func Files() ([]File, error) {
	var files []File
	for _, pattern := range []string{"config/*", "patches/*"} {
		names, err := fs.Glob(sources, pattern) // sorted
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			b, err := sources.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, File{folder + name, b})
		}
	}
	return files, nil
}

// environment is all that the tools see: the line "kernel build" of the image
// specification, section 3. The timestamp is a text that GNU date can read.
func (r recipe) environment() []string {
	return []string{
		"HOME=/",
		"KBUILD_BUILD_HOST=safebox",
		"KBUILD_BUILD_TIMESTAMP=" + time.Unix(r.epoch, 0).UTC().Format(time.UnixDate),
		"KBUILD_BUILD_USER=safebox",
		"KBUILD_BUILD_VERSION=1",
		"LC_ALL=C",
		"PATH=/usr/bin:/usr/sbin",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.epoch, 10),
		"TMPDIR=/tmp",
		"TZ=UTC",
		"ZSTD_NBTHREADS=1", // else zstd(1) asks for the number of CPUs
	}
}

// key names everything that goes into a kernel, each part with its size, so
// that nothing can move from one part to the next.
func (r recipe) key(source lock.Input, tools []lock.Package) string {
	var all []byte
	add := func(name, value string) { all = fmt.Appendf(all, "%s %d\n%s\n", name, len(value), value) }
	add("recipe", recipeVersion)
	add("source", source.File.Path+" "+source.File.SHA256.String())
	for _, p := range tools {
		add("tool", strings.Join([]string{p.Name, p.Version, p.Architecture, p.SHA256.String()}, " "))
	}
	for _, l := range toolLinks() {
		add("link", l.name+" "+l.target)
	}
	for _, v := range r.environment() {
		add("environment", v)
	}
	add("enter", enterScript)
	add("fragment", r.fragment)
	add("policy", r.policy)
	for _, p := range r.patches {
		add(p.name, p.text)
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}
