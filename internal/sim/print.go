package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// String is the plan in lines, without what is at its zero value.
func (p *plan) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	kind := "wild"
	if p.gentle {
		kind = "gentle: nothing may be lost"
	}
	line("plan: %s, %s; all ends after %v", p.topology, kind, p.limit)
	line("  network: %s", fields(p.network))
	if p.topology != pairTopology {
		line("  server: %s", fields(p.server))
	}
	switch p.topology {
	case hubTopology:
		line("  hub: %s", fields(p.hub))
	case relayTopology:
		line("  relay: %s", fields(p.relay))
	}
	for _, c := range p.clients {
		line("  %s dials after %v", c.name, c.start)
		for _, e := range []*endPlan{c.dialer, c.served} {
			line("    %s, whose messages are %d/...", e.name, e.number)
			line("      options: %s", fields(e.options))
			for _, producer := range e.sender.producers {
				line("      sends%s: %s", pace(producer), messages(producer.messages))
			}
			if e.sender.echo {
				line("      sends back what it receives by %s", e.sender.way)
			}
			if e.sender.request {
				line("      awaits a reply to each")
			}
			line("      receives: %s", fields(e.receiver))
			line("      ends it: %s", fields(e.finish))
		}
	}
	for _, f := range p.faults {
		line("  fault: %s", fields(f))
	}
	return b.String()
}

func pace(p producerPlan) string {
	s := ""
	if p.think > 0 {
		s += fmt.Sprintf(" every %v", p.think)
	}
	if p.patience > 0 {
		s += fmt.Sprintf(" with %v for each", p.patience)
	}
	return s
}

func messages(all []messagePlan) string {
	var parts []string
	for _, m := range all {
		s := fmt.Sprintf("%d by %s", m.size, m.way)
		if m.pause > 0 {
			s += fmt.Sprintf(" with pauses of %v", m.pause)
		}
		if m.failAt >= 0 {
			s += fmt.Sprintf(" failing at %d", m.failAt)
		}
		parts = append(parts, s)
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// fields lists the fields of a struct that are not at their zero value.
func fields(s any) string { return fieldsOf(reflect.ValueOf(s)) }

func fieldsOf(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		value := fmt.Sprint(f)
		switch {
		case f.Type() == reflect.TypeFor[time.Duration]():
			value = time.Duration(f.Int()).String()
		case f.Kind() == reflect.Struct:
			value = "{" + fieldsOf(f) + "}"
		}
		parts = append(parts, v.Type().Field(i).Name+" "+value)
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}
