package snp_test

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// hexBytes reads hex in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) error {
	var err error
	*h, err = hex.DecodeString(string(b))
	return err
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
	return snptest.Encode(&snp.Report{
		Version: j.Version, GuestSVN: j.SVN, FamilyID: [16]byte(octets(j.Family)), ImageID: [16]byte(octets(j.Image)),
		VMPL: j.VMPL, SignatureAlgorithm: j.Algorithm, Current: raw(j.CurrentTCB), Platform: snp.PlatformInfo(j.Platform),
		Policy: idblock.Policy(j.Policy), Signer: snp.SignerInfo(j.Key), ReportData: [64]byte(octets(j.ReportData)), Measurement: [48]byte(octets(j.Measurement)),
		HostData: [32]byte(octets(j.HostData)), IDKeyDigest: [48]byte(octets(j.IDKey)), AuthorKeyDigest: [48]byte(octets(j.Author)),
		ReportID: [32]byte(octets(j.ID)), ReportIDMA: [32]byte(octets(j.IDMA)), Reported: raw(j.Reported),
		CPUID: snp.CPUID{Family: j.Family8, Model: j.Model8, Stepping: j.Stepping8}, ChipID: [64]byte(octets(j.Chip)),
		Committed: raw(j.CommitTCB), CurrentFirmware: snppolicy.Version(j.Current), CommittedFirmware: snppolicy.Version(j.Committed),
		Launch: raw(j.Launch), SignatureR: number(j.Signature.R), SignatureS: number(j.Signature.S),
	})
}
