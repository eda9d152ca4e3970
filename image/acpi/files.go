package acpi

// Files are the fw_cfg files with the tables.
type Files struct {
	Loader, RSDP, Tables []byte
}
