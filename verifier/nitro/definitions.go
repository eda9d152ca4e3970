package nitro

import "safebox/verifier/check"

// Definitions lists the checks of a kind of document, in the order of the
// verdict: the steps of specs/nitro.md, section 4.4.
func Definitions(kind Kind) []check.Definition {
	debug := check.Define("NITRO-8", "enclave does not run in debug mode", "nitro.md 4.4, step 8; 2, point 10",
		"start it without --debug-mode: in debug mode its parent reads its console, and its registers say nothing")
	if kind == NitroTPM {
		debug.Name = "no debug mode (an instance has none)"
		debug.Source = "nitro.md 7"
	}
	return []check.Definition{
		check.Define("NITRO-1", "document is one COSE_Sign1 by ES384", "nitro.md 4.4, step 1; 4.1; RFC 9052, 4.2",
			"give the raw document as the device returned it, not in base64 or cut; QEMU's documents are not signed (alg -1)"),
		check.Define("NITRO-2", "payload is that of the kind asked for", "nitro.md 4.4, step 2; 7",
			"a document of an enclave has pcrs, one of an instance with a NitroTPM nitrotpm_pcrs: ask for the right platform; an unknown key is a new format"),
		check.Define("NITRO-3", "fields have their types and sizes", "nitro.md 4.4, step 3; 4.1; 7",
			"the named field is not as AWS writes it: no Nitro device made this"),
		check.Define("NITRO-4", "certificates lead to the pinned root", "nitro.md 4.4, step 4; 4.3",
			"ask for a fresh document if it has expired (a leaf lives three hours) and compare clocks; other partitions of AWS have roots of their own; if the policy says nothing of revocation, write crl = \"any\""),
		check.Define("NITRO-5", "document was made at the right time", "nitro.md 4.4, step 5",
			"ask for a fresh document; compare this clock with the instance's; for an archive say time = \"at\" and give the time"),
		check.Define("NITRO-6", "signature over the received bytes holds", "nitro.md 4.4, step 6; 4.2; RFC 9052, 4.4",
			"the document was changed on its way: get it again, byte for byte"),
		check.Define("NITRO-7", "certificates are named after this module", "nitro.md 4.4, step 7; 4.3",
			"the leaf belongs to another enclave or instance than the one that the document names"),
		debug,
		check.Define("NITRO-9", "registers and instance are the expected ones", "nitro.md 4.4, step 9; 1.5; 7.1; protocol.md 3",
			"compare the image with the release (safebox measure, safebox explain); a register that is not in the document was not locked; list the instance in the policy if it is yours"),
		check.Define("NITRO-10", "document answers this challenge", "nitro.md 4.4, step 10; protocol.md 2",
			"this document was made for another question or another session's keys: ask again with a new challenge"),
	}
}
