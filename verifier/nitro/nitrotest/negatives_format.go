package nitrotest

import (
	"maps"
	"slices"
	"testing"

	"safebox/verifier/policy/nitropolicy"
)

// messageChanges: NITRO-1.
func messageChanges() []change {
	alg := func(value Item) func(testing.TB, *Evidence) { return header(Map(Pair{Number(1), value})) }
	elements := func(f func([]Item) []Item) func(testing.TB, *Evidence) {
		return signed(func(s *Sign1) { s.Elements = f })
	}
	return []change{
		{"nothing", raw(func([]byte) []byte { return nil })},
		{"one byte after it", raw(func(b []byte) []byte { return append(b, 0) })},
		{"one byte missing", raw(func(b []byte) []byte { return b[:len(b)-1] })},
		{"32 KiB and a byte", raw(func(b []byte) []byte { return append(b, make([]byte, 32<<10+1-len(b))...) })},
		{"1 MiB of nested arrays", raw(func([]byte) []byte { return Nested(1 << 20) })},
		{"30 KiB of nested arrays", raw(func([]byte) []byte { return Nested(30 << 10) })},
		{"nested arrays in a header", signed(func(s *Sign1) { s.Unprotected = Map(Pair{Number(4), Nested(8)}) })},
		{"tag 17", raw(func(b []byte) []byte { return append([]byte{0xd1}, b...) })},
		{"tag 18 in two bytes", raw(func(b []byte) []byte { return append([]byte{0xd8, 18}, b...) })},
		{"tag 18 twice", raw(func(b []byte) []byte { return append([]byte{0xd2, 0xd2}, b...) })},
		{"a map instead of an array", raw(func([]byte) []byte { return Map() })},
		{"3 elements", elements(func(l []Item) []Item { return l[:3] })},
		{"5 elements", elements(func(l []Item) []Item { return append(l, Null()) })},
		{"payload detached", signed(func(s *Sign1) { s.Payload = Null() })},
		{"payload empty", signed(func(s *Sign1) { s.Payload = Bytes(nil) })},
		{"payload in chunks", signed(func(s *Sign1) { s.Payload = slices.Concat(Item{0x5f}, s.Payload, Item{0xff}) })},
		{"payload of 16 KiB and a byte", signed(func(s *Sign1) { s.Payload = Bytes(make([]byte, 16<<10+1)) })},
		{"payload as an array of numbers", signed(func(s *Sign1) { s.Payload = Array(Number(1)) })},
		{"unprotected headers null", signed(func(s *Sign1) { s.Unprotected = Null() })},
		{"an unprotected header", signed(func(s *Sign1) { s.Unprotected = Map(Pair{Number(4), Bytes(nil)}) })},
		{"protected headers null", signed(func(s *Sign1) { s.Protected = Null() })},
		{"protected headers empty", header(Map())},
		{"protected headers no map", header(Array())},
		{"protected headers twice", header(append(Map(Pair{Number(1), Negative(34)}), Map()...))},
		{"crit beside alg", header(Map(Pair{Number(1), Negative(34)}, Pair{Number(2), Array(Number(1))}))},
		{"a text beside alg", header(Map(Pair{Number(1), Negative(34)}, Pair{Text("x"), Number(1)}))},
		{"alg twice", header(Map(Pair{Number(1), Negative(34)}, Pair{Number(1), Negative(34)}))},
		{"another header instead of alg", header(Map(Pair{Number(4), Negative(34)}))},
		{"alg -7 (ES256)", alg(Negative(6))},
		{"alg -36 (ES512)", alg(Negative(35))},
		{"alg 35", alg(Number(35))},
		{"alg as a text", alg(Text("ES384"))},
		{"alg null", alg(Null())},
		{"alg -2^64", alg(Negative(1<<64 - 1))},
		{"as QEMU makes it: alg -1, no signature", func(t testing.TB, e *Evidence) {
			alg(Negative(0))(t, e)
			e.Document.Signed = func(s *Sign1) { s.Signature = Bytes(make([]byte, 64)) }
		}},
		{"signature of 95 bytes", signed(func(s *Sign1) { s.Signature = Bytes(make([]byte, 95)) })},
		{"signature of 97 bytes", signed(func(s *Sign1) { s.Signature = Bytes(make([]byte, 97)) })},
		{"signature null", signed(func(s *Sign1) { s.Signature = Null() })},
	}
}

