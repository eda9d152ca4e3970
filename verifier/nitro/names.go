package nitro

import (
	"fmt"
	"regexp"
	"strings"
)

// rootSuffix ends the name of a root: the partition comes before it (specs/
// nitro.md, section 4.3: "aws.nitro-enclaves").
const rootSuffix = ".nitro-enclaves"

// checkNames: NITRO-7. It needs the whole path.
func (v *verification) checkNames() {
	if len(v.path) != 1+len(v.document.CABundle) {
		return
	}
	err := v.names()
	v.log.Check("NITRO-7", err, "leaf and instance certificates named after "+v.document.ModuleID, "they are")
}

// names checks that the leaf is the module's and was issued by the instance's
// own authority, in the same region of the root's partition.
func (v *verification) names() error {
	root := v.path[len(v.path)-1].Subject.CommonName
	partition, found := strings.CutSuffix(root, rootSuffix)
	if !found {
		return fmt.Errorf("root: got CN %q, want one that ends in %q", root, rootSuffix)
	}
	leaf, instance := v.path[0].Subject.CommonName, v.path[1].Subject.CommonName
	region, found := strings.CutPrefix(leaf, v.document.ModuleID+".")
	if found {
		region, found = strings.CutSuffix(region, "."+partition)
	}
	if !found || !regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`).MatchString(region) {
		return fmt.Errorf("leaf: got CN %q, want %s.REGION.%s", leaf, v.document.ModuleID, partition)
	}
	if want := v.document.Instance + "." + region + "." + root; instance != want {
		return fmt.Errorf("instance: got CN %q, want %q", instance, want)
	}
	return nil
}
