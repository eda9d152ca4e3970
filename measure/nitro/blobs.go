package nitro

// blobs is what nitro-cli brings along (kernel, command line and init), as
// PCR1 shows it.
type blobs struct{ pcr1, origin string }

// knownBlobs lists the PCR1 values of attestation documents of other people's
// enclaves. They explain a value, they don't vouch for it.
func knownBlobs() []blobs {
	return []blobs{
		{
			"0343b056cd8485ca7890ddd833476d78460aed2aa161548e4e26bedf321726696257d623e8805f3f605946b3d8b0c6aa",
			"AWS nitro-cli blobs, seen in documents of 2024-09 to 2026-01",
		},
		{
			"bcdf05fefccaa8e55bf2c8d6dee9e79bbff31e34bf28a99aa19e6b29c37ee80b214a414b7607236edf26fcb78654e63f",
			"AWS nitro-cli 1.2.x blobs, seen in documents of 2022-07 to 2022-10",
		},
	}
}

// DescribePCR1 says whose kernel, command line and init have this PCR1, "" if
// it is not a known value.
func DescribePCR1(pcr1 Digest) string {
	for _, b := range knownBlobs() {
		if b.pcr1 == pcr1.String() {
			return b.origin
		}
	}
	return ""
}
