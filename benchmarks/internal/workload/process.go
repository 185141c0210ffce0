package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// FarFlag is the first argument that this program starts itself with as a far
// end; the second one says which. Main must hand over to ServeFar then.
const FarFlag = "-far"

// farTask is that second argument, in JSON.
type farTask struct {
	Contestant string
	Settings   contestant.Settings
}

// question is a line to a far end in a process of its own. A broadcast is not
// answered.
type question struct {
	Ready     int  `json:",omitempty"`
	Broadcast int  `json:",omitempty"`
	Sent      bool `json:",omitempty"`
	Usage     bool `json:",omitempty"`
}

// answer is a line from it. The first one has the address.
type answer struct {
	Address string `json:",omitempty"`
	Sent    tally
	Usage   int64
	Error   string `json:",omitempty"`
}

// ServeFar is the far end's process. It ends with its input, and so with the
// process that started it, at the latest.
func ServeFar(task string, stdin io.Reader, stdout io.Writer) error {
	var t farTask
	if err := json.Unmarshal([]byte(task), &t); err != nil {
		return fmt.Errorf("the task of a far end: %w", err)
	}
	c, err := contestant.Named(t.Contestant)
	if err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // it is for whoever started us
	f, err := startLocal(c, t.Settings)
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	err = out.Encode(answer{Address: f.address()})
	for in := json.NewDecoder(stdin); err == nil; {
		var q question
		if err = in.Decode(&q); err != nil {
			break
		}
		if q.Broadcast > 0 {
			err = f.broadcast(q.Broadcast)
			continue
		}
		err = out.Encode(f.answer(q))
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, f.stop())
}

func (f *local) answer(q question) (a answer) {
	var err error
	switch {
	case q.Ready > 0:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = f.ready(ctx, q.Ready)
	case q.Sent:
		a.Sent, err = f.sent()
	case q.Usage:
		a.Usage, err = f.usage()
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// process is a far end in a process of its own.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	ask  *json.Encoder
	out  *json.Decoder
	host string
}

// startProcess starts a far end, which is killed when ctx ends.
func startProcess(ctx context.Context, c *contestant.Contestant, s contestant.Settings) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	task, err := json.Marshal(farTask{c.Name, s})
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, FarFlag, string(task))}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.ask, p.out = json.NewEncoder(p.in), json.NewDecoder(bufio.NewReader(out))
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	a, err := p.read()
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.host = a.Address
	return p, nil
}

func (p *process) read() (answer, error) {
	var a answer
	if err := p.out.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("the process of the far end says no more: %w", err)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("the far end: %s", a.Error)
	}
	return a, nil
}

func (p *process) tell(q question) error {
	if err := p.ask.Encode(q); err != nil {
		return fmt.Errorf("the process of the far end hears no more: %w", err)
	}
	return nil
}

func (p *process) answer(q question) (answer, error) {
	if err := p.tell(q); err != nil {
		return answer{}, err
	}
	return p.read()
}

func (p *process) address() string { return p.host }

func (p *process) ready(_ context.Context, n int) error {
	_, err := p.answer(question{Ready: n})
	return err
}

func (p *process) broadcast(n int) error { return p.tell(question{Broadcast: n}) }

func (p *process) sent() (tally, error) {
	a, err := p.answer(question{Sent: true})
	return a.Sent, err
}

func (p *process) usage() (int64, error) {
	a, err := p.answer(question{Usage: true})
	return a.Usage, err
}

// stop ends the far end's input, and waits for its end.
func (p *process) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}
