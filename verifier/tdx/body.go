package tdx

import "encoding/binary"

// Sizes of bodies (Intel TDX DCAP Quoting Library API, rev. 0.9, A.3.2: TD
// Quote Body).
const (
	bodySize10 = 584
	bodySize15 = 648
)

// Body is what the TDX module says about a TD: the TD report's measurements.
type Body struct {
	TEETCBSVN      [16]byte // SVNs of the TDX module (0, 1) and of what loads it, when the TD was launched
	MRSEAM         [48]byte // digest of the TDX module
	MRSignerSEAM   [48]byte // signer of the TDX module; zeros for Intel's
	SEAMAttributes [8]byte
	TDAttributes   Attributes
	XFAM           uint64 // extended features that the TD may use, as in XCR0 and IA32_XSS
	MRTD           [48]byte
	MRConfigID     [48]byte
	MROwner        [48]byte
	MROwnerConfig  [48]byte
	RTMR           [4][48]byte
	ReportData     [64]byte

	// A body of TDX 1.5 alone has these two.
	TEETCBSVN2  [16]byte // SVNs of now, after updates that the TD was kept through
	MRServiceTD [48]byte // digest of bound service TDs; zeros if there are none
}

// Attributes are a TD's (Intel TDX Module ABI Reference, ATTRIBUTES).
type Attributes uint64

// The bits of attributes that are named here.
const (
	Debug         Attributes = 1 << 0 // the host can read and write the TD
	underDebug    Attributes = 0xff   // TUD: every bit of it makes a TD untrusted
	SEPTVEDisable Attributes = 1 << 28
	Migratable    Attributes = 1 << 29
	PKS           Attributes = 1 << 30
	KeyLocker     Attributes = 1 << 31
	PerfMon       Attributes = 1 << 63
)

// Bytes gives the attributes as they stand in the body.
func (a Attributes) Bytes() [8]byte { return [8]byte(binary.LittleEndian.AppendUint64(nil, uint64(a))) }

// decodeBody reads a body of 584 or 648 bytes:
//
//	TEE_TCB_SVN       16 bytes    0
//	MRSEAM            48 bytes   16
//	MRSIGNERSEAM      48 bytes   64
//	SEAMATTRIBUTES     8 bytes  112
//	TDATTRIBUTES       8 bytes  120
//	XFAM               8 bytes  128
//	MRTD              48 bytes  136
//	MRCONFIGID        48 bytes  184
//	MROWNER           48 bytes  232
//	MROWNERCONFIG     48 bytes  280
//	RTMR0 to RTMR3    48 bytes  328, 376, 424, 472
//	REPORTDATA        64 bytes  520
//	TEE_TCB_SVN2      16 bytes  584  (TDX 1.5)
//	MRSERVICETD       48 bytes  600  (TDX 1.5)
func decodeBody(b []byte) Body {
	le := binary.LittleEndian
	v := Body{
		TEETCBSVN: [16]byte(b), MRSEAM: [48]byte(b[16:]), MRSignerSEAM: [48]byte(b[64:]),
		SEAMAttributes: [8]byte(b[112:]), TDAttributes: Attributes(le.Uint64(b[120:])), XFAM: le.Uint64(b[128:]),
		MRTD: [48]byte(b[136:]), MRConfigID: [48]byte(b[184:]), MROwner: [48]byte(b[232:]), MROwnerConfig: [48]byte(b[280:]),
		ReportData: [64]byte(b[520:]),
	}
	for i := range v.RTMR {
		v.RTMR[i] = [48]byte(b[328+48*i:])
	}
	if len(b) == bodySize15 {
		v.TEETCBSVN2, v.MRServiceTD = [16]byte(b[584:]), [48]byte(b[600:])
	}
	return v
}

// append is the inverse of decodeBody.
func (v *Body) append(b []byte, form Form) []byte {
	le := binary.LittleEndian
	b = append(b, v.TEETCBSVN[:]...)
	b = append(b, v.MRSEAM[:]...)
	b = append(b, v.MRSignerSEAM[:]...)
	b = append(b, v.SEAMAttributes[:]...)
	b = le.AppendUint64(b, uint64(v.TDAttributes))
	b = le.AppendUint64(b, v.XFAM)
	b = append(b, v.MRTD[:]...)
	b = append(b, v.MRConfigID[:]...)
	b = append(b, v.MROwner[:]...)
	b = append(b, v.MROwnerConfig[:]...)
	for i := range v.RTMR {
		b = append(b, v.RTMR[i][:]...)
	}
	b = append(b, v.ReportData[:]...)
	if form == V5Body15 {
		b = append(b, v.TEETCBSVN2[:]...)
		b = append(b, v.MRServiceTD[:]...)
	}
	return b
}
