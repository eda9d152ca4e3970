package kernel

import (
	"fmt"
	"slices"
	"strings"
)

// policyFormat is the first line of a policy file, whose head documents it.
const policyFormat = "safebox-kernel-policy/1"

// Policy is what a kernel's configuration must be.
type Policy struct {
	Rules  []Rule
	Exempt []Exemption
}

// Rule requires a value of an option.
type Rule struct {
	Option string // without CONFIG_
	Want   string // "y", "n", a number or a quoted string, as in a .config
	Item   string // of the image specification, section 7.2; the option's name unless the rule says otherwise
}

// Exemption says why an item of the specification requires nothing.
type Exemption struct{ Item, Reason string }

// Violation is an option that is not what the policy wants.
type Violation struct{ Option, Got, Want string }

// String names the option, what it is and what it should be.
func (v Violation) String() string {
	return fmt.Sprintf("%s%s: got %s, want %s", configPrefix, v.Option, v.Got, v.Want)
}

// PolicyError lists all violations of a configuration, by option.
type PolicyError struct{ Violations []Violation }

// Error names each of them.
func (e *PolicyError) Error() string {
	text := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		text[i] = v.String()
	}
	return "kernel configuration against policy: " + strings.Join(text, "; ")
}

// StandardPolicy is the policy of the release kernel.
func StandardPolicy() (*Policy, error) {
	r, err := standardRecipe(0)
	if err != nil {
		return nil, err
	}
	return ParsePolicy(r.policy)
}

// ParsePolicy reads a policy file; the head of config/policy documents it.
func ParsePolicy(text string) (*Policy, error) {
	if len(text) > maxConfig {
		return nil, fmt.Errorf("parsing kernel policy: %d bytes, limit is %d", len(text), maxConfig)
	}
	p := &Policy{}
	started := false
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !started {
			if line != "format "+policyFormat {
				return nil, fmt.Errorf("parsing kernel policy: line %d: got %q, want %q", i+1, line, "format "+policyFormat)
			}
			started = true
			continue
		}
		if err := p.add(line, seen); err != nil {
			return nil, fmt.Errorf("parsing kernel policy: line %d: %w", i+1, err)
		}
	}
	if len(p.Rules) == 0 {
		return nil, fmt.Errorf("parsing kernel policy: no rule")
	}
	return p, nil
}

// add reads one line. seen holds the options and items that have a line.
func (p *Policy) add(line string, seen map[string]bool) error {
	kind, rest, _ := strings.Cut(line, " ")
	name, rest, more := strings.Cut(rest, " ")
	if !validOption(name) {
		return fmt.Errorf("got %q, want a rule about an option", line)
	}
	rule := Rule{Option: name, Item: name}
	switch kind {
	case "on", "off":
		rule.Want = map[string]string{"on": "y", "off": "n"}[kind]
		if more {
			item, ok := strings.CutPrefix(rest, "for ")
			if !ok || !validOption(item) {
				return fmt.Errorf("got %q, want \"%s OPTION for ITEM\"", line, kind)
			}
			rule.Item = item
		}
	case "value":
		if !validValue(rest) || len(rest) == 1 && strings.Contains("ymn", rest) {
			return fmt.Errorf("got %q, want \"value OPTION TEXT\" with a number or a quoted string", line)
		}
		rule.Want = rest
	case "none":
		if !printable(rest) || strings.TrimSpace(rest) != rest || len(rest) < 20 {
			return fmt.Errorf("got %q, want \"none ITEM REASON\" with a reason", line)
		}
		p.Exempt = append(p.Exempt, Exemption{name, rest})
	default:
		return fmt.Errorf("got %q, want on, off, value or none", line)
	}
	if seen[name] || seen[rule.Item] {
		return fmt.Errorf("%s has a rule already", name)
	}
	seen[name], seen[rule.Item] = true, true
	if kind != "none" {
		p.Rules = append(p.Rules, rule)
	}
	return nil
}

// CheckConfig holds a resolved .config against the policy of the release
// kernel. The error of one that differs is a *PolicyError.
func CheckConfig(config []byte) error {
	p, err := StandardPolicy()
	if err != nil {
		return err
	}
	return p.Check(config)
}

// Check holds a resolved .config against the policy.
func (p *Policy) Check(config []byte) error {
	c, err := parseConfig(string(config))
	if err != nil {
		return fmt.Errorf("parsing kernel configuration: %w", err)
	}
	var found []Violation
	for _, r := range p.Rules {
		if got := c.state(r.Option); got != r.Want {
			found = append(found, Violation{r.Option, got, r.Want})
		}
	}
	return asError(found)
}

// checkFragment finds options of the fragment that Kconfig dropped or changed.
func checkFragment(fragment, resolved string) error {
	want, err := parseConfig(fragment)
	if err != nil {
		return fmt.Errorf("parsing config/fragment: %w", err)
	}
	got, err := parseConfig(resolved)
	if err != nil {
		return fmt.Errorf("parsing kernel configuration: %w", err)
	}
	var found []Violation
	for option, value := range want {
		if g := got.state(option); g != value {
			found = append(found, Violation{option, g, value + " as config/fragment says"})
		}
	}
	return asError(found)
}

// mitigation starts the names of options against faults of processors. The
// policy speaks of each that there is: a new one would be off, unseen.
const mitigation = "MITIGATION_"

// checkKnown finds options that the kernel's source does not declare: a wrong
// name of an option that must be off would pass every other check. And it finds
// mitigations of the source that the policy does not know.
func (p *Policy) checkKnown(fragment string, declared map[string]bool) error {
	options, err := parseConfig(fragment)
	if err != nil {
		return fmt.Errorf("parsing config/fragment: %w", err)
	}
	for _, r := range p.Rules {
		options[r.Option] = r.Want
	}
	var found []Violation
	for option, want := range options {
		if !declared[option] {
			found = append(found, Violation{option, "no such option in the kernel's source", want})
		}
	}
	for option := range declared {
		if strings.HasPrefix(option, mitigation) && !p.has(option) {
			found = append(found, Violation{option, "no rule in config/policy", "one: each mitigation has one"})
		}
	}
	return asError(found)
}

// has tells whether the policy says anything of an option.
func (p *Policy) has(option string) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Option == option }) ||
		slices.ContainsFunc(p.Exempt, func(e Exemption) bool { return e.Item == option })
}

func asError(found []Violation) error {
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(found, func(a, b Violation) int { return strings.Compare(a.Option, b.Option) })
	return &PolicyError{found}
}
