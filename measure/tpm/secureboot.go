package tpm

// SecureBoot is what the firmware of a machine finds in its Secure Boot
// variables (UEFI 2.10, table 3-1 and section 32.4).
type SecureBoot struct {
	Enabled bool // variable SecureBoot is 1

	// Contents of the variables, nil for one that does not exist.
	PK, KEK, DB, DBX []byte
}
