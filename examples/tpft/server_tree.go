package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
	"unicode/utf8"
)

// stat tells what is at a path, behind symbolic links.
func (p *session) stat(ctx context.Context, r *pathRequest) error {
	name, err := p.files.relative(r.Path)
	if err != nil {
		return reject("stat", r.Path, err)
	}
	info, err := p.files.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.send(ctx, typeStatus, &status{Kind: kindMissing})
	case err != nil:
		return reject("stat", r.Path, err)
	}
	answer := status{Kind: kindOf(info.Mode())}
	if answer.Kind == kindFile {
		answer.FileSize = info.Size()
	}
	return p.send(ctx, typeStatus, &answer)
}

// mkdir makes a directory, unless it is there.
func (p *session) mkdir(ctx context.Context, r *pathRequest) error {
	if p.readOnly {
		return reject("mkdir", r.Path, errReadOnly)
	}
	name, err := p.files.relative(r.Path)
	if err == nil {
		err = makeDirectory(p.files.root, name)
	}
	if err != nil {
		return reject("mkdir", r.Path, err)
	}
	return p.send(ctx, typeConfirmed, nothing{})
}

// makeDirectory makes a directory, unless it is there.
func makeDirectory(root *os.Root, name string) error {
	err := root.Mkdir(name, 0o777)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := root.Stat(name)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return err
}

// A listing is sent in envelopes of about this size in bytes: a name of 255
// bytes, all of them escaped, fits behind it.
const listingSize = 32 << 10

// list sends the names in a directory, in no order, and what they are.
func (p *session) list(ctx context.Context, r *pathRequest) error {
	name, err := p.files.relative(r.Path)
	if err != nil {
		return reject("list", r.Path, err)
	}
	dir, err := openDirectory(p.files.root, name)
	if err != nil {
		return reject("list", r.Path, err)
	}
	defer dir.Close()
	f, err := dir.Open(".")
	if err != nil {
		return reject("list", r.Path, err)
	}
	defer f.Close()
	batch, size := listing{Entries: []entry{}, More: true}, 0
	for {
		found, err := f.ReadDir(64)
		if err != nil && err != io.EOF {
			return reject("list", r.Path, err)
		}
		for _, d := range found {
			if isReserved(d.Name()) {
				continue
			}
			e := entry{Name: d.Name(), Kind: kindOf(d.Type())}
			if !utf8.ValidString(e.Name) {
				e.Kind = kindUnnamable
			}
			text, err := json.Marshal(e)
			if err != nil {
				return err
			}
			batch.Entries = append(batch.Entries, e)
			if size += len(text); size > listingSize {
				if err := p.send(ctx, typeListing, &batch); err != nil {
					return err
				}
				batch.Entries, size = batch.Entries[:0], 0
			}
		}
		if err == io.EOF {
			batch.More = false
			return p.send(ctx, typeListing, &batch)
		}
	}
}

// sum sends the SHA-256 sum of a file, or of its beginning.
func (p *session) sum(ctx context.Context, r *sumRequest) error {
	f, _, err := p.files.open(r.Path)
	if err != nil {
		return reject("open", r.Path, err)
	}
	defer f.Close()
	length := int64(math.MaxInt64)
	if r.Length != nil {
		length = *r.Length
	}
	var answer sum
	err = p.busy(ctx, func() (err error) {
		answer, err = digest(ctx, f, length)
		return err
	})
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		return reject("read", r.Path, err)
	}
	return p.send(ctx, typeSum, &answer)
}
