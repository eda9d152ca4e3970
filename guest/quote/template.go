package quote

import (
	"safebox/verifier/challenge"

	"github.com/google/go-tpm/tpm2"
)

// attestationKey is the template of the attestation key (specs/protocol.md 6),
// TPMT_PUBLIC (TPM 2.0 Library, Part 2, 12.2.4), under the endorsement
// hierarchy:
//
//	type        TPM_ALG_ECC
//	nameAlg     TPM_ALG_SHA256
//	attributes  fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth |
//	            noDA | restricted | sign
//	authPolicy  empty
//	symmetric   TPM_ALG_NULL
//	scheme      TPM_ALG_ECDSA with TPM_ALG_SHA256
//	curve       TPM_ECC_NIST_P256
//	kdf         TPM_ALG_NULL
//	unique      empty
//
// A primary key is a function of the hierarchy's seed and of this template
// (Part 1, "Primary Object Creation"): changing anything here changes every
// attestation key that an owner has pinned. "restricted" is what makes a quote
// worth something: the key signs no data that looks like the TPM's own but
// came from outside.
func attestationKey() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM:            true,
			FixedParent:         true,
			SensitiveDataOrigin: true,
			UserWithAuth:        true,
			NoDA:                true,
			Restricted:          true,
			SignEncrypt:         true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull},
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
			KDF:     tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
	}
}

// endorsement is one kind of endorsement key.
type endorsement struct {
	kind        string         // as challenges and enrolment files name it
	certificate tpm2.TPMHandle // NV index
	handle      tpm2.TPMHandle // where the key lies if it was made persistent
	template    tpm2.TPMTPublic
}

// endorsements lists the kinds that challenges may name, sorted by name: NV indices of the EK
// Credential Profile, section 2.2 (low and high range), handles of the TCG
// Registry of Reserved TPM 2.0 Handles, templates L-1 and H-3 of annex B.
func endorsements() []endorsement {
	return []endorsement{
		{challenge.ECC384, 0x01c00016, 0x81010016, highRangeP384()},
		{challenge.RSA2048, 0x01c00002, 0x81010001, tpm2.RSAEKTemplate},
	}
}

// highRangeP384 is template H-3. Its key may be used with its empty
// authorization value (userWithAuth), unlike that of L-1; its policy, PolicyB
// with SHA-384, is not needed for that.
func highRangeP384() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA384,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM:            true,
			FixedParent:         true,
			SensitiveDataOrigin: true,
			UserWithAuth:        true,
			AdminWithPolicy:     true,
			Restricted:          true,
			Decrypt:             true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: []byte{
			0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
			0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
			0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
		}},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{
				Algorithm: tpm2.TPMAlgAES,
				KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)),
				Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
			},
			Scheme:  tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull},
			CurveID: tpm2.TPMECCNistP384,
			KDF:     tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
	}
}
