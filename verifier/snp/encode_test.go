package snp_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// hexBytes reads hex in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) error {
	var err error
	*h, err = hex.DecodeString(string(b))
	return err
}

// encode writes a report by the offsets of AMD 56860, 7.3, so that what Decode
// reads can be compared with all it was given.
func encode(r *snp.Report) []byte {
	b := make([]byte, snp.Size)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	version := func(at int, v snppolicy.Version) { b[at], b[at+1], b[at+2] = v.Build, v.Minor, v.Major }
	word := func(at int, v [48]byte) {
		slices.Reverse(v[:])
		copy(b[at:], v[:])
	}
	put32(0, r.Version)
	put32(4, r.GuestSVN)
	put64(8, uint64(r.Policy))
	copy(b[0x10:], r.FamilyID[:])
	copy(b[0x20:], r.ImageID[:])
	put32(0x30, r.VMPL)
	put32(0x34, r.SignatureAlgorithm)
	copy(b[0x38:], r.Current.Raw[:])
	put64(0x40, uint64(r.Platform))
	put32(0x48, uint32(r.Signer))
	copy(b[0x50:], r.ReportData[:])
	copy(b[0x90:], r.Measurement[:])
	copy(b[0xc0:], r.HostData[:])
	copy(b[0xe0:], r.IDKeyDigest[:])
	copy(b[0x110:], r.AuthorKeyDigest[:])
	copy(b[0x140:], r.ReportID[:])
	copy(b[0x160:], r.ReportIDMA[:])
	copy(b[0x180:], r.Reported.Raw[:])
	if r.Version >= 3 {
		b[0x188], b[0x189], b[0x18a] = r.CPUID.Family, r.CPUID.Model, r.CPUID.Stepping
	}
	copy(b[0x1a0:], r.ChipID[:])
	copy(b[0x1e0:], r.Committed.Raw[:])
	version(0x1e8, r.CurrentFirmware)
	version(0x1ec, r.CommittedFirmware)
	copy(b[0x1f0:], r.Launch.Raw[:])
	if r.Version >= 5 {
		put64(0x1f8, r.LaunchMitigations)
		put64(0x200, r.CurrentMitigations)
	}
	word(0x2a0, r.SignatureR)
	word(0x2e8, r.SignatureS)
	return b
}

// e2eReport builds the report that trustee's evidence has as parsed JSON.
func e2eReport(t testing.TB, b []byte) []byte {
	t.Helper()
	type tcb struct{ Bootloader, TEE, SNP, Microcode byte }
	type version struct{ Major, Minor, Build byte }
	var e struct {
		Report struct {
			Version     uint32
			SVN         uint32 `json:"guest_svn"`
			Policy      uint64
			Family      []int `json:"family_id"`
			Image       []int `json:"image_id"`
			VMPL        uint32
			Algorithm   uint32 `json:"sig_algo"`
			CurrentTCB  tcb    `json:"current_tcb"`
			Platform    uint64 `json:"plat_info"`
			Key         uint32 `json:"key_info"`
			ReportData  []int  `json:"report_data"`
			Measurement []int
			HostData    []int `json:"host_data"`
			IDKey       []int `json:"id_key_digest"`
			Author      []int `json:"author_key_digest"`
			ID          []int `json:"report_id"`
			IDMA        []int `json:"report_id_ma"`
			Reported    tcb   `json:"reported_tcb"`
			Family8     byte  `json:"cpuid_fam_id"`
			Model8      byte  `json:"cpuid_mod_id"`
			Stepping8   byte  `json:"cpuid_step"`
			Chip        []int `json:"chip_id"`
			CommitTCB   tcb   `json:"committed_tcb"`
			Current     version
			Committed   version
			Launch      tcb `json:"launch_tcb"`
			Signature   struct{ R, S []int }
		} `json:"attestation_report"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	j := e.Report
	raw := func(v tcb) snp.TCB {
		return snp.TCB{Raw: [8]byte{v.Bootloader, v.TEE, 0, 0, 0, 0, v.SNP, v.Microcode}}
	}
	number := func(list []int) [48]byte {
		n := [48]byte(octets(list)[:48])
		slices.Reverse(n[:])
		return n
	}
	return encode(&snp.Report{
		Version: j.Version, GuestSVN: j.SVN, FamilyID: [16]byte(octets(j.Family)), ImageID: [16]byte(octets(j.Image)),
		VMPL: j.VMPL, SignatureAlgorithm: j.Algorithm, Current: raw(j.CurrentTCB), Platform: snp.PlatformInfo(j.Platform),
		Policy: 0x30000, Signer: snp.SignerInfo(j.Key), ReportData: [64]byte(octets(j.ReportData)), Measurement: [48]byte(octets(j.Measurement)),
		HostData: [32]byte(octets(j.HostData)), IDKeyDigest: [48]byte(octets(j.IDKey)), AuthorKeyDigest: [48]byte(octets(j.Author)),
		ReportID: [32]byte(octets(j.ID)), ReportIDMA: [32]byte(octets(j.IDMA)), Reported: raw(j.Reported),
		CPUID: snp.CPUID{Family: j.Family8, Model: j.Model8, Stepping: j.Stepping8}, ChipID: [64]byte(octets(j.Chip)),
		Committed: raw(j.CommitTCB), CurrentFirmware: snppolicy.Version(j.Current), CommittedFirmware: snppolicy.Version(j.Committed),
		Launch: raw(j.Launch), SignatureR: number(j.Signature.R), SignatureS: number(j.Signature.S),
	})
}
