package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tinyproto-go/tinyproto"
)

// client copies files one after another, over one connection as long as that
// lives. One goroutine uses it.
type client struct {
	*options
	stderr   io.Writer
	progress *progress
	dial     tinyproto.DialOptions
	link     *link // owned; nil while there is none
	midway   bool  // an exchange over the link is not over
	drafts   drafts
	failed   bool
	taken    map[string]bool // the destinations that sources of this call have
}

// copyAll copies all sources, as far as that is possible: like cp it goes on
// after one that failed. It reports whether none did.
func copyAll(ctx context.Context, o *options, stderr io.Writer) bool {
	c := &client{options: o, stderr: stderr, taken: map[string]bool{}}
	if o.progress {
		c.progress = newProgress(stderr)
	}
	err := c.copySources(ctx)
	c.close(ctx)
	if err != nil {
		c.failed = true
		complain(stderr, err)
	}
	return !c.failed
}

// copySources returns only what ends all: other errors it reports.
func (c *client) copySources(ctx context.Context) error {
	config, err := c.clientTLS()
	if err != nil {
		return err
	}
	c.dial = tinyproto.DialOptions{TLS: config}
	into, err := c.intoDirectory(ctx)
	if err != nil {
		return err
	}
	for _, source := range c.sources {
		copyOne := c.uploadSource
		if source.server != "" {
			copyOne = c.downloadSource
		}
		if err := c.settle(ctx, source.path, copyOne(ctx, source.path, into)); err != nil {
			return err
		}
	}
	return nil
}

// fatal is an error that leaves nothing more to do.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// settle is the end of one copy: it reports the error, unless that ends all,
// and sees to it that the next can use the connection.
func (c *client) settle(ctx context.Context, name string, err error) error {
	rejected, isRejected := errors.AsType[*rejection](err)
	if err != nil && c.midway && !isRejected {
		c.drop()
	}
	c.midway = false
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %s was not copied", context.Cause(ctx), name)
	}
	if _, ok := errors.AsType[fatal](err); ok {
		return err
	}
	if isRejected {
		err = fmt.Errorf("the server refused: %s", rejected.reason)
	}
	c.failed = true
	c.warn(name, plain(err))
	return nil
}

// warn prints what is to be known about a file.
func (c *client) warn(name, text string) { complain(c.stderr, errors.New(name+": "+text)) }

// intoDirectory reports whether DST is a directory to copy into. A server that
// knows the extensions is asked; otherwise it is for several sources, and with
// a slash at the end.
func (c *client) intoDirectory(ctx context.Context) (bool, error) {
	many, path := len(c.sources) > 1, c.dest.path
	if c.dest.server == "" {
		info, err := os.Stat(path)
		isDir := err == nil && info.IsDir()
		if !isDir && (many || strings.HasSuffix(path, "/")) {
			return false, fmt.Errorf("%s: expected a directory", path)
		}
		return isDir, nil
	}
	into := many || path == "" || strings.HasSuffix(path, "/")
	if !c.extended() || into && !many {
		return into, nil
	}
	kind, err := c.remoteKind(ctx, path)
	if err != nil {
		return false, err
	}
	if many && kind != kindDirectory {
		return false, fmt.Errorf("%s: expected a directory on the server, saw: %s", path, kind)
	}
	return kind == kindDirectory, nil
}

// take notes that a source goes to a destination, which no other one may.
func (c *client) take(dest string) error {
	if c.taken[dest] {
		return fmt.Errorf("another source was copied to %s", dest)
	}
	c.taken[dest] = true
	return nil
}

// uploadSource copies a local file or directory.
func (c *client) uploadSource(ctx context.Context, path string, into bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() && !c.recursive {
		return errors.New("is a directory (-r copies directories)")
	}
	dest := c.dest.path
	if name := filepath.Base(path); into && base(name) != "" {
		dest = join(dest, base(name))
	}
	if err := c.take(dest); err != nil {
		return err
	}
	if !info.IsDir() {
		return c.upload(ctx, everywhere{}, path, path, dest)
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return c.uploadTree(ctx, dir, path, dest)
}

// downloadSource copies a file or directory of the server.
func (c *client) downloadSource(ctx context.Context, path string, into bool) error {
	isDir := false
	if c.recursive {
		kind, err := c.remoteKind(ctx, path)
		if err != nil {
			return err
		}
		isDir = kind == kindDirectory
	}
	dest, name := c.dest.path, base(path)
	switch {
	case into && name != "":
		dest = filepath.Join(dest, name)
	case !isDir && name == "":
		return errors.New("names no file")
	}
	if err := c.take(dest); err != nil {
		return err
	}
	if !isDir {
		dir, name, err := localPlace(dest)
		if err != nil {
			return unwritable(dest, err)
		}
		defer dir.Close()
		return c.download(ctx, path, dir, name)
	}
	if err := os.Mkdir(dest, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return unwritable(dest, err)
	}
	dir, err := os.OpenRoot(dest)
	if err != nil {
		return unwritable(dest, err)
	}
	defer dir.Close()
	return c.downloadTree(ctx, path, dir)
}

// localPlace returns the directory and the name of a file that is to be
// written, behind symbolic links. The caller closes the directory.
func localPlace(path string) (*os.Root, string, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, "", err
		}
	}
	dir, err := os.OpenRoot(filepath.Dir(path))
	return dir, filepath.Base(path), err
}
