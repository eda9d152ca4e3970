package differential

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sevabi "github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	tdxpcs "github.com/google/go-tdx-guest/pcs"
	tdxverify "github.com/google/go-tdx-guest/verify"
	"github.com/google/go-tpm-tools/proto/attest"
	"github.com/google/go-tpm-tools/server"
	"github.com/google/go-tpm/legacy/tpm2"
	"google.golang.org/protobuf/proto"

	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/gce"
	"safebox/verifier/transcript"
)

// text writes a value as both sides' fields are compared.
func text(v any) string {
	if b, ok := v.([]byte); ok {
		return hex.EncodeToString(b)
	}
	return fmt.Sprint(v)
}

// TestReportFields compares what both decoders read in SEV-SNP reports.
func TestReportFields(t *testing.T) {
	for _, c := range snpReals(t) {
		r, err := snp.Decode(c.report)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		p, err := sevabi.ReportToProto(c.report)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		raw := func(tcb snp.TCB) uint64 { return binary.LittleEndian.Uint64(tcb.Raw[:]) }
		family, model, stepping := sevabi.FmsFromCpuid1Eax(p.GetCpuid1EaxFms())
		ours := map[string]string{
			"version": text(r.Version), "guest SVN": text(r.GuestSVN), "policy": text(uint64(r.Policy)), "family ID": text(r.FamilyID[:]),
			"image ID": text(r.ImageID[:]), "VMPL": text(r.VMPL), "algorithm": text(r.SignatureAlgorithm), "platform": text(uint64(r.Platform)),
			"signer": text(uint32(r.Signer)), "report data": text(r.ReportData[:]), "measurement": text(r.Measurement[:]), "host data": text(r.HostData[:]),
			"ID key": text(r.IDKeyDigest[:]), "author key": text(r.AuthorKeyDigest[:]), "report ID": text(r.ReportID[:]), "report ID of the agent": text(r.ReportIDMA[:]),
			"chip": text(r.ChipID[:]), "CPUID": r.CPUID.String(), "current TCB": text(raw(r.Current)), "reported TCB": text(raw(r.Reported)),
			"committed TCB": text(raw(r.Committed)), "launch TCB": text(raw(r.Launch)), "firmware": r.CurrentFirmware.String(),
			"committed firmware": r.CommittedFirmware.String(), "mitigations": text([]uint64{r.LaunchMitigations, r.CurrentMitigations}),
		}
		theirs := map[string]string{
			"version": text(p.Version), "guest SVN": text(p.GuestSvn), "policy": text(p.Policy), "family ID": text(p.FamilyId),
			"image ID": text(p.ImageId), "VMPL": text(p.Vmpl), "algorithm": text(p.SignatureAlgo), "platform": text(p.PlatformInfo),
			"signer": text(p.SignerInfo), "report data": text(p.ReportData), "measurement": text(p.Measurement), "host data": text(p.HostData),
			"ID key": text(p.IdKeyDigest), "author key": text(p.AuthorKeyDigest), "report ID": text(p.ReportId), "report ID of the agent": text(p.ReportIdMa),
			"chip": text(p.ChipId), "CPUID": snp.CPUID{Family: family, Model: model, Stepping: stepping}.String(), "current TCB": text(p.CurrentTcb),
			"reported TCB": text(p.ReportedTcb), "committed TCB": text(p.CommittedTcb), "launch TCB": text(p.LaunchTcb),
			"firmware":           fmt.Sprintf("%d.%d.%d", p.CurrentMajor, p.CurrentMinor, p.CurrentBuild),
			"committed firmware": fmt.Sprintf("%d.%d.%d", p.CommittedMajor, p.CommittedMinor, p.CommittedBuild),
			"mitigations":        text([]uint64{p.LaunchMitVector, p.CurrentMitVector}),
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: (-theirs +ours):\n%s", c.name, diff)
		}
		for _, tcb := range []snp.TCB{r.Current, r.Reported, r.Committed, r.Launch} {
			compareTCB(t, c.name, tcb)
		}
	}
}

// compareTCB compares the components of a TCB. The library knows one layout,
// which is not Turin's.
func compareTCB(t *testing.T, name string, tcb snp.TCB) {
	t.Helper()
	p := kds.DecomposeTCBVersion(kds.TCBVersion(binary.LittleEndian.Uint64(tcb.Raw[:])))
	same := [4]uint8{tcb.Bootloader, tcb.TEE, tcb.SNP, tcb.Microcode} == [4]uint8{p.BlSpl, p.TeeSpl, p.SnpSpl, p.UcodeSpl}
	if turin := tcb.Product == snp.Turin; same == turin {
		t.Errorf("%s: TCB %v, theirs %+v", name, tcb, p)
	}
}