// payloadChanges: NITRO-2.
func payloadChanges() []change {
	add := func(key, value Item) func(testing.TB, *Evidence) {
		return fields(func(pairs []Pair) []Pair { return append(pairs, Pair{key, value}) })
	}
	payload := func(f func(b []byte) []byte) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Document.Payload = f }
	}
	return []change{
		{"an unknown key", add(Text("debug"), Item{0xf5})},
		{"a known key in upper case", add(Text("NONCE"), Null())},
		{"a number as a key", add(Number(1), Null())},
		{"null as a key", add(Null(), Null())},
		{"bytes as a key", add(Bytes([]byte("nonce")), Null())},
		{"nonce twice, the same", fields(func(pairs []Pair) []Pair { return append(pairs, pairs[8]) })},
		{"nonce twice, null first", fields(func(pairs []Pair) []Pair { return append([]Pair{{Text("nonce"), Null()}}, pairs...) })},
		{"module_id twice, its key once in two bytes", fields(func(pairs []Pair) []Pair {
			return append(pairs, Pair{append(Item{0x78, 9}, "module_id"...), pairs[0].Value})
		})},
		{"neither kind of registers", fields(func(pairs []Pair) []Pair { return without("nitrotpm_pcrs")(without("pcrs")(pairs)) })},
		{"both kinds of registers", fields(func(pairs []Pair) []Pair {
			other := map[string]string{string(Text("pcrs")): "nitrotpm_pcrs", string(Text("nitrotpm_pcrs")): "pcrs"}[string(pairs[3].Key)]
			return append(pairs, Pair{Text(other), pairs[3].Value})
		})},
		{"both kinds of registers, the other null", fields(func(pairs []Pair) []Pair {
			other := map[string]string{string(Text("pcrs")): "nitrotpm_pcrs", string(Text("nitrotpm_pcrs")): "pcrs"}[string(pairs[3].Key)]
			return append(pairs, Pair{Text(other), Null()})
		})},
		{"an array", payload(func([]byte) []byte { return Array() })},
		{"two maps", payload(func(b []byte) []byte { return append(b, Map()...) })},
		{"one byte after it", payload(func(b []byte) []byte { return append(b, 0) })},
		{"cut", payload(func(b []byte) []byte { return b[:len(b)-1] })},
		{"user_data with a tag", fields(with("user_data", append(head(6, 24), Bytes(nil)...)))},
		{"a key with a tag", add(append(head(6, 24), Text("nonce")...), Null())},
		{"nested too deep", fields(with("user_data", Nested(5)))},
		{"3,000 more keys", fields(func(pairs []Pair) []Pair {
			for i := range 3000 {
				pairs = append(pairs, Pair{Number(uint64(i)), Null()})
			}
			return pairs
		})},
		{"a text that is not UTF-8", add(append(head(3, 1), 0xff), Null())},
		{"the policy asks for no kind", func(_ testing.TB, e *Evidence) { e.Policy.Kind = 0 }},
	}
}

// otherKind is a passing document of the other kind.
func otherKind(kind nitropolicy.Kind) change {
	return change{"a document of the other kind", func(t testing.TB, e *Evidence) {
		other := New(t, nitropolicy.Enclave+nitropolicy.NitroTPM-kind, "strict")
		e.Document, e.Chain = other.Document, other.Chain
	}}
}

// textChanges: NITRO-3, module_id, digest and timestamp.
func textChanges() []change {
	var list []change
	module := func(s string) func(testing.TB, *Evidence) { return fields(with("module_id", Text(s))) }
	list = append(list,
		change{"module_id empty", module("")},
		change{"module_id of QEMU", module("i-234-enc5678")},
		change{"module_id of no kind", module(instanceID + "-vmm0191cceb4289903f")},
		change{"module_id in upper case", module("i-0A22E5C5F24D22174-enc0191cceb4289903f")},
		change{"module_id with a line feed", module(instanceID + "-enc0191cceb4289903f\n")},
		change{"module_id as bytes", fields(with("module_id", Bytes([]byte(instanceID+"-enc0191cceb4289903f"))))},
		change{"module_id of the other kind", func(_ testing.TB, e *Evidence) {
			e.Document.Module = instanceID + map[bool]string{true: "-enc", false: "-tpm"}[e.Document.TPM] + "0191cceb4289903f"
		}},
		change{"digest SHA256", fields(with("digest", Text("SHA256")))},
		change{"digest null", fields(with("digest", Null()))},
		change{"timestamp 0", fields(with("timestamp", Number(0)))},
		change{"timestamp negative", fields(with("timestamp", Negative(0)))},
		change{"timestamp 2^63", fields(with("timestamp", Number(1<<63)))},
		change{"timestamp in the year 10000", fields(with("timestamp", Number(253402300800000)))},
		change{"timestamp a fraction", fields(with("timestamp", Item{0xf9, 0x3c, 0x00}))},
		change{"timestamp null", fields(with("timestamp", Null()))},
		change{"timestamp a text", fields(with("timestamp", Text("1")))})
	for _, key := range []string{"module_id", "digest", "timestamp", "certificate", "cabundle"} {
		list = append(list, change{key + " missing", fields(without(key))})
	}
	return list
}

