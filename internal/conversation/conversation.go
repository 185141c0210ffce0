// Package conversation reads the conversations in pipelined mode of PROTOCOL.md, so that
// what is tested is what is published.
package conversation

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tinyproto-go/tinyproto/wire"
)

// Talk is all that both ends wrote, in the order of time.
type Talk struct {
	Title string // the comment above it
	Lines []Line
}

// Line is what one end wrote, having read all lines before it.
type Line struct {
	From  string // "C", which asks, or "S"
	Items []Item
}

// Item is what an end wrote, or the end of its stream.
type Item struct {
	Kind    Kind
	Bytes   []byte     // as it is on the wire
	Terms   wire.Terms // of Agreement and Granted
	Payload string     // of Data
}

// Kind is what an Item is.
type Kind string

// The kinds.
const (
	Hello     Kind = "hello"
	Request   Kind = "request"
	Offer     Kind = "offer in classic mode"
	Refusal   Kind = "refusal"
	Agreement Kind = "OK and terms"
	Granted   Kind = "terms"
	Data      Kind = "DATA"
	OK        Kind = "OK"
	TooLarge  Kind = "TOO_LARGE"
	Ping      Kind = "PING"
	Pong      Kind = "PONG"
	Bye       Kind = "BYE"
	End       Kind = "EOF"
)

var signals = map[byte]Kind{
	byte(wire.OK): OK, byte(wire.TooLarge): TooLarge, byte(wire.Ping): Ping, byte(wire.Pong): Pong, byte(wire.Bye): Bye,
}

var lineFormat = regexp.MustCompile(`^    ([CS]) -> [CS]   (.+)$`)

// Read returns the conversations of a document, and the rows of the table of
// errors that follows them, each as its cells.
func Read(doc string) (talks []Talk, errors [][]string, err error) {
	_, text, found := strings.Cut(strings.ReplaceAll(doc, "\r\n", "\n"), "## Test vectors of pipelined mode\n")
	if !found {
		return nil, nil, fmt.Errorf("no vectors of pipelined mode in %d bytes", len(doc))
	}
	text, _, _ = strings.Cut(text, "\n## ")
	text, table, _ := strings.Cut(text, "|---|---|---|\n")
	for row := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		errors = append(errors, strings.Split(strings.Trim(row, "| "), " | "))
	}
	for text := range strings.SplitSeq(text, "\n") {
		comment, isComment := strings.CutPrefix(text, "    # ")
		line := lineFormat.FindStringSubmatch(text)
		last := len(talks) - 1
		switch {
		case isComment && (last < 0 || len(talks[last].Lines) > 0):
			talks = append(talks, Talk{Title: comment})
		case isComment:
			talks[last].Title += " " + comment
		case line != nil && last >= 0:
			items, err := talks[last].items(line[1], line[2])
			if err != nil {
				return nil, nil, fmt.Errorf("%q: %w", text, err)
			}
			talks[last].Lines = append(talks[last].Lines, Line{line[1], items})
		case strings.HasPrefix(text, "    "):
			return nil, nil, fmt.Errorf("%q is neither a comment nor a line of a conversation", text)
		}
	}
	return talks, errors, nil
}

// Of returns the items that an end writes, in their order.
func (c *Talk) Of(end string) []Item {
	var all []Item
	for _, line := range c.Lines {
		if line.From == end {
			all = append(all, line.Items...)
		}
	}
	return all
}

// items tells the items of a line apart, by those before it.
func (c *Talk) items(end, line string) ([]Item, error) {
	before := c.Of(end)
	had := func(k Kind) bool { return slices.ContainsFunc(before, func(i Item) bool { return i.Kind == k }) }
	var items []Item
	for text := range strings.SplitSeq(line, " | ") {
		i := Item{Kind: End}
		if text != "EOF" {
			p, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
			if err != nil || len(p) == 0 {
				return nil, fmt.Errorf("%q is not hex: %w", text, err)
			}
			i = item(p, len(before) == 0, had(Agreement) || had(Granted))
		}
		if i.Kind == "" {
			return nil, fmt.Errorf("%q is no item here", text)
		}
		items = append(items, i)
		before = append(before, i)
	}
	return items, nil
}

// item is what p is, without a Kind if it is none.
func item(p []byte, first, agreed bool) Item {
	i := Item{Bytes: p}
	isSize := len(p) >= wire.SizeLen && p[0] <= wire.MaxSize>>24
	switch {
	case first:
		i.Kind = Hello
	case agreed && isSize && len(p) == wire.SizeLen+int(binary.BigEndian.Uint32(p)):
		i.Kind, i.Payload = Data, string(p[wire.SizeLen:])
	case agreed && len(p) == 1:
		i.Kind = signals[p[0]]
	case agreed:
	case string(p) == wire.PipelinedRequest:
		i.Kind = Request
	case len(p) == 1 && p[0] == byte(wire.Error):
		i.Kind = Refusal
	case len(p) == wire.SizeLen && isSize:
		i.Kind = Offer
	case len(p) == 1+wire.TermsLen && p[0] == byte(wire.OK):
		i.Kind = Agreement
		i.Terms, _ = wire.ParseTerms(p[1:])
	case len(p) == wire.TermsLen:
		i.Kind = Granted
		i.Terms, _ = wire.ParseTerms(p)
	}
	return i
}
