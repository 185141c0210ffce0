package main

import (
	"context"
	"errors"
	"os"
)

var errReadOnly = errors.New("the server is read-only")

// upload receives a file.
func (p *session) upload(ctx context.Context, r *uploadRequest) error {
	if p.readOnly {
		return reject("upload", r.DestinationPath, errReadOnly)
	}
	dir, name, err := p.files.locate(r.DestinationPath)
	if err != nil {
		return reject("open", r.DestinationPath, err)
	}
	defer dir.Close()
	var w *draft
	var offset int64
	if r.Resume {
		w, offset, err = p.resume(ctx, r, dir, name)
	} else if w, err = p.drafts.create(dir, name, r.FileSize); err != nil {
		err = reject("open", r.DestinationPath, err)
	}
	if err != nil {
		return err
	}
	defer w.discard()
	p.print("upload to %s, %d bytes from %d", r.DestinationPath, r.FileSize, offset)
	if err := p.receiveFile(ctx, w.file, r.FileSize-offset, r.Encoding); err != nil {
		if kept, ok := errors.AsType[*rejection](err); ok {
			return reject("write", r.DestinationPath, kept)
		}
		return err
	}
	if err := p.busy(ctx, w.commit); err != nil {
		return reject("write", r.DestinationPath, err)
	}
	p.print("upload complete")
	return p.send(ctx, typeConfirmed, nothing{})
}

// resume opens what an interrupted upload has left, and agrees with the client
// on where to go on.
func (p *session) resume(ctx context.Context, r *uploadRequest, dir *os.Root, name string) (_ *draft, offset int64, err error) {
	w, err := p.drafts.resume(dir, name)
	if err != nil {
		return nil, 0, reject("open", r.DestinationPath, err)
	}
	defer func() {
		if err != nil {
			w.discard()
		}
	}()
	have, err := w.length()
	if err != nil {
		return nil, 0, reject("open", r.DestinationPath, err)
	}
	if have > r.FileSize {
		have = 0 // it is of another file
	}
	var prefix sum
	err = p.busy(ctx, func() (err error) {
		prefix, err = digest(ctx, w.file, have)
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = reject("read", r.DestinationPath, err)
	}
	if err != nil {
		return nil, 0, err
	}
	if err := p.send(ctx, typePartial, &prefix); err != nil {
		return nil, 0, err
	}
	answer := resumption{-1}
	if err := p.await(ctx, typeContinue, &answer); err != nil {
		return nil, 0, err
	}
	if answer.Offset != 0 && answer.Offset != prefix.Length {
		return nil, 0, &rejection{"an upload goes on at the end of what has arrived, or at 0"}
	}
	if err := w.goOn(answer.Offset, r.FileSize); err != nil {
		return nil, 0, reject("open", r.DestinationPath, err)
	}
	return w, answer.Offset, nil
}