// registerFieldChanges: NITRO-3, the registers.
func registerFieldChanges(kind nitropolicy.Kind) []change {
	set := func(value Item) func(testing.TB, *Evidence) {
		return registersWith(func(e *Evidence) []Pair {
			pairs := registerPairs(e)
			pairs[5].Value = value
			return pairs
		})
	}
	add := func(key, value Item) func(testing.TB, *Evidence) {
		return registersWith(func(e *Evidence) []Pair { return append(registerPairs(e), Pair{key, value}) })
	}
	zero := Bytes(make([]byte, 48))
	list := []change{
		{"a register of 47 bytes", set(Bytes(make([]byte, 47)))},
		{"a register of 49 bytes", set(Bytes(make([]byte, 49)))},
		{"a register of 32 bytes", set(Bytes(make([]byte, 32)))},
		{"a register null", set(Null())},
		{"a register of no bytes", set(Bytes(nil))},
		{"a register as text", set(Text(string(make([]byte, 48))))},
		{"a register in chunks", set(Chunks(make([]byte, 48)))},
		{"register 32", add(Number(32), zero)},
		{"register 2^32", add(Number(1<<32), zero)},
		{"a negative register", add(Negative(0), zero)},
		{"register null", add(Null(), zero)},
		{"register 0.0", add(Item{0xf9, 0, 0}, zero)},
		{"register \"5\"", add(Text("5"), zero)},
		{"register 5 twice", add(Number(5), zero)},
		{"register 5 twice, once in two bytes", add(Item{0x18, 5}, zero)},
		{"no registers", registersWith(func(*Evidence) []Pair { return nil })},
	}
	if kind == nitropolicy.NitroTPM {
		list = append(list,
			change{"register 24", add(Number(24), zero)},
			change{"register 23 missing", registersWith(func(e *Evidence) []Pair { return registerPairs(e)[:23] })},
			change{"register 0 missing", registersWith(func(e *Evidence) []Pair { return registerPairs(e)[1:] })})
	}
	return list
}

func registerPairs(e *Evidence) []Pair {
	var pairs []Pair
	for _, i := range slices.Sorted(maps.Keys(e.Document.PCRs)) {
		pairs = append(pairs, Pair{Number(uint64(i)), Bytes(e.Document.PCRs[i])})
	}
	return pairs
}

// binaryChanges: NITRO-3, certificates and the optional fields.
func binaryChanges() []change {
	list := []change{
		{"certificate null", fields(with("certificate", Null()))},
		{"certificate empty", fields(with("certificate", Bytes(nil)))},
		{"certificate of 1,025 bytes", fields(with("certificate", Bytes(make([]byte, 1025))))},
		{"certificate as text", fields(with("certificate", Text("x")))},
		{"cabundle null", fields(with("cabundle", Null()))},
		{"cabundle empty", fields(with("cabundle", Array()))},
		{"cabundle as bytes", fields(with("cabundle", Bytes([]byte{1})))},
		{"an entry of cabundle null", fields(with("cabundle", Array(Null())))},
		{"an entry of cabundle empty", fields(with("cabundle", Array(Bytes(nil))))},
		{"an entry of cabundle of 1,025 bytes", fields(with("cabundle", Array(Bytes(make([]byte, 1025)))))},
	}
	for _, key := range []string{"public_key", "user_data", "nonce"} {
		list = append(list,
			change{key + " of 1,025 bytes", fields(with(key, Bytes(repeat("x", 1025))))},
			change{key + " as text", fields(with(key, Text("x")))},
			change{key + " in chunks", fields(with(key, Chunks(repeat("x", 32))))},
			change{key + " undefined", fields(with(key, Item{0xf7}))},
			change{key + " as an array of numbers", fields(with(key, Array(Number(1), Number(2))))})
	}
	return list
}
