package tpm

import (
	"errors"
	"fmt"

	"safebox/measure/tpm/authority"
	"safebox/measure/tpm/varstore"
)

// SecureBoot is what a firmware with Secure Boot finds in its variables (UEFI
// 2.10, section 3.3 and 32.6.1).
type SecureBoot struct {
	Enabled bool // the variable SecureBoot is 1

	// Contents of the variables, nil for one that does not exist.
	PK, KEK, DB, DBX []byte
}

// NewSecureBoot reads the state out of a firmware's variables. The firmware
// sets SecureBoot itself when it starts, from SecureBootEnable and PK (edk2,
// AuthVariableLib.c).
func NewSecureBoot(s *varstore.Store) (*SecureBoot, error) {
	sb := &SecureBoot{}
	for _, v := range []struct {
		owner varstore.GUID
		name  string
		into  *[]byte
	}{
		{varstore.GlobalVariable(), "PK", &sb.PK},
		{varstore.GlobalVariable(), "KEK", &sb.KEK},
		{varstore.SecurityDatabase(), "db", &sb.DB},
		{varstore.SecurityDatabase(), "dbx", &sb.DBX},
	} {
		found, ok := s.Variable(v.owner, v.name)
		if !ok {
			continue
		}
		const want = varstore.NonVolatile | varstore.BootServiceAccess | varstore.RuntimeAccess | varstore.TimeAuthenticated
		if found.Attributes != want {
			return nil, fmt.Errorf("variable %s: attributes: got %#x, want %#x", v.name, found.Attributes, want)
		}
		if len(found.Data) == 0 {
			return nil, fmt.Errorf("variable %s: empty: firmware deletes such a variable", v.name)
		}
		*v.into = found.Data
	}
	for _, name := range []string{"dbt", "dbr"} {
		if _, ok := s.Variable(varstore.SecurityDatabase(), name); ok {
			return nil, fmt.Errorf("variable %s: exists: how firmware measures it was not seen", name)
		}
	}
	return sb, sb.settle(s)
}

// settle finds out whether Secure Boot is on. Only the states that were seen
// are accepted: no keys at all, and keys with SecureBootEnable 0 or 1.
func (sb *SecureBoot) settle(s *varstore.Store) error {
	enable, ok := s.Variable(varstore.SecureBootEnableDisable(), "SecureBootEnable")
	switch {
	case !ok && sb.PK == nil && sb.KEK == nil && sb.DB == nil && sb.DBX == nil:
		return nil
	case !ok:
		return errors.New("variable SecureBootEnable: missing, but there are keys: boot the machine once to have it set")
	case len(enable.Data) != 1 || enable.Data[0] > 1:
		return fmt.Errorf("variable SecureBootEnable: got %x, want 00 or 01", enable.Data)
	case sb.PK == nil:
		return errors.New("variable PK: missing, but SecureBootEnable exists: what firmware makes of it was not seen")
	}
	sb.Enabled = enable.Data[0] == 1
	return nil
}

// enabled reports whether Secure Boot is on.
func (sb *SecureBoot) enabled() bool { return sb != nil && sb.Enabled }

// value is the content of a variable as it is measured, nil if it is empty.
func (sb *SecureBoot) value(name string) []byte {
	if sb == nil {
		return nil
	}
	switch name {
	case "SecureBoot":
		if sb.Enabled {
			return []byte{1}
		}
		return []byte{0}
	case "PK":
		return sb.PK
	case "KEK":
		return sb.KEK
	case "db":
		return sb.DB
	case "dbx":
		return sb.DBX
	}
	return nil
}

// authority finds the entry of db by which firmware lets the UKI run, nil with
// Secure Boot off.
func (sb *SecureBoot) authority(k *uki) ([]byte, error) {
	if !sb.enabled() {
		return nil, nil
	}
	e, err := authority.Find(k.file, k.signature(), sb.DB, sb.DBX)
	if err != nil {
		return nil, fmt.Errorf("authority of the UKI: %w", err)
	}
	return e.Raw, nil
}
