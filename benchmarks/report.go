package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

// report is what is printed in the end.
type report struct {
	results []result
	plan    workload.Plan
	rounds  int
	facts   []fact
}

// print prints the report, as Markdown or as text for a terminal.
func (r report) print(w io.Writer, markdown bool) error {
	p := printer{markdown: markdown}
	p.paragraph(r.how())
	for _, f := range r.facts {
		p.item(f.name + ": " + f.value)
	}
	for _, res := range r.results {
		t := tableOf(res)
		p.heading(t.title)
		p.table(t)
	}
	p.heading("The contestants")
	versions := moduleVersions()
	for _, c := range r.contestants() {
		p.item(about(c, versions))
	}
	if absent := r.absences(); len(absent) > 0 {
		p.heading("Left out")
		for _, a := range absent {
			p.item(a)
		}
	}
	_, err := io.WriteString(w, p.out.String())
	return err
}

// how says what the tables show.
func (r report) how() string {
	where := "both ends of the connections in one process"
	if r.plan.Processes == 2 {
		where = "the ends of the connections in two processes"
	}
	rounds := fmt.Sprintf("%d rounds", r.rounds)
	if r.rounds == 1 {
		rounds = "1 round"
	}
	return fmt.Sprintf("Medians of %s, in which the contestants took turns of %v, over TCP on the loopback interface, %s. "+
		"Ratios are to the reference's value of the same round: the median, and in brackets the least and the greatest; "+
		"a column \"fresh\" is to the reference that receives each message into a slice of its own. "+
		"MB/s are millions of bytes of payload. Of every message, the place in the order, the size and the first bytes were verified.", rounds, r.plan.Duration, where)
}

// contestants returns those who took part in something.
func (r report) contestants() []*contestant.Contestant {
	var list []*contestant.Contestant
	seen := map[string]bool{}
	for _, res := range r.results {
		for _, c := range res.entrants {
			if !seen[c.Name] {
				seen[c.Name] = true
				list = append(list, c)
			}
		}
	}
	return list
}

// about says what a contestant is, and what it does that this library does not.
func about(c *contestant.Contestant, versions map[string]string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s.", c.Name, c.How)
	for i, m := range c.Modules {
		s.WriteString([]string{" Made with ", " and "}[min(i, 1)])
		s.WriteString(m + " " + cmp.Or(versions[m], "of an unknown version"))
	}
	if len(c.Modules) > 0 {
		s.WriteString(".")
	}
	if c.More != "" {
		s.WriteString(" " + c.More)
	}
	return s.String()
}

// absences says who took no part in what, and why.
func (r report) absences() []string {
	type absent struct{ name, reason string }
	var order []absent
	events := map[absent][]string{}
	for _, res := range r.results {
		for _, a := range res.absent {
			who := absent{a.contestant.Name, a.reason}
			if events[who] == nil {
				order = append(order, who)
			}
			events[who] = append(events[who], res.workload.Name)
		}
		for _, c := range res.entrants {
			if err := res.failed[c.Name]; err != nil {
				who := absent{c.Name, "it failed: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
				order = append(order, who)
				events[who] = []string{res.workload.Name}
			}
		}
	}
	list := make([]string, len(order))
	for i, who := range order {
		list[i] = fmt.Sprintf("%s (%s): %s.", who.name, strings.Join(events[who], ", "), who.reason)
	}
	return list
}

// printer writes one of the two formats.
type printer struct {
	out      strings.Builder
	markdown bool
	last     string // what kind of thing was written
}

// begin puts an empty line between things of different kinds.
func (p *printer) begin(kind string) {
	if p.last != "" && (p.last != kind || kind != "item") {
		p.out.WriteString("\n")
	}
	p.last = kind
}

func (p *printer) heading(text string) {
	p.begin("heading")
	if p.markdown {
		text = "### " + text
	}
	p.out.WriteString(text + "\n")
}

func (p *printer) paragraph(text string) {
	p.begin("paragraph")
	p.out.WriteString(text + "\n")
}

func (p *printer) item(text string) {
	p.begin("item")
	p.out.WriteString("- " + text + "\n")
}

func (p *printer) table(t table) {
	p.begin("table")
	if p.markdown {
		p.row(t.head, nil)
		p.out.WriteString("|:--" + strings.Repeat("|--:", len(t.head)-1) + "|\n")
		for _, row := range t.rows {
			p.row(row, nil)
		}
		return
	}
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	p.row(t.head, widths)
	for _, row := range t.rows {
		p.row(row, widths)
	}
}

func (p *printer) row(cells []string, widths []int) {
	if p.markdown {
		p.out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		return
	}
	var line strings.Builder
	for i, cell := range cells {
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			line.WriteString(cell + space)
		} else {
			line.WriteString("  " + space + cell)
		}
	}
	p.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}