// TestLeafFields compares what both read in the certificates of signing keys.
func TestLeafFields(t *testing.T) {
	_, p := profileTest(t, transcript.SNP)
	compared := 0
	for _, c := range snpReals(t) {
		leaf := leafOf(c.input(&p.SNP))
		if leaf == nil {
			continue
		}
		ours, err := snp.ParseLeaf(leaf)
		if strings.HasPrefix(c.name, "turin") {
			if _, theirs := kds.VcekCertificateExtensions(leaf); theirs == nil || err != nil {
				t.Errorf("%s: ours %v, theirs %v: SNP-C4 of differences.txt", c.name, err, theirs)
			}
			continue
		}
		key := sevabi.VcekReportSigner
		if c.name == "vlek" {
			key = sevabi.VlekReportSigner
		}
		theirs, theirErr := kds.CertificateExtensions(leaf, key)
		if c.name == "vcek-invalid-new" && err != nil && theirErr == nil {
			continue // HWID in an OCTET STRING: SNP-C4 of differences.txt
		}
		if err != nil || theirErr != nil {
			t.Errorf("%s: ours %v, theirs %v", c.name, err, theirErr)
			continue
		}
		compared++
		want := fmt.Sprintf("%d %s %016x %x %q", theirs.StructVersion, theirs.ProductName, uint64(theirs.TCBVersion), theirs.HWID, theirs.CspID)
		got := fmt.Sprintf("%d %s %016x %x %q", ours.StructVersion, ours.ProductName, binary.LittleEndian.Uint64(ours.TCB.Raw[:]), ours.HWID, ours.CSPID)
		if got != want {
			t.Errorf("%s: got %s, theirs %s", c.name, got, want)
		}
	}
	if compared < 7 {
		t.Errorf("%d certificates compared", compared)
	}
}

// TestQuoteFields compares what both decoders read in TDX quotes of version 4 and
// in the PCK certificates of all.
func TestQuoteFields(t *testing.T) {
	compared := 0
	for _, c := range tdxReals(t) {
		q, err := tdx.Decode(c.quote)
		p, theirErr := protoV4(c.quote)
		if err != nil || theirErr != nil {
			continue // TestTDX has it
		}
		compared++
		b, o := &q.Body, p.TdQuoteBody
		attributes := b.TDAttributes.Bytes()
		d, s := &q.Data, p.SignedData
		qe := s.CertificationData.QeReportCertificationData
		ours := map[string]string{
			"version": text(q.Header.Version), "QE vendor": text(q.Header.QEVendor[:]), "user data": text(q.Header.UserData[:]),
			"TEE_TCB_SVN": text(b.TEETCBSVN[:]), "MRSEAM": text(b.MRSEAM[:]), "MRSIGNERSEAM": text(b.MRSignerSEAM[:]), "SEAMATTRIBUTES": text(b.SEAMAttributes[:]),
			"TDATTRIBUTES": text(attributes[:]), "XFAM": text(b.XFAM), "MRTD": text(b.MRTD[:]), "MRCONFIGID": text(b.MRConfigID[:]), "MROWNER": text(b.MROwner[:]),
			"MROWNERCONFIG": text(b.MROwnerConfig[:]), "RTMR0": text(b.RTMR[0][:]), "RTMR1": text(b.RTMR[1][:]), "RTMR2": text(b.RTMR[2][:]), "RTMR3": text(b.RTMR[3][:]),
			"report data": text(b.ReportData[:]), "signature": text(d.Signature[:]), "key": text(d.Key[:]), "QE signature": text(d.QESignature[:]),
			"QE authentication data": text(d.AuthData), "MRSIGNER of the QE": text(d.Report.MRSigner[:]), "MRENCLAVE of the QE": text(d.Report.MREnclave[:]),
			"ISVSVN of the QE": text(d.Report.ISVSVN), "ISVPRODID of the QE": text(d.Report.ISVProdID), "report data of the QE": text(d.Report.ReportData[:]),
			"attributes of the QE": text(d.Report.Attributes[:]), "chain": text(d.Chain),
		}
		theirs := map[string]string{
			"version": text(p.Header.Version), "QE vendor": text(p.Header.QeVendorId), "user data": text(p.Header.UserData),
			"TEE_TCB_SVN": text(o.TeeTcbSvn), "MRSEAM": text(o.MrSeam), "MRSIGNERSEAM": text(o.MrSignerSeam), "SEAMATTRIBUTES": text(o.SeamAttributes),
			"TDATTRIBUTES": text(o.TdAttributes), "XFAM": text(binary.LittleEndian.Uint64(o.Xfam)), "MRTD": text(o.MrTd), "MRCONFIGID": text(o.MrConfigId), "MROWNER": text(o.MrOwner),
			"MROWNERCONFIG": text(o.MrOwnerConfig), "RTMR0": text(o.Rtmrs[0]), "RTMR1": text(o.Rtmrs[1]), "RTMR2": text(o.Rtmrs[2]), "RTMR3": text(o.Rtmrs[3]),
			"report data": text(o.ReportData), "signature": text(s.Signature), "key": text(s.EcdsaAttestationKey), "QE signature": text(qe.QeReportSignature),
			"QE authentication data": text(qe.QeAuthData.Data), "MRSIGNER of the QE": text(qe.QeReport.MrSigner), "MRENCLAVE of the QE": text(qe.QeReport.MrEnclave),
			"ISVSVN of the QE": text(qe.QeReport.IsvSvn), "ISVPRODID of the QE": text(qe.QeReport.IsvProdId), "report data of the QE": text(qe.QeReport.ReportData),
			"attributes of the QE": text(qe.QeReport.Attributes), "chain": text(qe.PckCertificateChainData.PckCertChain),
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: (-theirs +ours):\n%s", c.name, diff)
		}
	}
	if compared < 7 {
		t.Errorf("%d quotes compared", compared)
	}
}

