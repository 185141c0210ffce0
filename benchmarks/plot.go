package main

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
)

// Colours of the bars, by what a contestant is.
var colours = map[contestant.Role]color.Color{
	contestant.Ours:  color.RGBA{0x00, 0x7d, 0x9c, 0xff},
	contestant.Floor: color.RGBA{0xb8, 0xb8, 0xb8, 0xff},
	contestant.Other: color.RGBA{0xe0, 0x9f, 0x3e, 0xff},
}

const (
	plotWidth  = 18 * vg.Centimeter
	plotFrame  = 2.4 * vg.Centimeter // of the height: title and axis
	barSpacing = 0.62 * vg.Centimeter
	barWidth   = 0.42 * vg.Centimeter
	nameRoom   = 0.6 * vg.Centimeter // for a reader whose font is wider than ours
	labelRoom  = 1.22                // of the greatest value, for what stands beside the bars
)

// drawAll draws each result in a file of its own.
func drawAll(dir string, results []result) error {
	for _, r := range results {
		if len(r.values) == 0 {
			continue // everybody failed
		}
		if err := draw(filepath.Join(dir, r.workload.Name+".svg"), r); err != nil {
			return fmt.Errorf("drawing %s: %w", r.workload.Name, err)
		}
	}
	return nil
}

// draw draws the medians as bars, with a line from the least to the greatest
// value, the first contestant on top.
func draw(file string, r result) error {
	p := plot.New()
	p.Title.Text = r.workload.Title
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = r.workload.Unit
	if r.workload.LessIsBetter {
		p.X.Label.Text += " (less is better)"
	}
	p.X.Tick.Marker = plot.TickerFunc(ticks)
	p.Y.LineStyle.Width = 0
	p.Y.Padding = nameRoom
	p.Y.Tick.LineStyle.Width = 0
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant = "Sans"
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	p.Add(grid)

	entrants := slices.DeleteFunc(slices.Clone(r.entrants), func(c *contestant.Contestant) bool {
		return len(r.values[c.Name]) == 0
	})
	slices.Reverse(entrants) // the axis goes upwards
	names := make([]string, len(entrants))
	for i, c := range entrants {
		names[i] = c.Name
		s := spreadOf(r.values[c.Name])
		if err := addBar(p, float64(i), s, colours[c.Role]); err != nil {
			return err
		}
		p.X.Max = max(p.X.Max, s.most*labelRoom)
	}
	p.NominalY(names...)
	p.X.Min = 0
	return save(p, plotFrame+barSpacing*vg.Length(len(entrants)), file)
}

// addBar adds a bar, its spread and its value.
func addBar(p *plot.Plot, y float64, s spread, c color.Color) error {
	bar, err := plotter.NewBarChart(plotter.Values{s.median}, barWidth)
	if err != nil {
		return err
	}
	bar.Horizontal = true
	bar.XMin = y
	bar.Color = c
	bar.LineStyle.Width = 0
	whisker, err := plotter.NewXErrorBars(extent{s, y})
	if err != nil {
		return err
	}
	label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: s.most, Y: y}}, Labels: []string{numberText(s.median)}})
	if err != nil {
		return err
	}
	label.TextStyle[0].Font.Variant = "Sans"
	label.TextStyle[0].YAlign = text.YCenter
	label.Offset.X = vg.Points(4)
	p.Add(bar, whisker, label)
	return nil
}

// fonts are those to draw with, of equal widths; the first one is what the plot
// was laid out with.
const fonts = "Liberation Sans,Arial,Helvetica,sans-serif"

// save writes the plot as SVG.
func save(p *plot.Plot, height vg.Length, file string) error {
	canvas, err := p.WriterTo(plotWidth, height, "svg")
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	out := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:"+fonts+";"))
	return os.WriteFile(file, out, 0o666)
}

// ticks labels the axis in thousands or millions where that is shorter.
func ticks(least, most float64) []plot.Tick {
	all := plot.DefaultTicks{}.Ticks(least, most)
	unit, name := 1.0, ""
	switch {
	case most >= 1e6:
		unit, name = 1e6, " M"
	case most >= 1e4:
		unit, name = 1e3, " k"
	}
	for i, t := range all {
		if t.Label != "" && t.Value != 0 {
			all[i].Label = strconv.FormatFloat(t.Value/unit, 'f', -1, 64) + name
		}
	}
	return all
}

// extent is one point and its error bar, as plotter wants them.
type extent struct {
	spread
	y float64
}

func (e extent) Len() int                       { return 1 }
func (e extent) XY(int) (x, y float64)          { return e.median, e.y }
func (e extent) XError(int) (low, high float64) { return e.median - e.least, e.most - e.median }
