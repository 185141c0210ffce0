package main

import (
	"bytes"
	"context"
	"io"
)

// The virtual file by which a client learns what a server can do. A server
// that knows nothing of it rejects its download.
const (
	extensionsPath = "/.tpft-extensions/v1"
	extensionsText = `{"extensions":["stat","list","mkdir","sum","zstd","resume"]}`
)

// download sends a file.
func (p *session) download(ctx context.Context, r *downloadRequest) error {
	if r.DownloadPath == extensionsPath {
		return p.offer(ctx, int64(len(extensionsText)), func() error {
			p.extended = true
			return p.conn.SendFrom(ctx, bytes.NewReader([]byte(extensionsText)), int64(len(extensionsText)))
		})
	}
	f, size, err := p.files.open(r.DownloadPath)
	if err != nil {
		return reject("open", r.DownloadPath, err)
	}
	defer f.Close()
	if r.Offset > size {
		return &rejection{"the file is shorter than what is to be skipped of it"}
	}
	if _, err := f.Seek(r.Offset, io.SeekStart); err != nil {
		return reject("seek", r.DownloadPath, err)
	}
	p.print("download of %s, %d bytes from %d", r.DownloadPath, size, r.Offset)
	return p.offer(ctx, size, func() error {
		return p.sendFile(ctx, f, size-r.Offset, defaultChunk, r.Encoding)
	})
}

// offer tells the client the size of a file and sends it, if the client
// confirms that.
func (p *session) offer(ctx context.Context, size int64, send func() error) error {
	if err := p.send(ctx, typeOffer, &downloadConfirmation{size}); err != nil {
		return err
	}
	if ok, err := p.isConfirmed(ctx); !ok {
		return err
	}
	if err := send(); err != nil {
		return err
	}
	ok, err := p.isConfirmed(ctx)
	if ok {
		p.print("download complete")
	}
	return err
}

// isConfirmed reports whether the client goes on with a download. If it wants
// something else, that is the next request.
func (p *session) isConfirmed(ctx context.Context) (bool, error) {
	e, err := p.receive(ctx)
	switch {
	case err == io.EOF:
		return false, errEnded
	case err != nil:
		return false, err
	case e.Type == typeConfirmed || e.Type == typeOffer:
		return true, nil
	}
	p.print("download declined")
	p.unread = &e
	return false, nil
}
