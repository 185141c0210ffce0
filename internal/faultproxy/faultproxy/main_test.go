package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestTheCommandForwardsAndSaysWhatItDid(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends with ctx
		err := run(ctx, []string{"-target", target.Addr().String(), "-split", "2"}, stdout, io.Discard)
		stdout.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	lines.Scan()
	nc, err := net.Dial("tcp", lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	server, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(20 * time.Second))
	nc.Write([]byte("hello"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "hello" {
		t.Errorf("the server reads %q, %v", got, err)
	}
	cancel()
	lines.Scan()
	if want := "1 connections, 5 bytes, 0 corrupted, 0 resets, 0 black holes, 0 half-closes"; lines.Text() != want {
		t.Errorf("it says %q, expected %q", lines.Text(), want)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeForwardedIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no target":         {nil, "-target is missing"},
		"an argument":       {[]string{"127.0.0.1:1"}, "unexpected argument"},
		"no place to be at": {[]string{"-target", "127.0.0.1:1", "-listen", "nowhere"}, "missing port"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), test.args, &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, expected one with %q", err, test.want)
			}
		})
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &stdout, &stderr); !errors.Is(err, flag.ErrHelp) || !strings.Contains(stderr.String(), "-blackhole bytes") {
		t.Errorf("error %v, expected flag.ErrHelp and the flags:\n%s", err, &stderr)
	}
}
