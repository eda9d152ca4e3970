package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a policy; tlog-policy, "Implementation limits", wants 32 of each.
const (
	// MaxPolicy bounds the text in bytes: 64 ML-DSA-44 keys of 1.8 KB, and as
	// much again.
	MaxPolicy    = 256 << 10
	maxLogs      = 64
	maxWitnesses = 64
	maxGroups    = 64
)

// none is the quorum that no witness is needed for; nothing else has this
// name.
const none = "none"

// Policy says which logs count, and whose cosignatures
// (tlog-policy). It comes from ParsePolicy; the zero value opens nothing.
type Policy struct {
	logs      []Key
	witnesses []Witness
	// nodes holds witnesses and groups in the order of the text, so that a
	// group's members stand before it.
	nodes  []node
	quorum int // index of a node, or quorumNone, or quorumMissing
}

const (
	quorumMissing = -1
	quorumNone    = -2
)

// node is a witness or a group.
type node struct {
	name      string
	witness   int   // index of the witness, -1 of a group
	threshold int   // of a group: how many members must have cosigned
	members   []int // of a group: indexes of nodes
	member    bool  // is a member of a group itself
}

// Witness is a witness of a policy.
type Witness struct {
	Name string // the policy's own; the key has one of its own
	VKey string
	URL  string // "" where the policy gives none
	key  Key
}

// ParsePolicy reads a policy's text. Every name is defined once, before it is
// used, and a member of at most one group; every public key is there once,
// whatever its name and its role; there is exactly one quorum. A policy may
// list no log: such a policy opens nothing.
func ParsePolicy(text []byte) (*Policy, error) {
	if err := checkPolicyText(text); err != nil {
		return nil, fmt.Errorf("parsing log policy: %w", err)
	}
	p := &Policy{quorum: quorumMissing}
	for i, line := range strings.Split(string(text[:len(text)-1]), "\n") {
		items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(items) == 0 || strings.HasPrefix(items[0], "#") {
			continue
		}
		if err := p.add(items); err != nil {
			return nil, fmt.Errorf("parsing log policy: line %d: %w", i+1, err)
		}
	}
	if p.quorum == quorumMissing {
		return nil, errors.New("parsing log policy: no quorum line")
	}
	return p, nil
}

// checkPolicyText is tlog-policy, "Character set", and the size.
func checkPolicyText(text []byte) error {
	if len(text) > MaxPolicy {
		return fmt.Errorf("got %d bytes, want at most %d", len(text), MaxPolicy)
	}
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return errors.New("no newline at the end of the last line")
	}
	for i, c := range text {
		if c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
			return fmt.Errorf("line %d: control character %#02x", bytes.Count(text[:i], []byte("\n"))+1, c)
		}
	}
	return nil
}

// add takes one line's items.
func (p *Policy) add(items []string) error {
	switch items[0] {
	case "log":
		return p.addLog(items[1:])
	case "witness":
		return p.addWitness(items[1:])
	case "group":
		return p.addGroup(items[1:])
	case "quorum":
		return p.setQuorum(items[1:])
	}
	return fmt.Errorf("got %.32q, want log, witness, group or quorum", items[0])
}

// addLog takes "VKEY [URL]".
func (p *Policy) addLog(items []string) error {
	if len(items) < 1 || len(items) > 2 {
		return fmt.Errorf("log: got %d items, want a key and perhaps a URL", len(items))
	}
	if len(p.logs) == maxLogs {
		return fmt.Errorf("log: more than %d", maxLogs)
	}
	k, err := p.newKey(items[0])
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if k.Algorithm != Ed25519 {
		return fmt.Errorf("log %q: key: got %v, want %v", k.Name, k.Algorithm, Ed25519)
	}
	if _, err := optionalURL(items[1:]); err != nil { // who verifies offline goes nowhere
		return fmt.Errorf("log %q: %w", k.Name, err)
	}
	p.logs = append(p.logs, k)
	return nil
}

// addWitness takes "NAME VKEY [URL]".
func (p *Policy) addWitness(items []string) error {
	if len(items) < 2 || len(items) > 3 {
		return fmt.Errorf("witness: got %d items, want a name, a key and perhaps a URL", len(items))
	}
	if len(p.witnesses) == maxWitnesses {
		return fmt.Errorf("witness: more than %d", maxWitnesses)
	}
	k, err := p.newKey(items[1])
	if err != nil {
		return fmt.Errorf("witness %.64q: %w", items[0], err)
	}
	if k.Algorithm != CosignatureEd25519 && k.Algorithm != CosignatureMLDSA44 {
		return fmt.Errorf("witness %.64q: key: got %v, want %v or %v", items[0], k.Algorithm, CosignatureEd25519, CosignatureMLDSA44)
	}
	url, err := optionalURL(items[2:])
	if err != nil {
		return fmt.Errorf("witness %.64q: %w", items[0], err)
	}
	p.witnesses = append(p.witnesses, Witness{Name: items[0], VKey: items[1], URL: url, key: k})
	return p.define(node{name: items[0], witness: len(p.witnesses) - 1})
}

