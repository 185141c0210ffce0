package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/tinyproto-go/tinyproto/wire"
)

// patience is how long the server may take for one echo.
const patience = 10 * time.Second

// measure starts a server and returns its usage without connections and with n
// idle ones.
func measure(ctx context.Context, k kind, n int, stderr io.Writer) (row, error) {
	s, err := start(ctx, k, stderr)
	if err != nil {
		return row{}, err
	}
	r, err := s.measure(ctx, k, n)
	return r, errors.Join(err, s.stop())
}

// server is the process that serves.
type server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func start(ctx context.Context, k kind, stderr io.Writer) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, self, "-serve", k.name)}
	s.cmd.Stderr = stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), s.stop())
	}
	s.addr = line[:len(line)-1]
	return s, nil
}

// stop ends the server by ending its input.
func (s *server) stop() error {
	s.in.Close()
	return s.cmd.Wait()
}

func (s *server) measure(ctx context.Context, k kind, n int) (row, error) {
	before, err := s.usage(0)
	if err != nil {
		return row{}, err
	}
	for range n {
		nc, err := open(ctx, s.addr)
		if err != nil {
			return row{}, err
		}
		defer nc.Close()
	}
	after, err := s.usage(n)
	return row{k, before, after}, err
}

// usage has the server say what it uses, and how many connections it serves.
func (s *server) usage(connections int) (usage, error) {
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		return usage{}, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return usage{}, fmt.Errorf("asking for its usage: %w", err)
	}
	var u usage
	if err := json.Unmarshal(line, &u); err != nil {
		return usage{}, err
	}
	if u.Connections != int64(connections) {
		return usage{}, fmt.Errorf("%d connections open, but %d are served", connections, u.Connections)
	}
	return u, nil
}

// open opens a connection and sees a message echoed on it. It does so by hand:
// this end must not depend on what the other end is compared for.
func open(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	if err := echoOnce(nc); err != nil {
		nc.Close()
		return nil, fmt.Errorf("echo: %w", err)
	}
	return nc, nil
}

func echoOnce(nc net.Conn) error {
	hello := []byte{byte(wire.OK)}
	if _, err := nc.Write(hello); err != nil {
		return err
	}
	if _, err := io.ReadFull(nc, hello); err != nil {
		return err
	}
	if err := wire.CheckHello(hello[0]); err != nil {
		return err
	}
	msg := []byte("sixteen bytes ->")[:messageSize]
	if err := sendBare(nc, msg); err != nil {
		return err
	}
	size := make([]byte, wire.SizeLen)
	if _, err := io.ReadFull(nc, size); err != nil {
		return err
	}
	if want := wire.AppendSize(nil, messageSize); !bytes.Equal(size, want) {
		return fmt.Errorf("offered % x, expected % x", size, want)
	}
	if _, err := nc.Write([]byte{byte(wire.OK)}); err != nil {
		return err
	}
	reply := make([]byte, messageSize)
	if _, err := io.ReadFull(nc, reply); err != nil {
		return err
	}
	if !bytes.Equal(reply, msg) {
		return fmt.Errorf("reply %q, expected %q", reply, msg)
	}
	return nil
}
