package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// workingInterval is how often a peer of the extensions hears that we are
// still at work.
const workingInterval = time.Second

// link is a connection on which envelopes and files are exchanged in turn. One
// goroutine uses it.
type link struct {
	conn     *tinyproto.Conn
	in       *intake // shared with the connection
	timeout  time.Duration
	extended bool      // the peer knows the extensions
	unread   *envelope // was received, and is the next to be received again
	codec    codec
}

// connOptions are those of a link's connection.
func connOptions(timeout time.Duration, accept conn.Accept) tinyproto.Options {
	return tinyproto.Options{
		MaxMessage:    maxFrame,
		HelloTimeout:  min(conn.DefaultHelloTimeout, timeout),
		StallTimeout:  timeout,
		AnswerTimeout: timeout,
		Grace:         grace,
		Accept:        accept,
	}
}

// rejection is a request that was refused, with the reason that the peer is
// told, or told us. The connection can be used further.
type rejection struct{ reason string }

func (r *rejection) Error() string { return r.reason }

// send sends an envelope.
func (l *link) send(ctx context.Context, kind string, letter letter) error {
	p, err := encode(kind, letter)
	if err != nil {
		return err
	}
	return l.conn.Send(ctx, p)
}

// receive returns the next envelope but those that say that the peer is at
// work. It is io.EOF at the clean end of the connection.
func (l *link) receive(ctx context.Context) (envelope, error) {
	if e := l.unread; e != nil {
		l.unread = nil
		return *e, nil
	}
	for {
		p, err := l.receiveMessage(ctx)
		if err != nil {
			return envelope{}, err
		}
		e, err := decode(p)
		if err != nil || e.Type != typeWorking {
			return e, err
		}
	}
}

// receiveMessage returns the next message, for which the peer may take the
// timeout without moving a byte.
func (l *link) receiveMessage(ctx context.Context) ([]byte, error) {
	began, left := time.Now(), l.timeout
	for {
		silent := &silentError{l.timeout}
		waiting, cancel := context.WithTimeoutCause(ctx, left, silent)
		p, err := l.conn.Receive(waiting)
		cancel()
		if !errors.Is(err, silent) {
			return p, err
		}
		left = l.timeout - idleSince(l.conn, began)
		if left <= 0 {
			return nil, err
		}
	}
}

// await receives an envelope of this type, and its letter unless that is nil; a
// rejection is an error of type [*rejection]. Confirmed is confirmed by a
// download's confirmation as well.
func (l *link) await(ctx context.Context, kind string, letter letter) error {
	e, err := l.receive(ctx)
	switch {
	case err == io.EOF:
		return errEnded
	case err != nil:
		return err
	case letter == nil && (e.Type == kind || e.Type == typeOffer && kind == typeConfirmed):
		return nil
	case e.Type == kind:
		return e.open(letter)
	case e.Type == typeRejected:
		var r rejected
		if err := e.open(&r); err != nil {
			return err
		}
		return &rejection{r.Reason}
	}
	return fmt.Errorf("expected an envelope of type %q, saw %.80q", kind, e.Type)
}

// confirmed awaits a confirmation.
func (l *link) confirmed(ctx context.Context) error { return l.await(ctx, typeConfirmed, nil) }

// busy does work that may take long, and tells a peer of the extensions from
// time to time that it goes on. The peer must be waiting for us.
func (l *link) busy(ctx context.Context, work func() error) error {
	if !l.extended {
		return work()
	}
	done := make(chan error, 1)
	go func() { done <- work() }() // ends with work, which busy waits for
	ticker := time.NewTicker(workingInterval)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			if err := l.send(ctx, typeWorking, nothing{}); err != nil {
				<-done
				return err
			}
		}
	}
}

// sendFile sends n bytes of file, from its offset on, in messages of at most
// chunk bytes.
func (l *link) sendFile(ctx context.Context, file *os.File, n, chunk int64, encoding string) error {
	var err error
	if encoding == encodingZstd {
		err = l.sendCompressed(ctx, file, n, chunk)
	} else {
		for left := n; left > 0 && err == nil; left -= chunk {
			err = l.conn.SendFrom(ctx, file, min(left, chunk))
		}
	}
	// A connection that breaks matches io.ErrUnexpectedEOF as well, but is not it.
	if partial, ok := errors.AsType[*conn.PartialError](err); ok && partial.Err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("the file became shorter while it was sent: %w", err)
	}
	return err
}

// receiveFile receives n bytes into file, from its offset on, once the peer is
// told that it may send them. If they came but could not be kept, or the peer
// sent more, the error is a [*rejection].
func (l *link) receiveFile(ctx context.Context, file *os.File, n int64, encoding string) error {
	if encoding == encodingZstd {
		l.in.forget(maxFrame)
	} else {
		l.in.expect(file, n)
	}
	defer l.in.forget(maxEnvelope)
	if err := l.send(ctx, typeConfirmed, nothing{}); err != nil {
		return err
	}
	if encoding == encodingZstd {
		return l.receiveCompressed(ctx, file, n)
	}
	err := l.in.wait(ctx, l.conn, l.timeout)
	if _, ok := errors.AsType[*rejection](err); err == nil || ok {
		return err
	}
	l.in.abandon(l.conn)
	at, _ := file.Seek(0, io.SeekCurrent)
	return fmt.Errorf("%d bytes into the file: %w", at, err)
}