// TestPCKFields compares what both read in the SGX extension.
func TestPCKFields(t *testing.T) {
	compared := 0
	for _, c := range tdxReals(t) {
		chain := quoteChain(c.quote)
		if len(chain) == 0 {
			continue
		}
		compared++
		ours, err := pcs.ParseSGXExtension(chain[0])
		theirs, theirErr := tdxpcs.PckCertificateExtensions(chain[0])
		if err != nil || theirErr != nil {
			t.Errorf("%s: ours %v, theirs %v", c.name, err, theirErr)
			continue
		}
		got := fmt.Sprintf("%x %x %x %x %x %d", ours.PPID, ours.FMSPC, ours.PCEID, ours.CPUSVN, ours.Components, ours.PCESVN)
		want := fmt.Sprintf("%s %s %s %x %x %d", theirs.PPID, theirs.FMSPC, theirs.PCEID, theirs.TCB.CPUSvn, theirs.TCB.CPUSvnComponents, theirs.TCB.PCESvn)
		if got != want {
			t.Errorf("%s: got %s, theirs %s", c.name, got, want)
		}
	}
	if compared < 10 {
		t.Errorf("%d certificates compared", compared)
	}
}

// TestTCBStatus compares the levels that both find: of the TDX module where it
// has levels of its own, else of the platform, and of the quoting enclave.
func TestTCBStatus(t *testing.T) {
	_, p := profileTest(t, transcript.TDX)
	inputs := map[string]tdx.Input{}
	for _, c := range tdxReals(t) {
		if c.name == "dcap" {
			inputs[c.name] = c.input(&p.TDX)
		}
	}
	for name, change := range map[string]func(e *tdxtest.Evidence){
		"made":                       func(*tdxtest.Evidence) {},
		"made, module of TDX 1.0":    oldModule,
		"made, platform of Needed":   func(e *tdxtest.Evidence) { oldModule(e); e.Info.Levels[0].Status = "SWHardeningNeeded" },
		"made, older platform":       func(e *tdxtest.Evidence) { oldModule(e); e.Extension.PCESVN = 12 },
		"made, older module":         func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN[0] = 6 },
		"made, older enclave":        func(e *tdxtest.Evidence) { e.Quote.Data.Report.ISVSVN = 3 },
		"made, module of version 03": func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN = [16]byte{5, 3, 2} },
	} {
		e := tdxtest.New(t, tdx.V4)
		asIntels(e)
		change(e)
		inputs[name] = e.Input(t)
	}
	for _, name := range sorted(inputs) {
		compareStatus(t, name, inputs[name])
	}
}

