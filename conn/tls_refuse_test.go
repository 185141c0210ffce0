package conn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

func TestRefuseTellsAPeerOverTLSWhy(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			client, server := tlsOver(t, x, y)
			failed := make(chan error, 1)
			go func() { // ends with the hello
				_, err := conn.New(t.Context(), client, nil)
				failed <- err
			}()
			if err := conn.Refuse(t.Context(), server); err != nil {
				t.Errorf("Refuse returned %v", err)
			}
			if err := <-failed; !errors.Is(err, conn.ErrConnLimit) || !errors.Is(err, conn.ErrRefused) {
				t.Errorf("New returned %v, expected ErrConnLimit", err)
			}
		})
	}
}

func TestRefuseOverTLSIsBoundedAndSaysWhatFailed(t *testing.T) {
	cause := errors.New("stopped by the test")
	config := &tls.Config{Certificates: []tls.Certificate{testcert.New("authority").Server("server")}}
	for _, tt := range []struct {
		name  string
		peer  func(*memConn, context.CancelCauseFunc)
		after time.Duration
		want  string
		is    error
	}{
		{
			"a silent peer", func(*memConn, context.CancelCauseFunc) {}, time.Second,
			"tinyproto: TLS handshake with memory: not complete within 1s: i/o timeout", os.ErrDeadlineExceeded,
		},
		{
			"the context ends", func(_ *memConn, cancel context.CancelCauseFunc) { cancel(cause) }, 0,
			"tinyproto: TLS handshake with memory: stopped by the test", cause,
		},
		{
			"a peer that ends", func(p *memConn, _ context.CancelCauseFunc) { p.Close() }, 0,
			"tinyproto: TLS handshake with memory: hello refused: the peer ended the connection in the middle of the handshake", conn.ErrRefused,
		},
		{
			"a peer without TLS that stays", func(p *memConn, _ context.CancelCauseFunc) { io.WriteString(p, "rubbish") }, time.Second,
			"tinyproto: TLS handshake with memory: the peer does not speak TLS: its first byte is 0x72, expected 0x16: " +
				"tls: first record does not look like a TLS handshake", conn.ErrNotTLS,
		},
		{
			"a peer that shakes hands and stays",
			func(p *memConn, _ context.CancelCauseFunc) {
				time.Sleep(time.Second / 2)
				tls.Client(p, &tls.Config{InsecureSkipVerify: true}).Handshake()
			},
			time.Second, "<nil>", nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaktest.Check(t)
			synctest.Test(t, func(t *testing.T) {
				nc, peer := memPair(t, 64<<10)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				start := time.Now()
				refused := make(chan error, 1)
				go func() { refused <- conn.Refuse(ctx, tls.Server(nc, config)) }() // ends within a second
				synctest.Wait()
				tt.peer(peer, cancel)
				err := <-refused
				if took := time.Since(start); took != tt.after {
					t.Errorf("Refuse took %v, expected %v", took, tt.after)
				}
				if fmt.Sprint(err) != tt.want || !errors.Is(err, tt.is) {
					t.Errorf("Refuse returned %q, expected %q", fmt.Sprint(err), tt.want)
				}
				if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the transport is not closed: %v", err)
				}
			})
		})
	}
}
