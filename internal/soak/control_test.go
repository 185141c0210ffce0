package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// startTest starts a server for a test, and kills it when the test ends.
func startTest(t *testing.T) *child {
	t.Helper()
	c, err := startServer(&config{connections: 10}, 1, t.TempDir(), t.Output(), func(account) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

func TestAServerSaysWhereItIsAndWhatItUses(t *testing.T) {
	c := startTest(t)
	var tcp, unix int
	for _, a := range c.addresses {
		switch network, _ := network(a); network {
		case "tcp":
			tcp++
		case "unix":
			unix++
		}
	}
	if tcp == 0 || unix == 0 {
		t.Errorf("addresses %q, expected some of TCP and of Unix sockets", c.addresses)
	}
	for _, order := range []string{orderUsage, orderCollect} {
		u, err := c.ask(order)
		if err != nil {
			t.Fatal(err)
		}
		if u.Heap == 0 || u.Goroutines == 0 {
			t.Errorf("%s: %+v", order, u)
		}
	}
	counted, err := c.end()
	if err != nil {
		t.Fatal(err)
	}
	if counted.Accounts != 0 || len(counted.Faults) > 0 || len(counted.Hubs) != len(policies) {
		t.Errorf("its last words: %+v", counted)
	}
}

func TestAServerThatWasKilledIsNoLongerAsked(t *testing.T) {
	c := startTest(t)
	c.kill()
	if _, err := c.ask(orderUsage); err == nil {
		t.Error("it answered")
	}
	if _, err := c.end(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("error %v, expected one that says that it was killed", err)
	}
}

func TestAServerEndsWithWhoStartedIt(t *testing.T) {
	c := startTest(t)
	c.in.Close() // as the end of the process does
	<-c.died
	if c.exit == nil || c.final != nil {
		t.Errorf("exit %v, last words %v: expected an error and none", c.exit, c.final)
	}
}

func TestAServerThatCannotListenDoesNotStart(t *testing.T) {
	var stderr bytes.Buffer
	_, err := startServer(&config{connections: 10}, 1, filepath.Join(t.TempDir(), "missing"), &stderr, func(account) {})
	if err == nil || !strings.Contains(err.Error(), "server 1 did not start") {
		t.Errorf("error %v, expected one that says that it did not start", err)
	}
	if !strings.Contains(stderr.String(), "no such file or directory") {
		t.Errorf("on stderr: %q", &stderr)
	}
}
