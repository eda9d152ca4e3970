package pagetest

const sessionChecks = `
POL-1|policy is readable|a policy, every key known and present|policy|format-policy.md
POL-2|policy is not past its review date|a time until 2027-05-31|2026-11-21T07:17:04Z|format-policy.md: review, stale
EV-1|evidence is well formed|canonical JSON of at most 4194304 bytes|14122 bytes|format-evidence.md
PLAT-1|platform is accepted|one of ["vtpm"]|vtpm|format-policy.md: platforms
CH-1|challenge is readable and the owner's own|a challenge, and the secret that was made with it|challenge with its secret|protocol.md 1
FR-1|nonce is the challenge's|7af50d10673b50485e4b80ab820ee331174a82fa29fd22143e1e397b9f00ea76|7af50d10673b50485e4b80ab820ee331174a82fa29fd22143e1e397b9f00ea76|protocol.md 2: nonce
FR-2|audience is the challenge's owner|524bc7405b88401e5a629fcb07e5d0806489f7593e805cc5443b7ba16e18b7af|524bc7405b88401e5a629fcb07e5d0806489f7593e805cc5443b7ba16e18b7af|protocol.md 2: audience
FR-3|challenge is alive|a time from 2026-11-21T07:16:34Z until 2026-11-21T07:26:34Z|2026-11-21T07:17:04Z|protocol.md 1: expires
FR-4|challenge does not live too long|1 to 3600 seconds|600 seconds|protocol.md 1; format-policy.md: challenge.max_life
REL-1|bundle and its release are readable|a bundle with a canonical release.json|12800 bytes|protocol.md 8; format-bundle.md; format-release.md
REL-2|release is the one asked for|526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6, of the bundle|challenge 526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6, evidence 526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6|protocol.md 1, 2 and 8: release
REL-3|release is signed as the policy demands|unsigned|no signature: the bundle holds release.json alone|protocol.md 8; format-policy.md: release
CFG-1|configuration document is accepted|any well-formed document, or none|none|protocol.md 3; format-policy.md: configuration.documents
TPM-K1|attestation key is known|an answered activation, or the pin of this key|activation|protocol.md 6
TPM-K2|attestation key is restricted and made from the template|the template of docs/format-enrollment.md and a point on P-256|0023000b00050472000000100018000b000300100020554263e47959c01f91003f4e839723fb56b8dad91f146e5fd1cbf9a1d26ddd6200201d38d434cad39d7e8d8e59777eb08605b153fd88610799f8412e4e48fe6e21f1|TPM 2.0 Library, Part 2, 12.2.4; protocol.md 6
TPM-K5|root of the TPM is accepted for what it is|a root that the policy names|software: CN=swtpm-localca-rootca, SHA-256 7a94dce0698474621aa988ef9a0df96ac173064a19c6ba8d3978e11d3e63e1a2|format-policy.md: vtpm.roots, vtpm.software_roots
TPM-Q1|quote is a TPM's and about this transcript|a TPM's own quote whose extra data is SHA-256 of the transcript|SHA-256 of the transcript|TPM 2.0 Library, Part 2, 10.12.12; protocol.md 2
TPM-Q2|quote is signed by the attestation key|ECDSA P-256 with SHA-256 by the attestation key|valid|TPM 2.0 Library, Part 2, 11.3.4
TPM-Q3|quote covers exactly the policy's registers|bank sha384, registers [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]|bank sha384, registers [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]|TPM 2.0 Library, Part 2, 10.12.4; format-policy.md: vtpm.pcrs
TPM-Q4|TPM was not suspended or set back|never resumed, one boot and one firmware for all quotes|reset count 2, restart count 0, safe true|TPM 2.0 Library, Part 2, 10.11.1; format-policy.md: vtpm.clock
TPM-E1|event log replays to the quoted registers|the quoted value of every register but 10 and 15|the quoted values|PFP 1.06, 10.4
TPM-E2|every event is on the list of its register|listed events only, one separator in each of PCR 0 to 7|42 events|PFP 1.06, 3.3.4 and 10.4.1
TPM-E3|digests are those of the events' data|every digest the hash of its data, where the type says so|42 events|PFP 1.06, 10.4.1
TPM-E4|banks are those of the policy|quotes of sha256 and sha384, all in the log|quotes of sha256 and sha384, log of sha256 and sha384|protocol.md 4; format-policy.md: vtpm.banks
TPM-E5|Secure Boot is in the release's state|Secure Boot off, no keys enrolled|Secure Boot off, no keys enrolled|PFP 1.06, 3.3.4; protocol.md 4
CFG-2|register 15 holds the configuration and the keys that arrived|the configuration event, then arrivals of keys|configuration and 0 arrivals of keys|protocol.md 3; format-policy.md: configuration.state
TPM-R0-sha256|sha256 register 0 is the release's: firmware|0101271704ccc2360ddbb08438d591c23fb8a0a9cb0cebc60cefea7868833f8e|0101271704ccc2360ddbb08438d591c23fb8a0a9cb0cebc60cefea7868833f8e|protocol.md 4; format-release.md: measurements
TPM-R2-sha256|sha256 register 2 is the release's: option ROMs|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|protocol.md 4; format-release.md: measurements
TPM-R3-sha256|sha256 register 3 is the release's: their settings|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|protocol.md 4; format-release.md: measurements
TPM-R4-sha256|sha256 register 4 is the release's: boot programs|ad2be2fc5920cee67a70885ae474125dc9e1c25ad500066474917166fec04b15|ad2be2fc5920cee67a70885ae474125dc9e1c25ad500066474917166fec04b15|protocol.md 4; format-release.md: measurements
TPM-R6-sha256|sha256 register 6 is the release's: vendor's use|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969|protocol.md 4; format-release.md: measurements
TPM-R7-sha256|sha256 register 7 is the release's: Secure Boot|b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439|b5710bf57d25623e4019027da116821fa99f5c81e9e38b87671cc574f9281439|protocol.md 4; format-release.md: measurements
TPM-R8-sha256|sha256 register 8 is the release's: unused|0000000000000000000000000000000000000000000000000000000000000000|0000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R9-sha256|sha256 register 9 is the release's: initrd and load options|2fc44aa45be2e15cc70394da33e1028bceeccad053ee03247fd7ca650fec7db1|2fc44aa45be2e15cc70394da33e1028bceeccad053ee03247fd7ca650fec7db1|protocol.md 4; format-release.md: measurements
TPM-R11-sha256|sha256 register 11 is the release's: unified kernel image|5d44c99bc7f82efe556cb653e888ae0e6b71e47c820603f2395181da161d0665|5d44c99bc7f82efe556cb653e888ae0e6b71e47c820603f2395181da161d0665|protocol.md 4; format-release.md: measurements
TPM-R12-sha256|sha256 register 12 is the release's: host's additions|0000000000000000000000000000000000000000000000000000000000000000|0000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R13-sha256|sha256 register 13 is the release's: extensions|0000000000000000000000000000000000000000000000000000000000000000|0000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R14-sha256|sha256 register 14 is the release's: shim|0000000000000000000000000000000000000000000000000000000000000000|0000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R0-sha384|sha384 register 0 is the release's: firmware|5f6f9472e953d7f49e3ce38e89976e7e5d96fdba53d2b3392870a57f85ace3d2e4574c45b3795fb1810ac689a4f08818|5f6f9472e953d7f49e3ce38e89976e7e5d96fdba53d2b3392870a57f85ace3d2e4574c45b3795fb1810ac689a4f08818|protocol.md 4; format-release.md: measurements
TPM-R2-sha384|sha384 register 2 is the release's: option ROMs|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|protocol.md 4; format-release.md: measurements
TPM-R3-sha384|sha384 register 3 is the release's: their settings|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|protocol.md 4; format-release.md: measurements
TPM-R4-sha384|sha384 register 4 is the release's: boot programs|39cd9a66f2248b25b68fb49fcbfeaace3342132845a8742db3dfc7e5b29ec7164ff4fedbc48fa4b03d2399f3441ce34a|39cd9a66f2248b25b68fb49fcbfeaace3342132845a8742db3dfc7e5b29ec7164ff4fedbc48fa4b03d2399f3441ce34a|protocol.md 4; format-release.md: measurements
TPM-R6-sha384|sha384 register 6 is the release's: vendor's use|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4|protocol.md 4; format-release.md: measurements
TPM-R7-sha384|sha384 register 7 is the release's: Secure Boot|384a798e98b5369727295c5b2889e1e015c65b3add6d78dce4e457c164865ee2af7b6d53ac7cbcd092eaf5fa1a76ea18|384a798e98b5369727295c5b2889e1e015c65b3add6d78dce4e457c164865ee2af7b6d53ac7cbcd092eaf5fa1a76ea18|protocol.md 4; format-release.md: measurements
TPM-R8-sha384|sha384 register 8 is the release's: unused|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R9-sha384|sha384 register 9 is the release's: initrd and load options|3312774f19afcd1300983ea397e96d6a94d94b4a062cb6cb1426582b5c120b01c448eea11add927947750ce5c039ecf2|3312774f19afcd1300983ea397e96d6a94d94b4a062cb6cb1426582b5c120b01c448eea11add927947750ce5c039ecf2|protocol.md 4; format-release.md: measurements
TPM-R11-sha384|sha384 register 11 is the release's: unified kernel image|530f7efd80cb9c54fba29318eb9e9906749e9b13548c15ddf96a865e6d830f806076e0fd9bd3efb814c4b7f287d83f3e|530f7efd80cb9c54fba29318eb9e9906749e9b13548c15ddf96a865e6d830f806076e0fd9bd3efb814c4b7f287d83f3e|protocol.md 4; format-release.md: measurements
TPM-R12-sha384|sha384 register 12 is the release's: host's additions|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R13-sha384|sha384 register 13 is the release's: extensions|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
TPM-R14-sha384|sha384 register 14 is the release's: shim|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000|protocol.md 4; format-release.md: measurements
`

