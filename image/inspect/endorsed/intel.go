package endorsed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"safebox/image/inspect/tree"
	"safebox/verifier/endorse"
	"safebox/verifier/tpm/jsontree"
)

// maxJSON bounds Intel's JSON; dcap-qvl's combined files have about 20 kB.
const maxJSON = 2 << 20

// has reports whether b is a JSON object with one of the names at its top.
func has(b []byte, names ...string) bool {
	if len(b) > maxJSON || !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil {
		return false
	}
	for _, name := range names {
		if _, ok := members[name]; ok {
			return true
		}
	}
	return false
}

func isTCBInfo(b []byte) bool { return has(b, "tcbInfo") }

func isIdentity(b []byte) bool { return has(b, "enclaveIdentity") }

// isCollateral recognises the combined file of dcap-qvl and others.
func isCollateral(b []byte) bool { return has(b, "tcb_info", "qe_identity") }

// object is a JSON object of Intel's, as it stands. The verifier opens these
// documents only with the certificate that signed them, which a file need not
// hold; so they are shown by name, and what is not there is "none".
type object map[string]any

// parse reads a signed body. Names that come twice are refused: two readers
// could see different things.
func parse(body []byte) (object, error) {
	if _, err := jsontree.Parse(body); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var o object
	err := d.Decode(&o)
	return o, err
}

// text is a text or a number. Anything else is not what Intel writes there.
func (o object) text(name string) string {
	switch v := o[name].(type) {
	case nil:
		return "none"
	case string:
		return tree.Text(v)
	case json.Number:
		return v.String()
	}
	return "neither text nor number"
}

func (o object) texts(name string) []string {
	list, _ := o[name].([]any)
	var out []string
	for _, v := range list {
		text, _ := v.(string)
		out = append(out, tree.Text(text))
	}
	return out
}

func (o object) object(name string) object {
	inner, _ := o[name].(map[string]any)
	return inner
}

// objects gives a list; what is no object in it is an empty one.
func (o object) objects(name string) []object {
	list, _ := o[name].([]any)
	var out []object
	for _, v := range list {
		inner, _ := v.(map[string]any)
		out = append(out, inner)
	}
	return out
}

// facts makes a fact of each name.
func (o object) facts(names ...[2]string) []tree.Item {
	var items []tree.Item
	for _, n := range names {
		items = append(items, tree.New(n[0], "%s", o.text(n[1])))
	}
	return items
}

// tcbInfo describes a TCB info (PCS API version 4, "Get TCB Info": id SGX and
// id TDX).
func tcbInfo(s endorse.Signed) tree.Item {
	o, err := parse(s.Body)
	if err != nil {
		return tree.New("tcb_info", "does not read: %v", err)
	}
	item := tree.New("tcb_info", "%s", o.text("id"))
	item.Items = append(o.facts([][2]string{
		{"version", "version"},
		{"issue_date", "issueDate"},
		{"next_update", "nextUpdate"},
		{"fmspc", "fmspc"},
		{"pceid", "pceId"},
		{"tcb_type", "tcbType"},
		{"evaluation_number", "tcbEvaluationDataNumber"},
	}...), tree.New("body_sha256", "%s", tree.SHA256(s.Body)))
	if m := o.object("tdxModule"); m != nil {
		item.Items = append(item.Items, module("tdx_module", m))
	}
	for _, m := range o.objects("tdxModuleIdentities") {
		item.Items = append(item.Items, module("tdx_module "+m.text("id"), m))
	}
	item.Items = append(item.Items, levels(o))
	return item
}

func module(name string, m object) tree.Item {
	items := m.facts([][2]string{{"mrsigner", "mrsigner"}, {"attributes", "attributes"}, {"attributes_mask", "attributesMask"}}...)
	if _, ok := m["tcbLevels"]; ok {
		items = append(items, levels(m))
	}
	return tree.Group(name, items...)
}

// levels lists TCB levels, the best first, as Intel does.
func levels(o object) tree.Item {
	var items []tree.Item
	for i, l := range o.objects("tcbLevels") {
		level := tree.New(fmt.Sprint(i), "%s, %s", l.text("tcbStatus"), l.text("tcbDate"))
		tcb := l.object("tcb")
		if _, ok := tcb["isvsvn"]; ok {
			level.Items = append(level.Items, tree.New("isvsvn", "%s", tcb.text("isvsvn")))
		}
		for _, kind := range []string{"sgx", "tdx"} {
			if c := tcb.objects(kind + "tcbcomponents"); c != nil {
				level.Items = append(level.Items, tree.New(kind+"_components", "%s", components(c)))
			}
		}
		if _, ok := tcb["pcesvn"]; ok {
			level.Items = append(level.Items, tree.New("pcesvn", "%s", tcb.text("pcesvn")))
		}
		if ids := l.texts("advisoryIDs"); len(ids) > 0 {
			level.Items = append(level.Items, tree.New("advisories", "%s", strings.Join(ids, " ")))
		}
		items = append(items, level)
	}
	return tree.List("levels", items)
}

func components(list []object) string {
	svns := make([]string, len(list))
	for i, c := range list {
		svns[i] = c.text("svn")
	}
	return strings.Join(svns, " ")
}

// identity describes the identity of a quoting enclave (PCS API version 4, "Get
// QE Identity").
func identity(s endorse.Signed) tree.Item {
	o, err := parse(s.Body)
	if err != nil {
		return tree.New("qe_identity", "does not read: %v", err)
	}
	item := tree.New("qe_identity", "%s", o.text("id"))
	item.Items = append(o.facts([][2]string{
		{"version", "version"},
		{"issue_date", "issueDate"},
		{"next_update", "nextUpdate"},
		{"evaluation_number", "tcbEvaluationDataNumber"},
		{"miscselect", "miscselect"},
		{"miscselect_mask", "miscselectMask"},
		{"attributes", "attributes"},
		{"attributes_mask", "attributesMask"},
		{"mrsigner", "mrsigner"},
		{"isvprodid", "isvprodid"},
	}...), tree.New("body_sha256", "%s", tree.SHA256(s.Body)), levels(o))
	return item
}
