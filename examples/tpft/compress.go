package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// encodingZstd is the name of an encoding in which each chunk is a Zstandard
// frame.
const encodingZstd = "zstd"

const (
	maxDecoded = 1 << 20             // bytes of a file in one frame
	maxFrame   = maxDecoded + 4<<10  // what can't be compressed grows a little
	frameCheck = maxDecoded + 64<<10 // the decoder's limit; it must not be below maxDecoded
)

// codec compresses and decompresses chunks. Its zero value is ready.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	plain   []byte // of one chunk
	packed  []byte
}

func (c *codec) encode(chunk []byte) ([]byte, error) {
	if c.encoder == nil {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(maxDecoded))
		if err != nil {
			return nil, err
		}
		c.encoder = e
	}
	c.packed = c.encoder.EncodeAll(chunk, c.packed[:0])
	return c.packed, nil
}

func (c *codec) decode(frame []byte) ([]byte, error) {
	if c.decoder == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(frameCheck), zstd.WithDecoderMaxWindow(maxDecoded))
		if err != nil {
			return nil, err
		}
		c.decoder = d
	}
	var err error
	c.plain, err = c.decoder.DecodeAll(frame, c.plain[:0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("expected a Zstandard frame of at most %d bytes: %w", maxDecoded, err)
	case len(c.plain) == 0 || len(c.plain) > maxDecoded:
		return nil, fmt.Errorf("expected a Zstandard frame of 1 to %d bytes, saw one of %d", maxDecoded, len(c.plain))
	}
	return c.plain, nil
}

// sendCompressed is sendFile with each chunk compressed.
func (l *link) sendCompressed(ctx context.Context, file *os.File, n, chunk int64) error {
	l.codec.plain = slices.Grow(l.codec.plain[:0], int(min(n, chunk, maxDecoded)))
	buffer := l.codec.plain[:min(n, chunk, maxDecoded)]
	for left := n; left > 0; {
		p := buffer[:min(left, int64(len(buffer)))]
		if _, err := io.ReadFull(file, p); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = fmt.Errorf("the file became shorter while it was sent: expected %d more bytes", left)
			}
			return err
		}
		frame, err := l.codec.encode(p)
		if err != nil {
			return err
		}
		if err := l.conn.SendFrom(ctx, bytes.NewReader(frame), int64(len(frame))); err != nil {
			return err
		}
		left -= int64(len(p))
	}
	return nil
}

// receiveCompressed is receiveFile with each chunk compressed.
func (l *link) receiveCompressed(ctx context.Context, file *os.File, n int64) error {
	var failed error
	for left := n; left > 0; {
		frame, err := l.receiveMessage(ctx)
		if err == io.EOF {
			return errEnded
		}
		if err != nil {
			return err
		}
		chunk, err := l.codec.decode(frame)
		if err != nil {
			return err
		}
		if int64(len(chunk)) > left {
			return fmt.Errorf("a chunk of %d bytes was sent where %d were left of what was announced", len(chunk), left)
		}
		left -= int64(len(chunk))
		if failed == nil {
			_, failed = file.Write(chunk)
		}
		if failed != nil && l.in.hasty {
			break
		}
	}
	if failed != nil {
		return &rejection{plain(failed)}
	}
	return nil
}
