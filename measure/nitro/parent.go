package nitro

import (
	"fmt"
	"regexp"
)

// pcr3 is the IAM role of the parent instance: the text of its ARN itself, not
// a hash of it.
func pcr3(arn string, none bool) (Register, error) {
	switch {
	case arn != "" && none:
		return Register{}, fmt.Errorf("got role %q and no role, want one of them", arn)
	case none:
		return Register{Rule: Zero, Note: "the parent instance has no IAM role"}, nil
	case arn == "":
		return Register{Rule: Missing, Note: "want the ARN of the parent instance's IAM role"}, nil
	}
	if err := checkRole(arn); err != nil {
		return Register{}, err
	}
	return text("ARN of the parent's IAM role", arn), nil
}

// pcr4 is the ID of the parent instance: the text itself, not a hash of it.
func pcr4(id string) (Register, error) {
	if id == "" {
		return Register{Rule: Missing, Note: "want the ID of the parent instance"}, nil
	}
	if err := checkInstance(id); err != nil {
		return Register{}, err
	}
	return text("ID of the parent instance", id), nil
}

func text(name, s string) Register {
	return Register{
		Rule:  Exact,
		Value: extend([]byte(s)),
		Event: &Event{Content: []Item{{Name: name, Offset: -1, Size: int64(len(s))}}},
	}
}

// checkRole checks the form of a role's ARN (IAM User Guide, "IAM identifiers":
// partition, account of 12 digits, path, name; quotas: 512 and 64 characters).
// PCR3 of a text with a stray character is a value that no instance has.
func checkRole(arn string) error {
	form := regexp.MustCompile(`^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([!-~]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$`)
	if !form.MatchString(arn) {
		return fmt.Errorf("role ARN: got %q, want the form arn:aws:iam::123456789012:role/name", arn)
	}
	return nil
}

// checkInstance checks the form of an instance's ID (EC2 User Guide, "Resource
// IDs": 17 hexadecimal digits, 8 for the oldest).
func checkInstance(id string) error {
	form := regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)
	if !form.MatchString(id) {
		return fmt.Errorf("instance ID: got %q, want i- and 17 lower-case hexadecimal digits", id)
	}
	return nil
}
