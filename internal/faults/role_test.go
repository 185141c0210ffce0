//go:build unix

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

var (
	duration = flag.Duration("duration", 300*time.Millisecond, "how long each scenario lasts")
	seed     = flag.Uint64("seed", 0, "what decides about times and places; 0 draws one")
)

// roleVariable tells the test binary what it is to be, inputVariable how, and
// clockVariable, unless it is empty, that its wall clock has to jump.
const (
	roleVariable  = "TINYPROTO_FAULTS_ROLE"
	inputVariable = "TINYPROTO_FAULTS_INPUT"
	clockVariable = "TINYPROTO_FAULTS_CLOCK"
)

// patience bounds what has to happen soon: only a failing test takes that long.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Getenv(inputVariable)); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // or each process takes 1 s to end under -race
	}
	leaktest.Main(m)
}

// play is the life of another process: it ends when its input does, with the
// one that started it at the latest. Each line of it asks for a report.
func play(role, input string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := json.NewEncoder(os.Stdout)
	if os.Getenv(clockVariable) != "" {
		if err := wallClock.watch(); err != nil {
			return err
		}
	}
	var report func() any
	var wait func() error
	var err error
	switch role {
	case "server":
		var o serverOrders
		if err = json.Unmarshal([]byte(input), &o); err == nil {
			report, wait, err = beServer(ctx, o)
		}
	case "client":
		var o clientOrders
		if err = json.Unmarshal([]byte(input), &o); err == nil {
			report, wait, err = beClient(ctx, o)
		}
	default:
		err = fmt.Errorf("no such role")
	}
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := out.Encode(report()); err != nil {
			return err
		}
	}
	cancel()
	err = wait()
	if last := out.Encode(report()); err == nil {
		err = last
	}
	return err
}

// process is this program in another process and role.
type process[Report any] struct {
	t      testing.TB
	role   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *output
	over   bool
}

// output collects what a process complains of.
type output struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// start starts a process, and kills it when the test ends. Its program is the
// build of this one whose wall clock jumps, or "" for this one itself.
func start[Report any](t testing.TB, jumping, role string, orders any) *process[Report] {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if jumping != "" {
		program = jumping
	}
	text, err := json.Marshal(orders)
	if err != nil {
		t.Fatal(err)
	}
	p := &process[Report]{t: t, role: role, cmd: exec.Command(program), stderr: &output{}}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role, inputVariable+"="+string(text))
	if jumping != "" {
		p.cmd.Env = append(p.cmd.Env, clockVariable+"=jumps")
	}
	p.cmd.Stderr = p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// asks has the process report.
func (p *process[Report]) asks() (r Report) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		p.t.Fatalf("the %s hears no more: %v\n%s", p.role, err, p.stderr)
	}
	return p.hears()
}

func (p *process[Report]) hears() (r Report) {
	p.t.Helper()
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		p.t.Fatalf("the %s does not report: %v\n%s", p.role, err, p.stderr)
	}
	return r
}

// ends has the process end by itself, and returns its last report.
func (p *process[Report]) ends() Report {
	p.t.Helper()
	p.in.Close()
	r := p.hears()
	p.over = true
	if err := p.cmd.Wait(); err != nil || p.stderr.String() != "" {
		p.t.Errorf("the %s ended with %v\n%s", p.role, err, p.stderr)
	}
	return r
}

// kill is kill -9.
func (p *process[Report]) kill() {
	if p.over {
		return
	}
	p.over = true
	p.cmd.Process.Kill()
	p.cmd.Wait() // "killed"
	if said := p.stderr.String(); said != "" {
		p.t.Errorf("the %s, which was killed, complained:\n%s", p.role, said)
	}
}

// signal stops the process, or has it go on.
func (p *process[Report]) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}
