package tdx

import (
	"errors"
	"fmt"

	"safebox/measure/ovmf"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
	"safebox/measure/tpm/golden"
	"safebox/measure/tpm/varstore"
)

// Variables are the contents of the Secure Boot variables (UEFI 2.10, section
// 3.3 and 32.6.1), nil for one that does not exist. They are measured at
// their size, so that SecureBoot without content and SecureBoot with one zero
// byte differ though both mean that it is off.
type Variables struct {
	SecureBoot, PK, KEK, DB, DBX []byte
	DBT                          []byte // measured only if it exists
}

// secureBoot is the content of SecureBoot that a layout's firmware measures when
// no keys are enrolled.
func (l Layout) secureBoot() []byte {
	if l == L0 || l == Intel {
		return []byte{0}
	}
	return nil
}

// encode returns the UEFI_VARIABLE_DATA of each, in the order of measurement.
func (v *Variables) encode() []golden.Variable {
	list := golden.SecureBootVariables()
	for i, value := range [][]byte{v.SecureBoot, v.PK, v.KEK, v.DB, v.DBX} {
		list[i].Value = value
	}
	if v.DBT != nil {
		dbt := list[len(list)-1] // dbt has dbx's GUID
		dbt.Name, dbt.Value = "dbt", v.DBT
		list = append(list, dbt)
	}
	return list
}

// on reports whether Secure Boot is on.
func (v *Variables) on() bool { return v != nil && len(v.SecureBoot) == 1 && v.SecureBoot[0] == 1 }

// variablesMissing says why it is not known what Secure Boot variables there
// are: none are given, and the firmware's own store, cfv, is not without any. Nil
// for cfv stands for a firmware that is not at hand.
func (in *Input) variablesMissing(cfv []byte) string {
	if in.Variables != nil || cfv == nil {
		return ""
	}
	store, err := varstore.Decode(cfv)
	if err != nil {
		return fmt.Sprintf("Secure Boot variables: not given, and the firmware's own cannot be read: %v", err)
	}
	for _, v := range store.Variables {
		if v.State == varstore.Added {
			return fmt.Sprintf("Secure Boot variables: not given, and the firmware's image is not without variables: it has %q", v.Name)
		}
	}
	return ""
}

// ReadVariables takes the Secure Boot variables out of a firmware image that
// comes with keys. Firmware with Secure Boot always has SecureBoot at one byte.
// What such a firmware measures was seen in machines with a TPM, not in a TD.
func ReadVariables(im *ovmf.Image) (*Variables, error) {
	cfv, err := tdvf.CFV(im)
	if err != nil {
		return nil, fmt.Errorf("reading Secure Boot variables: %w", err)
	}
	store, err := varstore.Decode(cfv)
	if err != nil {
		return nil, fmt.Errorf("reading Secure Boot variables: %w", err)
	}
	sb, err := tpm.NewSecureBoot(store)
	if err != nil {
		return nil, fmt.Errorf("reading Secure Boot variables: %w", err)
	}
	if sb.PK == nil {
		return nil, errors.New("reading Secure Boot variables: got no keys: whether this firmware has SecureBoot at one byte or not at all depends on its build")
	}
	v := &Variables{SecureBoot: []byte{0}, PK: sb.PK, KEK: sb.KEK, DB: sb.DB, DBX: sb.DBX}
	if sb.Enabled {
		v.SecureBoot[0] = 1
	}
	return v, nil
}
