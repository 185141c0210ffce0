// Package transcript loads the recorded sessions in testdata/transcripts, so
// that tests can replay them and compare against them byte by byte. The format
// is described in the README beside the files.
//
// The parser is strict: a line that it does not know is an error, because a
// line skipped in silence would be bytes missing from a test.
package transcript

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

const ext = ".txt"

// Direction says which end wrote. The client is the end that connected.
type Direction uint8

const (
	ClientToServer Direction = iota
	ServerToClient
)

// String returns the direction as the files spell it.
func (d Direction) String() string {
	if d == ClientToServer {
		return "C->S"
	}
	return "S->C"
}

// End says how a direction ended.
type End uint8

const (
	NoEnd End = iota // not an end: the event is data
	FIN
	RST
)

// String returns the end as the files spell it, and "data" for NoEnd.
func (e End) String() string {
	return [...]string{NoEnd: "data", FIN: "FIN", RST: "RST"}[e]
}

// Event is either a run of bytes, everything that one end wrote until anything
// else was seen, or the end of a direction. A run is never empty and an end has
// no data. Writes were not recorded: where a run was cut into writes is unknown.
type Event struct {
	From Direction
	Data []byte
	End  End
}

// Session is one recorded TCP connection. The times in the file are dropped:
// they differ from run to run.
type Session struct {
	Name     string   // the file name without ".txt"
	Run      string   // what was run
	Payload  []string // what was meant to be sent
	Observed []string // what the Python ends printed or did
	Peers    []string // whole "client: ..", "server: .." lines, without "# "

	// Events is in the order of the file. It is empty when nothing was
	// tapped or nobody connected, and has only ends when no byte was seen.
	Events []Event
}

// Concat returns all bytes that went in direction d.
func (s *Session) Concat(d Direction) []byte {
	var b []byte
	for _, e := range s.Events {
		if e.From == d {
			b = append(b, e.Data...)
		}
	}
	return b
}

// Load reads the session called name, the file name without ".txt".
func Load(fsys fs.FS, name string) (*Session, error) {
	text, err := fs.ReadFile(fsys, name+ext)
	if err != nil {
		return nil, err
	}
	// Git may check text files out with CRLF.
	return parse(name, strings.ReplaceAll(string(text), "\r\n", "\n"))
}

// LoadAll reads all sessions of a directory, sorted by name. A directory
// without any is an error, or a mistyped path would make a test pass.
func LoadAll(fsys fs.FS) ([]*Session, error) {
	files, err := fs.Glob(fsys, "*"+ext)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("transcript: expected *" + ext + " files, saw none")
	}
	all := make([]*Session, len(files))
	for i, file := range files {
		if all[i], err = Load(fsys, strings.TrimSuffix(file, ext)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func parse(name, text string) (*Session, error) {
	s := &Session{Name: name}
	n := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		n++
		var err error
		if n > 1 {
			err = s.addLine(line)
		} else if want := "# session: " + name; line != want {
			err = unexpected(strconv.Quote(want), line)
		}
		if err != nil {
			return nil, fmt.Errorf("%s%s:%d: %w", name, ext, n, err)
		}
	}
	return s, nil
}

func (s *Session) addLine(line string) error {
	if d, tokens, ok := cutDirection(line); ok {
		data, err := decode(tokens)
		if err != nil {
			return err
		}
		return s.add(Event{From: d, Data: data})
	}
	text, ok := strings.CutPrefix(line, "# ")
	if !ok {
		return unexpected(`"C->S ", "S->C " or "# "`, line)
	}
	if d, end, ok := cutDirection(text); ok {
		switch kind, _, _ := strings.Cut(end, " t="); kind {
		case "FIN":
			return s.add(Event{From: d, End: FIN})
		case "RST":
			return s.add(Event{From: d, End: RST})
		}
		if text == eagerRule {
			return s.add(eagerEvents()...)
		}
		return unexpected(`"FIN" or "RST", then nothing or " t=SECONDS"`, end)
	}
	if text == "no connection" || strings.HasPrefix(text, "t=") {
		return nil
	}
	switch key, value, _ := strings.Cut(text, ": "); key {
	case "run":
		s.Run = value
	case "payload":
		s.Payload = append(s.Payload, value)
	case "observed":
		s.Observed = append(s.Observed, value)
	case "client", "second client", "third client", "server":
		s.Peers = append(s.Peers, text)
	default:
		return unexpected(`"t=", a direction, or "run: ", "payload: ", "observed: ", "client: ", "server: "`, text)
	}
	return nil
}

// add refuses what no recording can hold: such a file was edited by mistake.
func (s *Session) add(events ...Event) error {
	for _, e := range events {
		for _, old := range s.Events {
			if old.From == e.From && old.End != NoEnd {
				return fmt.Errorf("expected no more of %v after its %v, saw %v", e.From, old.End, e.End)
			}
		}
		if n := len(s.Events); n > 0 && e.End == NoEnd && s.Events[n-1].End == NoEnd && s.Events[n-1].From == e.From {
			return fmt.Errorf("expected anything but data %v again, saw two lines of it in a row", e.From)
		}
		s.Events = append(s.Events, e)
	}
	return nil
}

func cutDirection(line string) (d Direction, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(line, "C->S "); ok {
		return ClientToServer, rest, true
	}
	rest, ok = strings.CutPrefix(line, "S->C ")
	return ServerToClient, rest, ok
}

// unexpected cuts what it quotes: a data line can be many kilobytes long.
func unexpected(want, saw string) error {
	return fmt.Errorf("expected %s, saw %.80q", want, saw)
}
