package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tinyproto-go/tinyproto"
)

// connect returns the connection to the server: the one there is, if it lives.
func (c *client) connect(ctx context.Context) (*link, error) {
	if c.link != nil && !isOver(c.link.conn) {
		return c.link, nil
	}
	c.drop()
	in := newIntake(true)
	c.dial.Timeout = min(tinyproto.DefaultDialTimeout, c.timeout)
	c.dial.Conn = connOptions(c.timeout, in.accept)
	nc, err := tinyproto.Dial(ctx, c.server(), &c.dial)
	if err != nil {
		return nil, fatal{err}
	}
	c.link = &link{conn: nc, in: in, timeout: c.timeout}
	if c.extended() {
		if err := c.requireExtensions(ctx); err != nil {
			c.drop()
			return nil, fatal{err}
		}
	}
	return c.link, nil
}

// drop ends the connection at once.
func (c *client) drop() {
	if c.link != nil {
		c.link.conn.Close()
		c.link = nil
	}
}

// close ends the connection as the server expects it. All that was to be
// copied is confirmed, so it does not matter whether that works.
func (c *client) close(ctx context.Context) {
	if c.link == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if c.link.send(ctx, typeClose, nothing{}) == nil {
		c.link.conn.Shutdown(ctx)
	}
	c.drop()
}

// request connects and sends a request, whose exchange begins.
func (c *client) request(ctx context.Context, kind string, letter letter) (*link, error) {
	if err := letter.valid(); err != nil {
		return nil, err
	}
	l, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.midway = true
	return l, l.send(ctx, kind, letter)
}

// requireExtensions asks what the server can do, in a way that one that knows
// of no extensions refuses: by the download of a file that is not there.
func (c *client) requireExtensions(ctx context.Context) error {
	text, err := c.extensions(ctx)
	var document struct {
		Extensions []string `json:"extensions"`
	}
	if _, refused := errors.AsType[*rejection](err); err != nil && !refused {
		return fmt.Errorf("asking what the server supports: %w", err)
	}
	if json.Unmarshal(text, &document) != nil { // also if there is none
		document.Extensions = nil
	}
	for _, need := range []struct {
		flag       string
		isSet      bool
		extensions []string
	}{
		{"-r", c.recursive, []string{"list", "mkdir"}},
		{"-c", c.compress, []string{"zstd"}},
		{"-check", c.check, []string{"sum"}},
		{"-resume", c.resume, []string{"sum", "resume"}},
	} {
		for _, name := range append(need.extensions, "stat") {
			if need.isSet && !slices.Contains(document.Extensions, name) {
				return fmt.Errorf("the server at %s does not support %s", c.server(), need.flag)
			}
		}
	}
	c.link.extended = true
	return nil
}

// extensions downloads the document that lists what the server can do. It is
// nil if that is no such document.
func (c *client) extensions(ctx context.Context) ([]byte, error) {
	l := c.link
	if err := l.send(ctx, typeDownload, &downloadRequest{DownloadPath: extensionsPath}); err != nil {
		return nil, err
	}
	offer := downloadConfirmation{-1}
	if err := l.await(ctx, typeOffer, &offer); err != nil || offer.FileSize > maxEnvelope {
		return nil, err
	}
	if err := l.send(ctx, typeConfirmed, nothing{}); err != nil {
		return nil, err
	}
	var text []byte
	for int64(len(text)) < offer.FileSize {
		p, err := l.receiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		text = append(text, p...)
	}
	return text, l.send(ctx, typeConfirmed, nothing{})
}

// remoteKind returns what is at a path of the server.
func (c *client) remoteKind(ctx context.Context, path string) (string, error) {
	answer, err := c.remoteStatus(ctx, path)
	return answer.Kind, err
}

func (c *client) remoteStatus(ctx context.Context, path string) (status, error) {
	answer := status{FileSize: -1}
	l, err := c.request(ctx, typeStat, &pathRequest{cmp.Or(path, ".")})
	if err == nil {
		err = l.await(ctx, typeStatus, &answer)
	}
	c.midway = c.midway && err != nil
	return answer, err
}
