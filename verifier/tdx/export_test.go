package tdx

// CheckSignature is the part of TDX-Q1 that covers header and body.
func CheckSignature(q *Quote) error { return q.checkSignature() }
