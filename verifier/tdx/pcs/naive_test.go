package pcs_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

// machine is what is compared with collateral.
type machine struct {
	sgx        [16]uint8
	pcesvn     uint16
	svn, svn2  [16]uint8
	qeSVN      uint16
	fmspc      string
	mrSigner   string
	attributes string
}

// outcome is what the evaluation says, in words: an empty status stands for "not
// supported".
type outcome struct {
	Platform, Module, QE, Whole, Relaunch string
	IsModule, IsPlatform                  bool
}

// naive evaluates collateral a second time, from the words of PCS API version 4
// ("determining the status of a TDX TCB level", "status of the enclave") and of
// the verifier's specification, over generic JSON and with no regard to speed. It
// shares no code with the package.
type naive struct{ info, identity map[string]any }

func parseNaive(t testing.TB, info, identity string) naive {
	t.Helper()
	var n naive
	for text, into := range map[string]*map[string]any{info: &n.info, identity: &n.identity} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func objects(v any) (all []map[string]any) {
	list, _ := v.([]any)
	for _, o := range list {
		all = append(all, o.(map[string]any))
	}
	return all
}

func numbers(v any) (all []int) {
	for _, o := range objects(v) {
		all = append(all, int(o["svn"].(float64)))
	}
	return all
}

func atLeast(have [16]uint8, want []int, from int) bool {
	for i := from; i < 16; i++ {
		if int(have[i]) < want[i] {
			return false
		}
	}
	return true
}

// level goes over the sorted collection of levels and takes the first for which
// the components, PCESVN and (with tdx) TEE TCB SVNs are greater or equal.
func (n naive) level(m machine, tdx bool) string {
	for _, l := range objects(n.info["tcbLevels"]) {
		tcb := l["tcb"].(map[string]any)
		if !atLeast(m.sgx, numbers(tcb["sgxtcbcomponents"]), 0) {
			continue
		}
		if int(m.pcesvn) < int(tcb["pcesvn"].(float64)) {
			continue
		}
		from := 0
		if m.svn[1] != 0 {
			from = 2
		}
		if tdx && !atLeast(m.svn, numbers(tcb["tdxtcbcomponents"]), from) {
			continue
		}
		return l["tcbStatus"].(string)
	}
	return ""
}

func (n naive) identityOf(version uint8) map[string]any {
	for _, i := range objects(n.info["tdxModuleIdentities"]) {
		if strings.EqualFold(i["id"].(string), fmt.Sprintf("TDX_%02x", version)) {
			return i
		}
	}
	return nil
}

func firstBelow(levels any, svn int) string {
	for _, l := range objects(levels) {
		if svn >= int(l["tcb"].(map[string]any)["isvsvn"].(float64)) {
			return l["tcbStatus"].(string)
		}
	}
	return ""
}

func (n naive) module(svn [16]uint8) string {
	if svn[1] == 0 {
		return "UpToDate"
	}
	return firstBelow(n.identityOf(svn[1])["tcbLevels"], int(svn[0]))
}

func (n naive) isModule(m machine) bool {
	want, _ := n.info["tdxModule"].(map[string]any)
	if m.svn[1] != 0 {
		if want = n.identityOf(m.svn[1]); want == nil {
			return false
		}
	}
	mask, _ := hex.DecodeString(want["attributesMask"].(string))
	attributes, _ := hex.DecodeString(want["attributes"].(string))
	have, _ := hex.DecodeString(m.attributes)
	for i := range have {
		if have[i]&^mask[i] != 0 || have[i]&mask[i] != attributes[i] {
			return false
		}
	}
	return strings.EqualFold(want["mrsigner"].(string), m.mrSigner)
}

// whole is the converge rule of the verifier's specification.
func whole(platform string, components ...string) string {
	all := append([]string{platform}, components...)
	switch {
	case slices.Contains(all, ""):
		return ""
	case slices.Contains(all, "Revoked"):
		return "Revoked"
	case !slices.Contains(components, "OutOfDate"):
		return platform
	case platform == "UpToDate" || platform == "SWHardeningNeeded":
		return "OutOfDate"
	case platform == "ConfigurationNeeded" || platform == "ConfigurationAndSWHardeningNeeded":
		return "OutOfDateConfigurationNeeded"
	}
	return platform
}

// relaunch is a truth table: all of these must hold.
func (n naive) relaunch(m machine, qe string) string {
	sgx, both, module := n.level(m, false), n.level(m, true), n.module(m.svn)
	now := whole(both, module)
	best := objects(n.info["tcbLevels"])[0]["tcb"].(map[string]any)
	tdx := numbers(best["tdxtcbcomponents"])
	enough := int(m.svn2[0]) >= tdx[0]
	if m.svn2[1] != 0 {
		levels := objects(n.identityOf(m.svn2[1])["tcbLevels"])
		enough = len(levels) > 0 && levels[0]["tcbStatus"] == "UpToDate" &&
			int(m.svn2[0]) >= int(levels[0]["tcb"].(map[string]any)["isvsvn"].(float64))
	}
	for _, holds := range []bool{
		qe == "UpToDate",
		sgx != "" && !strings.HasPrefix(sgx, "OutOfDate") && sgx != "Revoked",
		strings.HasPrefix(now, "OutOfDate"),
		m.svn[1] != 0 && module == "OutOfDate",
		enough,
		int(m.svn2[2]) >= tdx[2],
	} {
		if !holds {
			return ""
		}
	}
	if strings.Contains(sgx, "Configuration") || strings.Contains(now, "Configuration") {
		return "TDRelaunchAdvisedConfigurationNeeded"
	}
	return "TDRelaunchAdvised"
}

func (n naive) evaluate(m machine) outcome {
	o := outcome{Platform: n.level(m, true), Module: n.module(m.svn), QE: firstBelow(n.identity["tcbLevels"], int(m.qeSVN))}
	o.Whole = whole(o.Platform, o.Module, o.QE)
	o.Relaunch = n.relaunch(m, o.QE)
	o.IsModule = n.isModule(m)
	o.IsPlatform = strings.EqualFold(n.info["fmspc"].(string), m.fmspc)
	return o
}

// evaluate does the same with the package.
func evaluate(t testing.TB, info *pcs.TCBInfo, q *pcs.Identity, m machine) outcome {
	t.Helper()
	pck := &pcs.PCK{Components: m.sgx, PCESVN: m.pcesvn, CPUSVN: m.sgx}
	var signer [48]byte
	var attributes [8]byte
	for text, into := range map[string][]byte{m.fmspc: pck.FMSPC[:], m.mrSigner: signer[:], m.attributes: attributes[:]} {
		if n, err := hex.Decode(into, []byte(text)); err != nil || n != len(into) {
			t.Fatal(text)
		}
	}
	platform, err := info.MatchPlatform(pck, m.svn)
	module, _, merr := info.MatchModule(m.svn)
	qe, qerr := q.Match(report(m.qeSVN))
	if (err == nil) != (platform.Status != 0) || (merr == nil) != (module.Status != 0) || (qerr == nil) != (qe.Status != 0) {
		t.Fatalf("status and error disagree: %v %v, %v %v, %v %v", platform, err, module, merr, qe, qerr)
	}
	relaunch, _ := info.RelaunchAdvised(pck, m.svn, m.svn2, qe.Status)
	return outcome{
		name(platform.Status), name(module.Status), name(qe.Status),
		name(pcs.Converge(platform.Status, module.Status, qe.Status)), name(relaunch),
		info.CheckModule(m.svn, signer, attributes) == nil, info.CheckPlatform(pck) == nil,
	}
}

func name(s pcs.Status) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

// dice makes collateral and machines of small numbers, so that much is equal and
// much is off by one.
type dice struct{ *rand.Rand }

func (d dice) pick(all ...string) string { return all[d.IntN(len(all))] }

func (d dice) components(most int) (c [16]uint8) {
	for _, i := range []int{0, 1, 2, 7, 15} {
		c[i] = uint8(d.IntN(most))
	}
	return c
}

func (d dice) platformStatus() string {
	return d.pick("UpToDate", "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked")
}

func (d dice) svnLevels() (all []pcstest.SVNLevel) {
	svn := 2 + d.IntN(5)
	for svn >= 0 && len(all) < 3 {
		s := d.pick("UpToDate", "OutOfDate", "OutOfDate", "Revoked")
		if len(all) == 0 {
			s = d.pick("UpToDate", "UpToDate", "UpToDate", "OutOfDate", "Revoked")
		}
		all = append(all, pcstest.SVNLevel{ISVSVN: uint16(svn), Date: issued, Status: s})
		svn -= 1 + d.IntN(3)
	}
	return all
}

func (d dice) info() *pcstest.TCBInfo {
	info := pcstest.NewTCBInfo(issued, next)
	info.FMSPC = d.pick("90C06F000000", "90c06f000000")
	info.Module.MRSigner = strings.Repeat(d.pick("00", "AA"), 48)
	info.Modules = info.Modules[:0]
	for _, id := range []string{"TDX_01", d.pick("TDX_0a", "TDX_0A", "TDX_03")} {
		info.Modules = append(info.Modules, pcstest.Module{
			ID: id, MRSigner: strings.Repeat(d.pick("00", "aa"), 48),
			Attributes: d.pick("0000000000000000", "0000000000000000", "0000000000000001"),
			Mask:       d.pick("FFFFFFFFFFFFFFFF", "ffffffffffffff0f"), Levels: d.svnLevels(),
		})
	}
	info.Levels = info.Levels[:0]
	for range 1 + d.IntN(5) {
		info.Levels = append(info.Levels, pcstest.Level{SGX: d.components(3), TDX: d.components(3), PCESVN: uint16(d.IntN(3)), Date: issued, Status: d.platformStatus()})
	}
	slices.SortFunc(info.Levels, func(a, b pcstest.Level) int { return strings.Compare(order(b), order(a)) })
	info.Levels = slices.CompactFunc(info.Levels, func(a, b pcstest.Level) bool { return order(a) == order(b) })
	return info
}

// order is a level as text that sorts as Intel's library sorts levels.
func order(l pcstest.Level) string { return fmt.Sprintf("%x %04x %x", l.SGX, l.PCESVN, l.TDX) }

func (d dice) machine() machine {
	m := machine{
		sgx: d.components(4), pcesvn: uint16(d.IntN(4)), svn: d.components(4), svn2: d.components(4), qeSVN: uint16(d.IntN(7)),
		fmspc:      d.pick("90c06f000000", "90c06f000000", "90c06f000001"),
		mrSigner:   strings.Repeat(d.pick("00", "aa"), 48),
		attributes: d.pick("0000000000000000", "0000000000000000", "0000000000000001", "0000000000000080"),
	}
	if d.IntN(3) > 0 { // a good machine, but for its module
		for i := range m.sgx {
			m.sgx[i], m.pcesvn = 3, 3
		}
		m.svn[2], m.svn[7], m.svn[15] = 3, 3, 3
	}
	version := func() uint8 { return []uint8{0, 1, 1, 3, 10, 2}[d.IntN(6)] }
	m.svn[0], m.svn[1], m.svn2[0], m.svn2[1] = uint8(d.IntN(7)), version(), uint8(d.IntN(9)), version()
	return m
}

// TestDifferential compares the package with the naive evaluation on collateral
// and machines made by dice, and wants every outcome to have been seen.
func TestDifferential(t *testing.T) {
	d, signer, seen := dice{rand.New(rand.NewPCG(5, 2026))}, pcstest.NewSigner(t), map[string]int{}
	for range 400 {
		madeInfo, madeIdentity := d.info(), pcstest.NewIdentity(issued, next)
		madeIdentity.Levels = d.svnLevels()
		info, err := pcs.OpenTCBInfo(pcstest.Sign(t, signer.Key, madeInfo.JSON()), signer.Certificate)
		if err != nil {
			t.Fatalf("%v\n%s", err, madeInfo.JSON())
		}
		q, err := pcs.OpenIdentity(pcstest.Sign(t, signer.Key, madeIdentity.JSON()), signer.Certificate)
		if err != nil {
			t.Fatalf("%v\n%s", err, madeIdentity.JSON())
		}
		n := parseNaive(t, madeInfo.JSON(), madeIdentity.JSON())
		for range 50 {
			m := d.machine()
			want, got := n.evaluate(m), evaluate(t, info, q, m)
			if got != want {
				t.Fatalf("got  %+v\nwant %+v\nmachine %+v\n%s\n%s", got, want, m, madeInfo.JSON(), madeIdentity.JSON())
			}
			for field, value := range map[string]any{
				"platform": want.Platform, "module": want.Module, "qe": want.QE, "whole": want.Whole,
				"relaunch": want.Relaunch, "is module": want.IsModule, "is platform": want.IsPlatform,
			} {
				seen[fmt.Sprint(field, " ", value)]++
			}
		}
	}
	want := []string{"is module true", "is module false", "is platform true", "is platform false", "platform ", "module ", "qe ", "whole ", "relaunch ", "relaunch TDRelaunchAdvised", "relaunch TDRelaunchAdvisedConfigurationNeeded"}
	for _, s := range pcs.Statuses()[:7] {
		want = append(want, "platform "+s, "whole "+s)
	}
	for _, s := range []string{"UpToDate", "OutOfDate", "Revoked"} {
		want = append(want, "module "+s, "qe "+s)
	}
	for _, w := range want {
		if seen[w] < 20 {
			t.Errorf("%q was seen %d times", w, seen[w])
		}
	}
	t.Log(seen)
}

// TestOrderRequired: levels in any other order, and a level twice, are refused.
func TestOrderRequired(t *testing.T) {
	d, signer, refused := dice{rand.New(rand.NewPCG(6, 2026))}, pcstest.NewSigner(t), 0
	for range 500 {
		info := d.info()
		if d.IntN(4) == 0 {
			info.Levels = append(info.Levels, info.Levels[d.IntN(len(info.Levels))])
		}
		d.Shuffle(len(info.Levels), func(i, j int) { info.Levels[i], info.Levels[j] = info.Levels[j], info.Levels[i] })
		descending := true
		for i := 1; i < len(info.Levels); i++ {
			descending = descending && order(info.Levels[i-1]) > order(info.Levels[i])
		}
		_, err := pcs.OpenTCBInfo(pcstest.Sign(t, signer.Key, info.JSON()), signer.Certificate)
		if (err == nil) != descending {
			t.Fatalf("descending %t, %v\n%s", descending, err, info.JSON())
		}
		refused += b2i(err != nil)
	}
	if refused < 100 || refused > 450 {
		t.Errorf("%d of 500 refused", refused)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
