package attested

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"safebox/image/inspect/tree"
	"safebox/verifier/tdx"
)

// Fields of a quote's header by which it is recognised (Intel TDX DCAP Quoting
// Library API, rev. 0.9, appendix A.3.1). Version 3 is of SGX and has reserved
// bytes in place of the TEE type.
const (
	quoteHeader  = 48
	vendorOffset = 12
	lowVersion   = 3
	highVersion  = 15 // the reader refuses by their number those that it does not know
	teeSGX       = 0
	teeTDX       = 0x81
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// isQuote looks at the header's version, attestation key type and TEE type.
func isQuote(b []byte, tee uint32) bool {
	if len(b) < quoteHeader {
		return false
	}
	le := binary.LittleEndian
	version, key := le.Uint16(b), le.Uint16(b[2:])
	return version >= lowVersion && version <= highVersion && (key == 2 || key == 3) && le.Uint32(b[4:]) == tee
}

func isTDX(b []byte) bool { return isQuote(b, teeTDX) }

// isSGX wants Intel's name too: zeros alone tell little.
func isSGX(b []byte) bool {
	return isQuote(b, teeSGX) && hexOf(b[vendorOffset:vendorOffset+16]) == tdx.QEVendorIntel
}

// sgxQuote tells a quote of an enclave from that of a TD. No verifier here reads
// the rest.
func sgxQuote(b []byte) ([]tree.Item, error) {
	le := binary.LittleEndian
	return []tree.Item{
		unverified(),
		tree.New("tee", "SGX enclave: not the quote of a TD, which safebox verify quote refuses"),
		tree.New("version", "%d", le.Uint16(b)),
		tree.New("attestation_key_type", "%d", le.Uint16(b[2:])),
		tree.New("qe_svn", "%d", le.Uint16(b[8:])),
		tree.New("pce_svn", "%d", le.Uint16(b[10:])),
		tree.New("qe_vendor", "%x, Intel", b[vendorOffset:vendorOffset+16]),
	}, nil
}

func tdxQuote(b []byte) ([]tree.Item, error) {
	q, err := tdx.Decode(b)
	if err != nil {
		return nil, err
	}
	vendor := "unknown"
	if hexOf(q.Header.QEVendor[:]) == tdx.QEVendorIntel {
		vendor = "Intel"
	}
	items := []tree.Item{
		unverified(),
		tree.New("form", "%v", q.Form),
		tree.New("version", "%d", q.Header.Version),
		tree.New("attestation_key_type", "%d, ECDSA P-256", q.Header.AttestationKeyType),
		tree.New("tee", "%#x, TDX", q.Header.TEEType),
		tree.New("qe_vendor", "%x, %s", q.Header.QEVendor, vendor),
		tree.New("qe_user_data", "%x", q.Header.UserData),
	}
	items = append(items, tdxBody(&q.Body, q.Form)...)
	return append(items, enclave(&q.Data.Report), tree.Group("signature_data",
		tree.New("signature", "%x", q.Data.Signature),
		tree.New("attestation_key", "%x", q.Data.Key),
		tree.New("qe_signature", "%x", q.Data.QESignature),
		tree.Bytes("qe_auth_data", q.Data.AuthData),
	), pckChain(q.Data.Chain), tree.New("padding", "%d bytes of zeros", q.Padding)), nil
}

func tdxBody(v *tdx.Body, form tdx.Form) []tree.Item {
	items := []tree.Item{
		svn("tee_tcb_svn", v.TEETCBSVN),
		tree.New("mrseam", "%x", v.MRSEAM),
		tree.New("mrsignerseam", "%s", orZero(v.MRSignerSEAM, "Intel")),
		tree.New("seam_attributes", "%x", v.SEAMAttributes),
		tdAttributes(v.TDAttributes),
		xfam(v.XFAM),
		tree.New("mrtd", "%x", v.MRTD),
		tree.New("mrconfigid", "%x", v.MRConfigID),
		tree.New("mrowner", "%x", v.MROwner),
		tree.New("mrownerconfig", "%x", v.MROwnerConfig),
	}
	for i, r := range v.RTMR {
		items = append(items, tree.New(fmt.Sprintf("rtmr%d", i), "%x", r))
	}
	items = append(items, tree.New("report_data", "%x", v.ReportData))
	if form != tdx.V5Body15 {
		return append(items,
			tree.New("tee_tcb_svn2", "not in a body of TDX 1.0"), tree.New("mrservicetd", "not in a body of TDX 1.0"))
	}
	return append(items, svn("tee_tcb_svn2", v.TEETCBSVN2),
		tree.New("mrservicetd", "%s", orZero(v.MRServiceTD, "no service TD is bound")))
}

// svn names the first three of the 16 security versions (Intel TDX Module 1.5
// ABI, TEE_TCB_SVN); the others are reserved.
func svn(name string, v [16]byte) tree.Item {
	item := tree.New(name, "TDX module SVN %d, TDX module version %d, SEAM loader SVN %d", v[0], v[1], v[2])
	item.Items = []tree.Item{tree.New("raw", "%x", v)}
	return item
}

func orZero(v [48]byte, meaning string) string {
	if v == [48]byte{} {
		return "zero: " + meaning
	}
	return hexOf(v[:])
}

// tdAttributes says for each bit that has a name what it means (Intel TDX Module
// 1.5 ABI, ATTRIBUTES).
func tdAttributes(a tdx.Attributes) tree.Item {
	item := tree.New("td_attributes", "%v", a)
	rest := a
	for _, b := range []struct {
		bit              tdx.Attributes
		name, set, unset string
	}{
		{tdx.Debug, "DEBUG", "the host may read and change the guest", "no debugging by the host"},
		{tdx.SEPTVEDisable, "SEPT_VE_DISABLE", "a missing page ends the guest", "a missing page is an exception in the guest"},
		{tdx.Migratable, "MIGRATABLE", "a service TD may migrate the guest", "the guest cannot migrate"},
		{tdx.PKS, "PKS", "supervisor protection keys are on", "supervisor protection keys are off"},
		{tdx.KeyLocker, "KL", "Key Locker is on", "Key Locker is off"},
		{tdx.PerfMon, "PERFMON", "performance counters are the guest's", "performance counters are not the guest's"},
	} {
		value, text := 0, b.unset
		if a&b.bit != 0 {
			value, text = 1, b.set
		}
		rest &^= b.bit
		item.Items = append(item.Items, tree.New(b.name, "%d, %s", value, text))
	}
	if rest != 0 {
		item.Items = append(item.Items, tree.New("others", "%#x", uint64(rest)))
	}
	return item
}

// xfam names the features (Intel SDM, volume 1, sections 13.1 and 13.5.2: state
// components of XCR0 and IA32_XSS).
func xfam(v uint64) tree.Item {
	item := tree.New("xfam", "%x", binary.LittleEndian.AppendUint64(nil, v))
	names := [...]string{
		"x87", "SSE", "AVX", "MPX bounds", "MPX configuration", "AVX-512 masks", "AVX-512 ZMM high halves", "AVX-512 ZMM16 to 31",
		"processor trace", "PKRU", "PASID", "CET user", "CET supervisor", "HDC", "user interrupts", "last branch records", "HWP",
		"AMX tile configuration", "AMX tile data", "APX",
	}
	var on []string
	for i, name := range names {
		if v&(1<<i) != 0 {
			on = append(on, name)
		}
	}
	item.Items = []tree.Item{tree.New("features", "%s", strings.Join(on, ", "))}
	if rest := v >> len(names) << len(names); rest != 0 {
		item.Items = append(item.Items, tree.New("others", "%#x", rest))
	}
	return item
}

// enclave describes the quoting enclave.
func enclave(r *tdx.EnclaveReport) tree.Item {
	return tree.Group("qe_report",
		tree.New("cpusvn", "%x", r.CPUSVN),
		tree.New("miscselect", "%08x", r.MiscSelect),
		tree.New("attributes", "%x", r.Attributes),
		tree.New("mrenclave", "%x", r.MREnclave),
		tree.New("mrsigner", "%x", r.MRSigner),
		tree.New("isvprodid", "%d", r.ISVProdID),
		tree.New("isvsvn", "%d", r.ISVSVN),
		tree.New("report_data", "%x", r.ReportData),
	)
}
