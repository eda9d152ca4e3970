package igvm

import "fmt"

// Describe says in a line what a body holds.
func Describe(body Body) string {
	switch b := body.(type) {
	case Platform:
		return fmt.Sprintf("%v, mask %#x", b.Type, b.Mask)
	case GuestPolicy:
		return fmt.Sprintf("%#x, mask %#x", b.Policy, b.Mask)
	case ParameterArea:
		return fmt.Sprintf("index %d, 0x%x bytes", b.Index, b.Size)
	case PageData:
		from := ", zeros"
		if b.Data != nil {
			from = ""
		}
		return fmt.Sprintf("%v at 0x%x, flags %#x, mask %#x%s", b.Type, b.GPA, uint32(b.Flags), b.Mask, from)
	case ParameterInsert:
		return fmt.Sprintf("index %d at 0x%x, mask %#x", b.Index, b.GPA, b.Mask)
	case VPContext:
		return fmt.Sprintf("processor %d at 0x%x, mask %#x", b.Index, b.GPA, b.Mask)
	case RequiredMemory:
		return fmt.Sprintf("0x%x bytes at 0x%x, mask %#x", b.Size, b.GPA, b.Mask)
	case Parameter:
		return fmt.Sprintf("index %d, offset %#x", b.Index, b.ByteOffset)
	case SNPIDBlock:
		return fmt.Sprintf("launch digest %v, ID key %v, guest SVN %d, mask %#x", b.LaunchDigest, b.Auth.Key.Digest(), b.GuestSVN, b.Mask)
	}
	return fmt.Sprintf("%d bytes", len(body.Append(nil)))
}
