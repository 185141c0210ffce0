package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// searcher runs searches, a few at a time.
type searcher struct {
	limit time.Duration
	slots chan struct{} // one for each search at a time
	all   sync.WaitGroup
	cpu   atomic.Int64 // nanoseconds, of all programs that were run
}

// start begins the searches, and returns a channel for the result of each.
func (s *searcher) start(ctx context.Context, runs []verification) []chan result {
	results := make([]chan result, len(runs))
	for i := range runs {
		results[i] = make(chan result, 1)
	}
	s.all.Go(func() { // ends when all have begun
		for i, v := range runs {
			s.slots <- struct{}{}
			s.all.Go(func() { // ends with its search, which ends with ctx
				defer func() { <-s.slots }()
				results[i] <- s.search(ctx, v)
			})
		}
	})
	return results
}

// wait waits for all searches.
func (s *searcher) wait() { s.all.Wait() }

// search makes a verifier of the model and runs it, in a directory of its own,
// which it leaves only if the result is not what is expected.
func (s *searcher) search(ctx context.Context, v verification) result {
	if ctx.Err() != nil {
		return result{Failure: context.Cause(ctx)}
	}
	dir, err := os.MkdirTemp("", "verifymodel-")
	if err != nil {
		return result{Failure: err}
	}
	r := s.searchIn(ctx, dir, v)
	if _, err := v.judge(r); err == nil || ctx.Err() != nil {
		os.RemoveAll(dir)
	} else {
		r.Dir = dir
	}
	return r
}

func (s *searcher) searchIn(ctx context.Context, dir string, v verification) result {
	spin := append(append([]string{"-a"}, v.defines()...), v.Model)
	if _, _, err := s.command(ctx, dir, "spin", spin...); err != nil {
		return result{Failure: err}
	}
	compile, options := v.verifier()
	if _, _, err := s.command(ctx, dir, "gcc", compile...); err != nil {
		return result{Failure: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("not complete after %v", s.limit))
	defer cancel()
	output, cpu, err := s.command(ctx, dir, filepath.Join(dir, "pan"), options...)
	// A verifier that finds an error, or not enough memory, may say so with its
	// status, too: what counts is what it prints.
	if status := (*exec.ExitError)(nil); errors.As(err, &status) && status.Exited() {
		err = nil
	}
	r := parseOutput(output)
	r.CPU = cpu
	if err != nil {
		r.Failure = err
	}
	return r
}

// Limits of one search. maxDepth states of a path take about 110 MB.
const (
	maxDepth  = 2_000_000
	maxMemory = 1900 // MB
)

// verifier returns how the verifier is compiled, and with what options it runs.
func (v *verification) verifier() (compile, options []string) {
	// Most searches take less time than a compiler that optimizes.
	compile = []string{"-w", "-o", "pan", "-O0", "-DVECTORSZ=2048", fmt.Sprintf("-DMEMLIM=%d", maxMemory)}
	// No report of what is unreached; at a valid end, all channels are empty.
	options = []string{"-n", "-q", fmt.Sprintf("-m%d", maxDepth), "-w22"}
	switch v.Mode {
	case "safety":
		compile = append(compile, "-DSAFETY", "-DNOCOMP") // to compress states takes longer than to keep them
	case "progress":
		compile = append(compile, "-DNP")
		options = append(options, "-l")
	case "fair":
		compile = append(compile, "-DNP", "-DNFAIR=4", "-O2") // but not these: they visit a state often
		options = append(options, "-l", "-f")
	}
	return append(compile, "pan.c"), options
}

// command runs a program in dir and returns all that it prints, and the CPU
// time that it took. If ctx ends, so does the program.
func (s *searcher) command(ctx context.Context, dir, name string, args ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var cpu time.Duration
	if p := cmd.ProcessState; p != nil {
		cpu = p.UserTime() + p.SystemTime()
		s.cpu.Add(int64(cpu))
	}
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	} else if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(name), err, firstLines(output.Bytes(), 3))
	}
	return output.String(), cpu, err
}

// firstLines returns the first n lines of text, joined.
func firstLines(text []byte, n int) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(lines[:min(n, len(lines))], []byte(" | "))
}
