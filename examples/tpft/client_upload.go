package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tinyproto-go/tinyproto"
)

// encoding is how chunks are sent and asked for.
func (c *client) encoding() string {
	if c.compress {
		return encodingZstd
	}
	return ""
}

// upload copies a local file to a path of the server. shown is its name for the user.
func (c *client) upload(ctx context.Context, from files, name, shown, dest string) error {
	f, size, err := openSource(from, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if c.resume {
		if same, err := c.isCopied(ctx, f, size, dest); same || err != nil {
			return err
		}
	}
	l, err := c.request(ctx, typeUpload, &uploadRequest{FileSize: size, DestinationPath: dest, Encoding: c.encoding(), Resume: c.resume})
	if err != nil {
		return err
	}
	var offset int64
	if c.resume {
		if offset, err = c.agreeOnOffset(ctx, f); err != nil {
			return err
		}
	}
	if err := l.confirmed(ctx); err != nil {
		return err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	stop := c.progress.watch(shown, size, f)
	err = l.sendFile(ctx, f, size-offset, c.chunk, c.encoding())
	stop(err == nil)
	switch {
	case errors.Is(err, tinyproto.ErrTooLarge):
		return cmp.Or(l.confirmed(ctx), err) // a server that refuses a chunk says why
	case err != nil:
		return err
	}
	if err := l.confirmed(ctx); err != nil {
		return err
	}
	c.midway = false
	if c.check {
		return c.compare(ctx, f, dest)
	}
	return nil
}

// agreeOnOffset returns how many bytes of f the server has of an interrupted upload.
func (c *client) agreeOnOffset(ctx context.Context, f *os.File) (int64, error) {
	l := c.link
	have := sum{Length: -1}
	if err := l.await(ctx, typePartial, &have); err != nil {
		return 0, err
	}
	var mine sum
	err := l.busy(ctx, func() (err error) {
		mine, err = digest(ctx, f, have.Length)
		return err
	})
	if err != nil {
		return 0, err
	}
	if mine != have {
		have.Length = 0
	}
	return have.Length, l.send(ctx, typeContinue, &resumption{have.Length})
}

// compare compares the sums of a local file and its copy on the server.
func (c *client) compare(ctx context.Context, f *os.File, path string) error {
	mine, theirs, err := c.sums(ctx, f, path, nil)
	if err == nil && mine != theirs {
		err = fmt.Errorf("the copies differ: %d bytes with SHA-256 sum %s here, %d with %s on the server",
			mine.Length, mine.SHA256, theirs.Length, theirs.SHA256)
	}
	return err
}

// isCopied reports whether a file of the server is the same as a local one of
// this size.
func (c *client) isCopied(ctx context.Context, f *os.File, size int64, path string) (bool, error) {
	theirs, err := c.remoteStatus(ctx, path)
	if err != nil || theirs.Kind != kindFile || theirs.FileSize != size {
		return false, err
	}
	mine, copied, err := c.sums(ctx, f, path, nil)
	return mine == copied, err
}
