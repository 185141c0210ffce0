package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/conn"
)

// runEnd is one end of a copy that is compared with tpft.
func runEnd(name string, args []string) error {
	ctx := context.Background()
	switch {
	case name == "floor-send" && len(args) == 3:
		return floorSend(args[0], args[1])
	case name == "memory-send" && len(args) == 3:
		chunk, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return memorySend(ctx, args[0], args[1], chunk)
	case name == "floor-receive" && len(args) == 2:
		return receive(args[0], args[1] == "true", func(nc net.Conn, f *os.File) error {
			_, err := io.Copy(f, nc)
			return err
		})
	case name == "memory-receive" && len(args) == 2:
		return receive(args[0], args[1] == "true", func(nc net.Conn, f *os.File) error {
			return memoryReceive(ctx, nc, f)
		})
	}
	return fmt.Errorf("no such end: %q %q", name, args)
}

func floorSend(address, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	_, err = io.Copy(nc, f)
	return errors.Join(err, nc.Close())
}

// receive accepts one connection and has it copied into the file.
func receive(path string, sync bool, copyInto func(net.Conn, *os.File) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, listening+l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		return err
	}
	defer nc.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = copyInto(nc, f)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func memorySend(ctx context.Context, address, path string, chunk int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := tinyproto.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		msg := make([]byte, chunk)
		n, err := io.ReadFull(f, msg)
		if n > 0 {
			if err := c.Send(ctx, msg[:n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return c.Shutdown(ctx)
		default:
			return err
		}
	}
}

func memoryReceive(ctx context.Context, nc net.Conn, f *os.File) error {
	c, err := conn.New(ctx, nc, nil)
	if err != nil {
		return err
	}
	for msg := range c.Inbox() {
		if _, err := f.Write(msg); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Err()
}
