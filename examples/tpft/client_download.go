package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// download copies a file of the server to a name in a local directory. That
// it may be written is known before the server is asked for it.
func (c *client) download(ctx context.Context, path string, dir *os.Root, name string) error {
	if c.resume {
		if same, err := c.isDownloaded(ctx, path, dir, name); same || err != nil {
			return err
		}
	}
	shown := filepath.Join(dir.Name(), name)
	w, offset, err := c.openDraft(ctx, path, dir, name)
	if err != nil {
		return err
	}
	defer w.discard()
	l, err := c.request(ctx, typeDownload, &downloadRequest{DownloadPath: path, Offset: offset, Encoding: c.encoding()})
	if err != nil {
		return err
	}
	offer := downloadConfirmation{-1}
	if err := l.await(ctx, typeOffer, &offer); err != nil {
		return err
	}
	if offer.FileSize < offset {
		return fmt.Errorf("the file became shorter: expected %d bytes or more, saw %d", offset, offer.FileSize)
	}
	if err := w.goOn(offset, offer.FileSize); err != nil {
		return unwritable(shown, err)
	}
	stop := c.progress.watch(path, offer.FileSize, w.file)
	err = l.receiveFile(ctx, w.file, offer.FileSize-offset, c.encoding())
	stop(err == nil)
	if failed, ok := errors.AsType[*rejection](err); ok {
		return unwritable(shown, errors.New(failed.reason))
	}
	if err != nil {
		return err
	}
	if err := l.send(ctx, typeConfirmed, nothing{}); err != nil {
		return err
	}
	c.midway = false
	if c.check {
		if err := c.compare(ctx, w.file, path); err != nil {
			return err
		}
	}
	if err := w.commit(); err != nil {
		return unwritable(shown, err)
	}
	return nil
}

// unwritable is an error of the local file. The connection has no part in it.
func unwritable(path string, err error) error { return fmt.Errorf("write to %s: %s", path, plain(err)) }

// openDraft makes the draft of a download, or goes on with one that was
// interrupted, if its bytes are the first of the server's file.
func (c *client) openDraft(ctx context.Context, path string, dir *os.Root, name string) (*draft, int64, error) {
	shown := filepath.Join(dir.Name(), name)
	if !c.resume {
		w, err := c.drafts.create(dir, name, 0)
		if err != nil {
			return nil, 0, unwritable(shown, err)
		}
		return w, 0, nil
	}
	w, err := c.drafts.resume(dir, name)
	if err != nil {
		return nil, 0, unwritable(shown, err)
	}
	have, err := w.length()
	if err != nil {
		w.discard()
		return nil, 0, unwritable(shown, err)
	}
	if have == 0 {
		return w, 0, nil
	}
	mine, theirs, err := c.sums(ctx, w.file, path, &have)
	if err != nil {
		w.discard()
		return nil, 0, err
	}
	if mine != theirs {
		have = 0
	}
	return w, have, nil
}

// isDownloaded reports whether a local file is the same as one of the server.
func (c *client) isDownloaded(ctx context.Context, path string, dir *os.Root, name string) (bool, error) {
	f, size, err := openSource(dir, name)
	if err != nil {
		return false, nil // it is to be made, or the reason why it can't will be seen
	}
	defer f.Close()
	return c.isCopied(ctx, f, size, path)
}