// addGroup takes "NAME all|any|K MEMBER...".
func (p *Policy) addGroup(items []string) error {
	if len(items) < 3 {
		return fmt.Errorf("group: got %d items, want a name, a threshold and members", len(items))
	}
	g, members := node{name: items[0], witness: -1}, items[2:]
	if len(p.nodes)-len(p.witnesses) == maxGroups {
		return fmt.Errorf("group: more than %d", maxGroups)
	}
	switch items[1] {
	case "all":
		g.threshold = len(members)
	case "any":
		g.threshold = 1
	default:
		k, err := parseDecimal(items[1])
		if err != nil || k < 1 || k > int64(len(members)) {
			return fmt.Errorf("group %.64q: threshold: got %.32q, want all, any or a number from 1 to %d", g.name, items[1], len(members))
		}
		g.threshold = int(k)
	}
	for _, m := range members {
		at, err := p.find(m)
		if err != nil {
			return fmt.Errorf("group %.64q: %w", g.name, err)
		}
		if p.nodes[at].member {
			return fmt.Errorf("group %.64q: %.64q is a member already, of this group or another", g.name, m)
		}
		p.nodes[at].member = true
		g.members = append(g.members, at)
	}
	return p.define(g)
}

// setQuorum takes "NAME".
func (p *Policy) setQuorum(items []string) error {
	if len(items) != 1 {
		return fmt.Errorf("quorum: got %d items, want a name", len(items))
	}
	if p.quorum != quorumMissing {
		return errors.New("quorum: a second one")
	}
	if items[0] == none {
		p.quorum = quorumNone
		return nil
	}
	at, err := p.find(items[0])
	if err != nil {
		return fmt.Errorf("quorum: %w", err)
	}
	p.quorum = at
	return nil
}

// define adds a node under a new name.
func (p *Policy) define(n node) error {
	if n.name == none {
		return errors.New(`the name "none" is no witness's and no group's`)
	}
	if len(n.name) > MaxName {
		return fmt.Errorf("name: got %d bytes, want at most %d", len(n.name), MaxName)
	}
	if slices.ContainsFunc(p.nodes, func(o node) bool { return o.name == n.name }) {
		return fmt.Errorf("name %q is taken", n.name)
	}
	p.nodes = append(p.nodes, n)
	return nil
}

// find gives the node of a name.
func (p *Policy) find(name string) (int, error) {
	at := slices.IndexFunc(p.nodes, func(n node) bool { return n.name == name })
	if at < 0 {
		return 0, fmt.Errorf("%.64q is no witness or group above this line", name)
	}
	return at, nil
}

// newKey reads a key that is not there yet, and whose name and ID no other key
// has: a signature must name one key.
func (p *Policy) newKey(vkey string) (Key, error) {
	k, err := ParseKey(vkey)
	if err != nil {
		return Key{}, err
	}
	for _, other := range p.keys() {
		if bytes.Equal(other.public, k.public) {
			return Key{}, fmt.Errorf("the public key of %q is that of %q", k.Name, other.Name)
		}
		if other.Name == k.Name && other.ID == k.ID {
			return Key{}, fmt.Errorf("another key has the name %q and the ID %08x", k.Name, k.ID)
		}
	}
	return k, nil
}

// keys lists the keys of logs and witnesses.
func (p *Policy) keys() []Key {
	keys := slices.Clone(p.logs)
	for _, w := range p.witnesses {
		keys = append(keys, w.key)
	}
	return keys
}

// optionalURL takes the rest of a log's or witness's line. Only HTTP is spoken
// here, and a comment at the end of a line is none.
func optionalURL(items []string) (string, error) {
	if len(items) == 0 {
		return "", nil
	}
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(items[0], scheme); ok && rest != "" {
			return items[0], nil
		}
	}
	return "", fmt.Errorf("URL: got %.100q, want https:// or http:// and more", items[0])
}

// Logs lists the logs' keys.
func (p *Policy) Logs() []Key { return slices.Clone(p.logs) }

// Witnesses lists the witnesses, those outside the quorum included.
func (p *Policy) Witnesses() []Witness { return slices.Clone(p.witnesses) }

// QuorumNone says whether the policy asks for no witness at all.
func (p *Policy) QuorumNone() bool { return p.quorum == quorumNone }
