package measure

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/measure/ovmf"
)

// Limits of input files.
const (
	maxKernel      = 256 << 20
	maxCommandLine = 1 << 16
)

// commandLine is the text of --cmdline or the content of --cmdline-file,
// exactly: no byte is added or taken away.
type commandLine struct {
	text, file string
	given      bool // --cmdline was given, perhaps empty
}

func (c *commandLine) isGiven() bool { return c.given || c.file != "" }

// read gives the text. A newline at its end is measured like any other byte,
// and is mostly an editor's: remark says so.
func (c *commandLine) read() (text, remark string, err error) {
	if c.given && c.file != "" {
		return "", "", cli.Usage(errors.New("want one of --cmdline and --cmdline-file"), "")
	}
	text = c.text
	if c.file != "" {
		b, err := cli.ReadInput(c.file, maxCommandLine)
		if err != nil {
			return "", "", err
		}
		text = string(b)
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return "", "", cli.Usage(fmt.Errorf("command line: NUL at byte %d, want none: where one is measured it is added here", i), "")
	}
	if strings.HasSuffix(text, "\n") {
		remark = "the command line ends with a newline, which is measured"
	}
	return text, remark, nil
}

// hashFile hashes a file piece by piece: an initrd may be larger than memory.
func hashFile(path string, h hash.Hash) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, cli.Usage(err, "")
	}
	size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<16))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return 0, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "")
	}
	return size, nil
}

// sha256File is the SHA-256 of a file, of no bytes if path is empty.
func sha256File(path string) (sum [32]byte, err error) {
	h := sha256.New()
	if path != "" {
		if _, err := hashFile(path, h); err != nil {
			return sum, err
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

// readFirmware reads a firmware image. Unless part is set it must be the whole
// one.
func readFirmware(path string, part bool) (*ovmf.Image, error) {
	if path == "" {
		return nil, cli.Usage(errors.New("--firmware is missing"), "give the image that the machine is started with, for example --firmware OVMF.fd")
	}
	b, err := cli.ReadInput(path, ovmf.MaxSize)
	if err != nil {
		return nil, err
	}
	decode := ovmf.Open
	if part {
		decode = ovmf.Decode
	}
	im, err := decode(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "see what safebox inspect says about the file")
	}
	return im, nil
}

// parseNumber reads a number in Go's notation: 0x for hexadecimal.
func parseNumber(flag, text string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(text, 0, bits)
	if err != nil {
		return 0, cli.Usage(fmt.Errorf("%s: got %q, want a number of at most %d bits, such as 0x1", flag, text, bits), "")
	}
	return n, nil
}

// parseHex reads exactly size bytes in lower-case or upper-case hex.
func parseHex(flag, text string, size int) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != size {
		return nil, cli.Usage(fmt.Errorf("%s: got %.120q, want %d bytes in hex", flag, text, size), "")
	}
	return b, nil
}

// parseMemory reads --memory, a size with the suffixes of QEMU's -m: M, G, T; without
// one it is MiB, as there.
func parseMemory(text string) (uint64, error) {
	shifts := map[byte]uint{'M': 20, 'G': 30, 'T': 40}
	number, shift := text, uint(20)
	if n := len(text); n > 0 && shifts[text[n-1]] != 0 {
		number, shift = text[:n-1], shifts[text[n-1]]
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n == 0 || n > 1<<52>>shift {
		return 0, cli.Usage(fmt.Errorf("--memory: got %q, want a size such as 2G or 1536M", text), "")
	}
	return n << shift, nil
}
