package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/tinyproto-go/tinyproto"
)

// server is what all connections share. It is immutable.
type server struct {
	files    *served
	readOnly bool
	timeout  time.Duration
	log      *log.Logger
}

// serve serves a directory until ctx ends.
func serve(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	if !o.verbose {
		stdout = io.Discard
	}
	files, err := openServed(o.root)
	if err != nil {
		return err
	}
	defer files.root.Close()
	s := &server{files: files, readOnly: o.readOnly, timeout: o.timeout, log: log.New(stdout, "", 0)}
	config, err := o.serverTLS()
	if err != nil {
		return err
	}
	server := tinyproto.Server{
		Handler:  s.handle,
		MaxConns: o.maxConns,
		Grace:    grace,
		Conn:     connOptions(o.timeout, nil),
		TLS:      config,
		Logger:   refusals(o.verbose, stdout, stderr),
	}
	server.Conn.HoldOffers = true // until handle has said what is accepted
	l, err := server.Listen(ctx, o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "listening on", l.Addr())
	return server.Serve(ctx, l)
}

// refusals tells of the connections that handle never sees, if the user wants
// to hear of them, and of what goes wrong in any case.
func refusals(verbose bool, stdout, stderr io.Writer) *slog.Logger {
	if !verbose {
		return slog.New(slog.NewTextHandler(stderr, nil))
	}
	return slog.New(unhandled{slog.NewTextHandler(stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})})
}

// unhandled leaves out the records of connections that had a handler, which
// has told what there was to tell.
type unhandled struct{ slog.Handler }

func (u unhandled) Handle(ctx context.Context, r slog.Record) error {
	for a := range r.Attrs {
		if a.Key == "handler" {
			return nil
		}
	}
	return u.Handler.Handle(ctx, r)
}

// session is one connection of a server. One goroutine uses it.
type session struct {
	*server
	*link
	drafts drafts
	peer   string
}

// handle serves one connection: requests one after another, until close.
func (s *server) handle(ctx context.Context, c *tinyproto.Conn) error {
	in := newIntake(false)
	c.SetAccept(in.accept)
	p := &session{server: s, link: &link{conn: c, in: in, timeout: s.timeout}, peer: c.RemoteAddr().String()}
	p.print("connected")
	err := p.serve(ctx)
	if err != nil {
		p.print("disconnected: %v", err)
	} else {
		p.print("disconnected")
	}
	return err
}

// print logs what happens. What it says may come from the client.
func (p *session) print(format string, args ...any) {
	p.log.Print(p.peer, " ", harmless(fmt.Sprintf(format, args...)))
}

func (p *session) serve(ctx context.Context) error {
	for {
		e, err := p.receive(ctx)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case e.Type == typeClose:
			return nil
		}
		err = p.carryOut(ctx, e)
		if r, ok := errors.AsType[*rejection](err); ok {
			p.print("rejected: %s", r.reason)
			err = p.send(ctx, typeRejected, &rejected{r.reason})
		}
		if err != nil {
			return err
		}
	}
}

// carryOut carries out one request. A [*rejection] is still to be sent; any
// other error ends the connection. Unknown types are ignored.
func (p *session) carryOut(ctx context.Context, e envelope) error {
	switch e.Type {
	case typeUpload:
		return with(ctx, e, &uploadRequest{FileSize: -1}, p.upload)
	case typeDownload:
		return with(ctx, e, &downloadRequest{}, p.download)
	case typeStat:
		return with(ctx, e, &pathRequest{}, p.stat)
	case typeList:
		return with(ctx, e, &pathRequest{}, p.list)
	case typeMkdir:
		return with(ctx, e, &pathRequest{}, p.mkdir)
	case typeSumOf:
		return with(ctx, e, &sumRequest{}, p.sum)
	}
	return nil
}

// with opens a request and hands it over.
func with[L letter](ctx context.Context, e envelope, request L, carryOut func(context.Context, L) error) error {
	if err := e.open(request); err != nil {
		return &rejection{err.Error()}
	}
	return carryOut(ctx, request)
}
