package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// child is this program in another process and role. Each line that it reads
// is a command, which it answers with a line of JSON; it ends with its input.
type child struct {
	role string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startChild starts this program in a role, with input as JSON. It ends with
// ctx, at the latest.
func startChild(ctx context.Context, role string, input any, stderr io.Writer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	c := &child{role: role, cmd: exec.CommandContext(ctx, self, "-role="+role, "-input="+string(text))}
	c.cmd.Stderr = stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// read reads the child's next line into answer.
func (c *child) read(answer any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the %s says no more: %w", c.role, err)
	}
	return json.Unmarshal(line, answer)
}

// ask sends a command and reads the answer.
func (c *child) ask(command string, answer any) error {
	if _, err := io.WriteString(c.in, command+"\n"); err != nil {
		return fmt.Errorf("the %s hears no more: %w", c.role, err)
	}
	return c.read(answer)
}

// stop ends the child's input, reads its last words if it has any, and waits
// for its end.
func (c *child) stop(last any) error {
	c.in.Close()
	var err error
	if last != nil {
		err = c.read(last)
	}
	if ended := c.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("the %s: %w", c.role, ended))
	}
	return err
}

// shared is a Writer for several processes, and for us.
type shared struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
