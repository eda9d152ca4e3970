package explainsev

// Probes is the bound of a search for a launch under SEV-SNP.
const Probes = snpProbes
