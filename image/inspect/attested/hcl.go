package attested

import (
	"bytes"
	"strings"

	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/tree"
	"safebox/verifier/tpm/azure"
)

// hclStart begins the report that Azure's paravisor leaves in the TPM.
const hclStart = "HCLA"

func isHCL(b []byte) bool { return bytes.HasPrefix(b, []byte(hclStart)) }

func hclReport(b []byte) ([]tree.Item, error) {
	r, err := azure.DecodeReport(b)
	if err != nil {
		return nil, err
	}
	return append([]tree.Item{unverified()}, hclItems(r)...), nil
}

func hcl(name string, r *azure.Report) tree.Item {
	return tree.Item{Name: name, Value: r.Kind.String(), Items: hclItems(r)}
}

func hclItems(r *azure.Report) []tree.Item {
	secure := "no"
	if r.Claims.SecureBoot {
		secure = "yes"
	}
	key := tree.New("HCLAkPub", "%s", endorsed.Key(r.Claims.AK))
	key.Items = []tree.Item{tree.New("key_ops", "%q", strings.Join(r.Claims.AKUses, " "))}
	items := []tree.Item{
		tree.New("hardware", "%v", r.Kind),
		tree.Group("claims", key, tree.New("secure_boot", "%s", secure), tree.New("vm_unique_id", "%q", r.Claims.VMUniqueID)),
		tree.New("want_report_data", "%x", r.ReportData()),
	}
	if r.Kind == azure.SNP {
		return append(items, inner("snp_report", r.Hardware, snpReport))
	}
	report := tree.Sum("td_report", r.Hardware)
	report.Value += ": only the processor that made it could verify it; the TD quote counts"
	return append(items, report)
}

// hardware describes what came beside the paravisor's report.
func hardware(h *azure.Hardware) tree.Item {
	if h.Kind == azure.TDX {
		return inner("td_quote", h.Report, tdxQuote)
	}
	return endorsed.Any("vcek", h.VCEK)
}
