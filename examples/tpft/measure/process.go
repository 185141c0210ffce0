package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is one end of a copy.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed by whoever has waited for it
	memory chan int64    // cap 1: its peak, once it has ended
}

func start(cmd *exec.Cmd) (*process, error) {
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{}), memory: make(chan int64, 1)}
	go p.watchMemory() // ends when ended is closed
	return p, nil
}

const listening = "listening on "

// startListening starts a process that prints to stderr where it listens.
func startListening(cmd *exec.Cmd) (*process, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stderr = w
	p, err := start(cmd)
	w.Close()
	if err != nil {
		r.Close()
		return nil, "", err
	}
	b := bufio.NewReader(r)
	line, err := b.ReadString('\n')
	go func() { // ends with the process
		defer r.Close()
		io.Copy(os.Stderr, b)
	}()
	address, ok := strings.CutPrefix(strings.TrimSpace(line), listening)
	if !ok {
		p.kill()
		return nil, "", errors.Join(fmt.Errorf("%s: expected %sADDRESS, saw %q", cmd.Path, listening, line), err)
	}
	return p, address, nil
}

// wait waits until the process has ended by itself.
func (p *process) wait() error {
	err := p.cmd.Wait()
	close(p.ended)
	return err
}

// kill ends a process that was not waited for.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.wait()
	}
}

// used returns the figures of a process that has ended.
func (p *process) used() end {
	state := p.cmd.ProcessState
	return end{cpu: state.UserTime() + state.SystemTime(), memory: <-p.memory}
}

// watchMemory looks at the peak memory again and again, as the system keeps it
// as long as the process lives. What it says afterwards (ru_maxrss) is of no
// use: the memory of the one that started the process counts there.
func (p *process) watchMemory() {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for peak := int64(0); ; {
		select {
		case <-ticker.C:
			peak = max(peak, peakMemory(p.cmd.Process.Pid))
		case <-p.ended:
			p.memory <- peak
			return
		}
	}
}

// peakMemory returns 0 where there is no /proc.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