const sessionLog = `
0|EV_S_CRTM_VERSION|8a0c71d44cbfa2202e9108e463c5dba04064e36324f1ab5e670421a59dc4272b|"2025.02-8+deb13u1"
0|EV_EFI_PLATFORM_FIRMWARE_BLOB|a386f05738e11e7b8c253dc47b96bfc66d3d9ce62ee7b30ee3d4a6c5215e7e4e|base 0x820000 size 0xe0000
0|EV_EFI_PLATFORM_FIRMWARE_BLOB|450136d3f01290a89f67a4ecc0e3f8a9d16f49e9eb4e17c4cacdffdeea32f806|base 0x900000 size 0xe80000
7|EV_EFI_VARIABLE_DRIVER_CONFIG|ce9ce386b52e099f3019e512a0d6062d6b560efe4ff3e5661c7525e2f9c263df|"SecureBoot"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 0 bytes
7|EV_EFI_VARIABLE_DRIVER_CONFIG|dea7b80ab53a3daaa24d5cc46c64e1fa9ffd03739f90aadbd8c0867c4a5b4890|"PK"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 0 bytes
7|EV_EFI_VARIABLE_DRIVER_CONFIG|e670e121fcebd473b8bc41bb801301fc1d9afa33904f06f7149b74f12c47a68f|"KEK"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 0 bytes
7|EV_EFI_VARIABLE_DRIVER_CONFIG|baf89a3ccace52750c5f0128351e0422a41597a1adfd50822aa363b9d124ea7c|"db"-d719b2cb-3d3a-4596-a3bc-dad00e67656f: 0 bytes
7|EV_EFI_VARIABLE_DRIVER_CONFIG|9f75b6823bff6af1024a4e2036719cdd548d3cbc2bf1de8e7ef4d0ed01f94bf9|"dbx"-d719b2cb-3d3a-4596-a3bc-dad00e67656f: 0 bytes
7|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
1|EV_PLATFORM_CONFIG_FLAGS|d25c0aaf4e3c9ee2b59f8345c3d2afdc54bb52b699e81c3080caa252bce9c888|"ACPI DATA"
1|EV_PLATFORM_CONFIG_FLAGS|87382eb62731936ac6b2b5c5428046b6c1b59aff316fa13995d3a0c680b45322|"ACPI DATA"
1|EV_PLATFORM_CONFIG_FLAGS|de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31|"ACPI DATA"
1|EV_PLATFORM_CONFIG_FLAGS|866068f5231b1b2e635aeb2ab690e16107a8546918cbfac842d26a806c37c4b4|"ACPI DATA"
1|EV_EFI_VARIABLE_BOOT|263d99957c7b574c63a265b32da7fff8b8ad831828946bfbff650d7074dd9198|"BootOrder"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 6 bytes
1|EV_EFI_VARIABLE_BOOT|a677ecb6676190c091b9cdb741a835d15521fa7444d679f87b4996124fa9ea0b|"Boot0001"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 78 bytes
1|EV_EFI_VARIABLE_BOOT|3197be1e300fa1600d1884c3a4bd4a90a15405bfb546cf2e6cf6095f8c362a93|"Boot0000"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 62 bytes
1|EV_EFI_VARIABLE_BOOT|4d387b02d63b2f4cd7f667feb0a387fe47a10a3e26bf3533ddd001c605f3dec5|"Boot0002"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 88 bytes
4|EV_EFI_ACTION|3d6772b4f84ed47595d72a2c4c5ffd15f5bb72c7507fe26f2aaee2c69d5633ba|"Calling EFI Application from Boot Option"
0|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
1|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
2|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
3|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
4|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
5|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
6|EV_SEPARATOR|df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119|00000000
5|EV_EFI_GPT_EVENT|10a57d687294ca4d7ff9b93254ccc07b433cd50f3c0dafe54a4b37b740ffa9b8|disk 1f5d0ded-a303-5689-b7b2-680589a7295f, 1 partitions
4|EV_EFI_BOOT_SERVICES_APPLICATION|8f3c8489e92def88f03515c07f92267f012260ab464ca863826fd0ed2d7ccc32|image of 14800896 bytes, device path 02010c00d041030a0000000001010600000204012a000100000000080000000000000008010000000000266d84d89f4c3a5ba16b682250b3e
11|EV_IPL|0da293e37ad5511c59be47993769aacb91b243f7d010288e118dc90e95aaef5a|".linux"
11|EV_IPL|d1bc2c60a78ae6979736d081bc3c90e45ace6baf414f767dff588e319d3492bd|".linux"
11|EV_IPL|461203a89f23e36c3a4dc817f905b00484d2cf7e7d9376f13df91c41d84abe46|".cmdline"
11|EV_IPL|9ab1183b14be5a730c1153bb63a737829c5c18eeb71893f1a9a3fc0b47d79923|".cmdline"
11|EV_IPL|15ee37e75f1e8d42080e91fdbbd2560780918c81fe3687ae6d15c472bbdaac75|".initrd"
11|EV_IPL|7937c388bb2f01aea3ee3fa809da48e4cc2fb2ce8f30f1d2f7ca70661aeb096a|".initrd"
11|EV_IPL|da7a6d941caa9d28b8a3665c4865c143db8f99400ac88d883370ae3021636c30|".uname"
11|EV_IPL|958b19964651fe55a26c2c6260f8c8a949a4561664caf95553098a9a1ebf102a|".uname"
11|EV_IPL|ff552fd255be18a3d61c0da88976fc71559d13aad12d1dfe1708cf950cc4b74c|".sbat"
11|EV_IPL|e34e16fc3b661f29d138dd017ec14683617b3bdec85d175f57731529f6a7a343|".sbat"
4|EV_EFI_BOOT_SERVICES_APPLICATION|782467f032ce2d6a96d9131eac2bcf910ba46099c99e6cfd20555da97a7f1390|image of 11708352 bytes, device path 04031400f8d1c555cd04b5468a20e56cbb3052d07fff0400
9|EV_EVENT_TAG|ce03a47ddbca8018c5d9f66c05c82b97abb28dd776f6cdb6dc17115394c6a932|tag 0x8f3b22ed "LOADED_IMAGE::LoadOptions"
9|EV_EVENT_TAG|7937c388bb2f01aea3ee3fa809da48e4cc2fb2ce8f30f1d2f7ca70661aeb096a|tag 0x8f3b22ec "Linux initrd"
5|EV_EFI_ACTION|d8043d6b7b85ad358eb3b6ae6a873ab7ef23a26352c5dc4faa5aeedacf5eb41b|"Exit Boot Services Invocation"
5|EV_EFI_ACTION|b54f7542cbd872a81a9d9dea839b2b8d747c7ebd5ea6615c40f42f44a6dbeba0|"Exit Boot Services Returned with Success"
`
