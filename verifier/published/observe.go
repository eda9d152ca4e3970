package published

import "safebox/verifier/memory"

// Keys of the rollback memory (docs/format-memory.md): what they begin with.
const (
	sizeKey      = "tlog-size/"  // and the origin
	timeKey      = "tlog-time/"  // and the origin
	logSVNKey    = "log-svn/"    // and the origin
	signerSVNKey = "signer-svn/" // and the keyid
)

// observe notes what never falls in honest hands: the size of the log, the time
// of the witnesses' quorum, and the security version, both of this log's
// releases and of each signer's, whom a second log would not make forget. Only
// what was verified is noted.
func (c *checker) observe() {
	if c.opened == nil || !c.witnessed || !c.complete {
		return
	}
	c.log.Observe(sizeKey+c.out.Origin, uint64(c.out.Size))
	if c.log.Passed("LOG-5") && c.out.Time > 0 {
		c.log.Observe(timeKey+c.out.Origin, uint64(c.out.Time))
		c.log.Observe(memory.TimeKey, uint64(c.out.Time))
	}
	if c.release == nil || !c.log.Passed("REL-3") || !c.log.Passed("REL-5") || !c.log.Passed("LOG-6") {
		return
	}
	svn := uint64(c.release.Release.SVN)
	c.log.Observe(logSVNKey+c.out.Origin, svn)
	for _, s := range c.in.Policy.SignedBy(c.release.Envelope) {
		c.log.Observe(signerSVNKey+s.Key.ID(), svn)
	}
}
