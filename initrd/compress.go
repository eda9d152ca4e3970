package initrd

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// The settings of Compress are part of every published image: changing one
// changes the measurements.
//
// Better rather than best: on a 14.2 MB Go binary it takes 0.2 s instead of
// 1.2 s and gives 5.72 MB instead of 5.40 MB, less than 2 % of an image.
const (
	level = zstd.SpeedBetterCompression
	// windowSize is what RFC 8878, section 3.1.1.1.2, wants every decoder to
	// support; the kernel's (lib/decompress_unzstd.c) takes up to 128 MiB.
	windowSize = 8 << 20
)

// maxWindow is the largest window that the kernel's decompressor accepts:
// lib/decompress_unzstd.c, ZSTD_WINDOWSIZE_MAX.
const maxWindow = 128 << 20

// zstdMagic starts a frame: RFC 8878, section 3.1.1, Magic_Number.
const zstdMagic = "\x28\xb5\x2f\xfd"

// Compress returns archive as one Zstandard frame with its content size and
// checksum. Equal archives give equal bytes: one goroutine, fixed settings, and
// an encoder pinned by go.sum.
func Compress(archive []byte) ([]byte, error) {
	if len(archive) == 0 || len(archive) > MaxSize {
		return nil, fmt.Errorf("compressing initrd: size: got %d, want 1 to %d", len(archive), MaxSize)
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(windowSize),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true),
	)
	if err != nil {
		return nil, fmt.Errorf("compressing initrd: %w", err)
	}
	out := enc.EncodeAll(archive, nil)
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("compressing initrd: %w", err)
	}
	return out, nil
}

// decompress expands the frame at the start of b to at most limit bytes, and
// returns the length of the frame.
func decompress(b []byte, limit int) (out []byte, frame int, err error) {
	frame, err = frameSize(b)
	if err != nil {
		return nil, 0, fmt.Errorf("zstd: %w", err)
	}
	if limit <= 0 {
		return nil, 0, fmt.Errorf("zstd: content: got more than the limit of %d bytes in all", MaxSize)
	}
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderMaxMemory(uint64(limit)),
	)
	if err != nil {
		return nil, 0, fmt.Errorf("zstd: %w", err)
	}
	defer dec.Close()
	out, err = dec.DecodeAll(b[:frame], nil)
	if err != nil {
		return nil, 0, fmt.Errorf("zstd: %w", err)
	}
	return out, frame, nil
}

// Block header fields: RFC 8878, section 3.1.1.2.
const (
	blockHeaderSize = 3
	blockTypeRLE    = 1
	blockReserved   = 3
	checksumSize    = 4 // RFC 8878, section 3.1.1, Content_Checksum
	maxBlockContent = 128 << 10
)

// frameSize finds the end of the frame at the start of b without decoding it.
// What follows the frame is ours to judge, so the decoder must not see it.
func frameSize(b []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return 0, fmt.Errorf("frame header: %w", err)
	}
	pos, room := h.HeaderSize, uint64(0)
	for last := false; !last; room += maxBlockContent {
		if len(b)-pos < blockHeaderSize {
			return 0, fmt.Errorf("block header at 0x%x: past the end at 0x%x", pos, len(b))
		}
		v := uint32(binary.LittleEndian.Uint16(b[pos:])) | uint32(b[pos+2])<<16
		last = v&1 == 1
		kind, size := v>>1&3, int(v>>3)
		if kind == blockReserved {
			return 0, fmt.Errorf("block at 0x%x: type: got %d, which is reserved", pos, kind)
		}
		if kind == blockTypeRLE {
			size = 1 // the size is that of the content, one byte stands for it
		}
		if size > len(b)-pos-blockHeaderSize {
			return 0, fmt.Errorf("block at 0x%x: size: got %d, want at most %d", pos, size, len(b)-pos-blockHeaderSize)
		}
		pos += blockHeaderSize + size
	}
	// The decoder allocates what the header says before it reads a block.
	if h.HasFCS && h.FrameContentSize > room {
		return 0, fmt.Errorf("frame header: content size: got %d, want at most %d in its blocks", h.FrameContentSize, room)
	}
	if h.HasCheckSum {
		if len(b)-pos < checksumSize {
			return 0, fmt.Errorf("checksum at 0x%x: past the end at 0x%x", pos, len(b))
		}
		pos += checksumSize
	}
	return pos, nil
}
