package variables

import (
	"bytes"
	"fmt"

	"safebox/measure/tpm/varstore"
)

// Fill enters the variables into a copy of a machine's flash file, as if they had
// been enrolled and Secure Boot been turned on. The flash must have no keys yet:
// who replaces keys needs the holders of the old ones.
func Fill(flash []byte, keys ...*Variable) ([]byte, error) {
	store, err := varstore.Decode(flash)
	if err != nil {
		return nil, err
	}
	for _, v := range store.Variables {
		if v.State == varstore.Added && isKey(&v) {
			return nil, fmt.Errorf("filling flash: %s is there already: want a flash without keys", v.Name)
		}
	}
	var records []byte
	for _, k := range keys {
		r := varstore.Variable{
			State: varstore.Added, Attributes: Attributes, TimeStamp: k.Time,
			Owner: k.Owner, Name: k.Name, Data: k.Data,
		}
		records = r.Append(records)
	}
	records = enable().Append(records)
	if room := store.Limit - store.End; len(records) > room {
		return nil, fmt.Errorf("filling flash at %#x: the variables need %d bytes, want at most %d", store.End, len(records), room)
	}
	filled := bytes.Clone(flash)
	copy(filled[store.End:], records)
	return filled, check(filled, len(store.Variables)+len(keys)+1)
}

// check reads the flash again.
func check(filled []byte, want int) error {
	store, err := varstore.Decode(filled)
	if err != nil {
		return fmt.Errorf("filling flash: %w", err)
	}
	if got := len(store.Variables); got != want {
		return fmt.Errorf("filling flash: it has %d variables, want %d", got, want)
	}
	return nil
}

// isKey reports whether firmware takes the variable for Secure Boot's.
func isKey(v *varstore.Variable) bool {
	switch v.Owner {
	case varstore.GlobalVariable():
		return v.Name == "PK" || v.Name == "KEK"
	case varstore.SecurityDatabase():
		return true
	case varstore.SecureBootEnableDisable():
		return v.Name == "SecureBootEnable"
	}
	return false
}

// enable is SecureBootEnable, which edk2 makes itself when a PK is enrolled
// (SecurityPkg, AuthVariableLib.c, InitSecureBootVariables): 1, and no variable
// for the operating system.
func enable() *varstore.Variable {
	return &varstore.Variable{
		State: varstore.Added, Attributes: varstore.NonVolatile | varstore.BootServiceAccess,
		Owner: varstore.SecureBootEnableDisable(), Name: "SecureBootEnable", Data: []byte{1},
	}
}
