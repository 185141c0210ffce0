package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// copier runs the two processes of a copy.
type copier struct {
	parameters
	dir  string // owned
	tpft string // the program
	sum  [sha256.Size]byte
}

// newCopier builds tpft and makes the source, in a directory of its own.
func newCopier(ctx context.Context, p parameters) (*copier, error) {
	dir, err := os.MkdirTemp(p.dir, "tpft-measure-")
	if err != nil {
		return nil, err
	}
	c := &copier{parameters: p, dir: dir, tpft: filepath.Join(dir, "tpft.exe")}
	build := exec.CommandContext(ctx, "go", "build", "-o", c.tpft, "github.com/tinyproto-go/tinyproto/examples/tpft")
	build.Stderr = os.Stderr
	if err = build.Run(); err != nil {
		err = fmt.Errorf("build tpft: %w", err)
	} else {
		c.sum, err = fill(c.path("source"), p.size)
	}
	if err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

func (c *copier) remove() error { return os.RemoveAll(c.dir) }

func (c *copier) path(name string) string { return filepath.Join(c.dir, name) }

// fill writes size bytes that do not compress.
func fill(path string, size int64) (sum [sha256.Size]byte, err error) {
	f, err := os.Create(path)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, h), rand.NewChaCha8([32]byte{}), size)
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, f.Sync(), f.Close())
}

func (c *copier) floor(ctx context.Context) (result, error)  { return c.own(ctx, "floor") }
func (c *copier) memory(ctx context.Context) (result, error) { return c.own(ctx, "memory") }

// own runs this program for both ends.
func (c *copier) own(ctx context.Context, way string) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	receiver, address, err := startListening(exec.CommandContext(ctx, self,
		"end", way+"-receive", c.path("copy"), strconv.FormatBool(c.sync)))
	if err != nil {
		return result{}, err
	}
	defer receiver.kill()
	began := time.Now()
	sender, err := start(exec.CommandContext(ctx, self, "end", way+"-send", address, c.path("source"), strconv.FormatInt(c.chunk, 10)))
	if err != nil {
		return result{}, err
	}
	if err := sender.wait(); err != nil {
		return result{}, err
	}
	if err := receiver.wait(); err != nil {
		return result{}, err
	}
	return c.judge(time.Since(began), sender, receiver)
}

func (c *copier) upload(ctx context.Context) (result, error) {
	return c.transfer(ctx, true, func(address string) (from, to string) { return c.path("source"), address + ":copy" })
}

func (c *copier) download(ctx context.Context) (result, error) {
	return c.transfer(ctx, false, func(address string) (from, to string) { return address + ":source", c.path("copy") })
}

// transfer runs a tpft server and a client, and ends the server as a user does.
func (c *copier) transfer(ctx context.Context, upload bool, places func(address string) (from, to string)) (result, error) {
	server, address, err := startListening(exec.CommandContext(ctx, c.tpft, "-l", "127.0.0.1:0", "-root", c.dir))
	if err != nil {
		return result{}, err
	}
	defer server.kill()
	from, to := places(address)
	began := time.Now()
	client, err := start(exec.CommandContext(ctx, c.tpft, "-chunk-size", strconv.FormatInt(c.chunk, 10), from, to))
	if err != nil {
		return result{}, err
	}
	if err := client.wait(); err != nil {
		return result{}, err
	}
	took := time.Since(began)
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return result{}, err
	}
	if err := server.wait(); err != nil {
		return result{}, err
	}
	if upload {
		return c.judge(took, client, server)
	}
	return c.judge(took, server, client)
}

// judge checks what was copied, and takes the figures of both processes.
func (c *copier) judge(took time.Duration, sender, receiver *process) (result, error) {
	f, err := os.Open(c.path("copy"))
	if err != nil {
		return result{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return result{}, err
	}
	if [sha256.Size]byte(h.Sum(nil)) != c.sum {
		return result{}, errors.New("the copy differs from the source")
	}
	return result{took: took, send: sender.used(), receive: receiver.used()}, nil
}