func compareStatus(t *testing.T, name string, in tdx.Input) {
	t.Helper()
	quote, err := protoV4(in.Quote)
	if err != nil {
		t.Fatal(err)
	}
	options := tdxOptions(in, serviceOf(in))
	_ = tdxverify.TdxQuote(quote, options) // refuses what is not UpToDate, after it has put the documents into options
	module, enclave, err := tdxverify.SupportedTcbLevelsFromCollateral(quote, options)
	if err != nil {
		t.Errorf("%s: theirs: %v", name, err)
		return
	}
	q, err := tdx.Decode(in.Quote)
	if err != nil {
		t.Fatal(err)
	}
	signer := in.Endorsements.Certificates[slices.IndexFunc(in.Endorsements.Certificates, func(c *x509.Certificate) bool {
		return strings.HasSuffix(c.Subject.CommonName, " Signing")
	})]
	info, err := pcs.OpenTCBInfo(in.Endorsements.TCBInfos[0], signer)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pcs.OpenIdentity(in.Endorsements.Identities[0], signer)
	if err != nil {
		t.Fatal(err)
	}
	pck, err := pcs.ParseSGXExtension(quoteChain(in.Quote)[0])
	if err != nil {
		t.Fatal(err)
	}
	ours, own, err := info.MatchModule(q.Body.TEETCBSVN)
	if err == nil && !own {
		ours, err = info.MatchPlatform(pck, q.Body.TEETCBSVN)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	report := [pcs.ReportSize]byte(q.Data.Report.Encode())
	qe, err := identity.Match(&report)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got := fmt.Sprintf("%v of %v, enclave %v of %v", ours.Status, ours.Date.Format(time.RFC3339), qe.Status, qe.Date.Format(time.RFC3339))
	want := fmt.Sprintf("%v of %v, enclave %v of %v", module.TcbStatus, module.TcbDate, enclave.TcbStatus, enclave.TcbDate)
	if got != want {
		t.Errorf("%s: got %s, theirs %s", name, got, want)
	}
}

// TestTPMFields compares what both read in Google's attestations.
func TestTPMFields(t *testing.T) {
	for _, name := range []string{gceNonce, gceNoNonce} {
		theirs := &attest.Attestation{}
		if err := proto.Unmarshal(read(t, name), theirs); err != nil {
			t.Fatal(err)
		}
		ours, err := gce.Decode(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(ours.Quotes) != len(theirs.Quotes) || len(ours.Quotes) != 3 {
			t.Fatalf("%s: %d quotes, theirs %d", name, len(ours.Quotes), len(theirs.Quotes))
		}
		for i, q := range ours.Quotes {
			compareQuote(t, fmt.Sprintf("%s: quote %d", name, i), q, theirs.Quotes[i].Quote)
			for index, v := range theirs.Quotes[i].Pcrs.Pcrs {
				if text(q.Values[int(index)]) != text(v) || len(q.Values) != 24 {
					t.Errorf("%s: register %d: %x, theirs %x", name, index, q.Values[int(index)], v)
				}
			}
		}
		compareKey(t, name, ours, theirs)
	}
}

func compareQuote(t *testing.T, name string, q gce.Quote, raw []byte) {
	t.Helper()
	theirs, err := tpm2.DecodeAttestationData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if q.Bank == 4 {
		return // SHA-1, which our decoder refuses
	}
	ours, err := tpm.DecodeAttest(q.Attest)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	info := theirs.AttestedQuoteInfo
	got := fmt.Sprintf("%x %d %d %d %t %x %v %#x %x", ours.ExtraData, ours.Clock, ours.ResetCount, ours.RestartCount, ours.Safe, ours.Firmware, ours.PCRs, uint16(ours.Bank), ours.PCRDigest)
	want := fmt.Sprintf("%x %d %d %d %t %x %v %#x %x", []byte(theirs.ExtraData), theirs.ClockInfo.Clock, theirs.ClockInfo.ResetCount, theirs.ClockInfo.RestartCount,
		theirs.ClockInfo.Safe == 1, theirs.FirmwareVersion, info.PCRSelection.PCRs, uint16(info.PCRSelection.Hash), []byte(info.PCRDigest))
	if got != want {
		t.Errorf("%s: got %s, theirs %s", name, got, want)
	}
}

func compareKey(t *testing.T, name string, ours *gce.Attestation, theirs *attest.Attestation) {
	t.Helper()
	area, err := tpm2.DecodePublic(theirs.AkPub)
	if err != nil {
		t.Fatal(err)
	}
	public, err := area.Key()
	if err != nil {
		t.Fatal(err)
	}
	key, ok := public.(*rsa.PublicKey)
	p, err := tpm.DecodePublic(ours.AKPublic)
	if err != nil || !ok || text(p.Modulus) != text(key.N.Bytes()) || uint32(p.Attributes) != uint32(area.Attributes) {
		t.Errorf("%s: key: %v, %T", name, err, public)
	}
	if len(ours.AKCertificate) == 0 {
		return
	}
	c, err := x509.ParseCertificate(ours.AKCertificate)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gce.CertificateInstance(c)
	if err != nil {
		t.Fatal(err)
	}
	want, err := server.GetGCEInstanceInfo(c)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Project, got.ProjectNumber, got.Zone, got.Name, got.ID) != fmt.Sprint(want.ProjectId, want.ProjectNumber, want.Zone, want.InstanceName, want.InstanceId) {
		t.Errorf("%s: instance %+v, theirs %v", name, got, want)
	}
}
