package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// uploadTree copies what is in a local directory to one of the server, which
// is made if need be. Errors of what is in it are reported.
func (c *client) uploadTree(ctx context.Context, dir *os.Root, shown, dest string) error {
	if dest != "" {
		l, err := c.request(ctx, typeMkdir, &pathRequest{dest})
		if err == nil {
			err = l.confirmed(ctx)
		}
		if err != nil {
			return err
		}
		c.midway = false
	}
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(shown, name)
		if isReserved(name) {
			continue
		}
		switch kind := kindOf(e.Type()); kind {
		case kindFile:
			err = c.upload(ctx, dir, name, path, join(dest, name))
		case kindDirectory:
			err = inside(dir, name, func(sub *os.Root) error { return c.uploadTree(ctx, sub, path, join(dest, name)) })
		default:
			c.skip(path, kind)
			continue
		}
		if err := c.settle(ctx, path, err); err != nil {
			return err
		}
	}
	return nil
}

// inside opens a directory below another for f.
func inside(dir *os.Root, name string, f func(*os.Root) error) error {
	sub, err := openDirectory(dir, name)
	if err != nil {
		return err
	}
	defer sub.Close()
	return f(sub)
}

// skip tells that something is not copied.
func (c *client) skip(path, kind string) {
	what := map[string]string{
		kindSymlink:   "symbolic links are not copied",
		kindUnnamable: "its name is not UTF-8",
	}
	c.warn(path, "skipped: "+cmp.Or(what[kind], errNotRegular.Error()))
}

// downloadTree copies what is in a directory of the server to a local one.
// Errors of what is in it are reported.
func (c *client) downloadTree(ctx context.Context, path string, dir *os.Root) error {
	entries, err := c.listDirectory(ctx, path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from := join(path, e.Name)
		switch e.Kind {
		case kindFile:
			err = c.download(ctx, from, dir, e.Name)
		case kindDirectory:
			if err = makeDirectory(dir, e.Name); err == nil {
				err = inside(dir, e.Name, func(sub *os.Root) error { return c.downloadTree(ctx, from, sub) })
			}
		default:
			c.skip(from, e.Kind)
			continue
		}
		if err := c.settle(ctx, from, err); err != nil {
			return err
		}
	}
	return nil
}

// maxEntries is how many names a directory may have: they are held in memory.
const maxEntries = 1 << 20

// listDirectory returns what is in a directory of the server, by name. No name
// leads out of the local directory that it will be in.
func (c *client) listDirectory(ctx context.Context, path string) ([]entry, error) {
	l, err := c.request(ctx, typeList, &pathRequest{cmp.Or(path, ".")})
	if err != nil {
		return nil, err
	}
	var all []entry
	for more := true; more; {
		var batch listing
		if err := l.await(ctx, typeListing, &batch); err != nil {
			return nil, err
		}
		for _, e := range batch.Entries {
			if !isName(e.Name) && e.Kind != kindUnnamable {
				return nil, fmt.Errorf("the server lists the name %q, which could lead out of the directory", e.Name)
			}
		}
		all, more = append(all, batch.Entries...), batch.More
		if len(all) > maxEntries {
			return nil, fmt.Errorf("the server lists more than %d names", maxEntries)
		}
	}
	c.midway = false
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// isName reports whether a name is one in its directory, on any system.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && filepath.IsLocal(name) &&
		filepath.Base(name) == name
}
