package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A plot has both axes in powers of ten.
type plot struct {
	title, x, y string
	ticks       []float64 // of the x axis
	lines       []curve
}

type curve struct {
	name, color string
	dashed      bool
	points      []point
}

type point struct{ x, y, least, most float64 }

// Where things are on the drawing.
const (
	width, height           = 760, 420
	left, right, top, below = 70, 210, 50, 55
)

var colors = map[string]string{Bot: "#0b6e4f", Peer: "#b23a48", Bare: "#6b7280"}

// Latency plots the acks against the load.
func (r *Results) Latency() string {
	p := plot{title: "Ack, p99, against how many come at a time", x: "at a time", y: "ms"}
	for _, n := range r.Loads {
		p.ticks = append(p.ticks, float64(n))
	}
	for _, system := range []string{Peer, Bot, Bare} {
		for _, kind := range []string{"command", "submission", "click"} {
			c := curve{name: system + ", " + kind, color: colors[system], dashed: kind != "click"}
			for _, n := range r.Loads {
				if s, ok := r.usual(system, fmt.Sprintf("ack/%s/%d/p99", kind, n)); ok {
					c.points = append(c.points, point{float64(n), s.Median, s.Least, s.Most})
				}
			}
			p.add(c)
		}
	}
	return p.svg()
}

// Cost plots what a flow costs against the history.
func (r *Results) Cost() string {
	p := plot{title: "CPU for a whole flow, against decided requests in history", x: "decided requests in history", y: "ms"}
	for _, n := range r.Histories {
		p.ticks = append(p.ticks, float64(n))
	}
	for _, system := range []string{Peer, Bot} {
		for _, cost := range []struct{ name, title string }{{"cpu/flow", "itself"}, {"redis cpu/flow", "its Redis"}} {
			c := curve{name: system + ", " + cost.title, color: colors[system], dashed: cost.name != "cpu/flow"}
			for _, n := range r.Histories {
				if s, ok := r.of(system, "flows", n, 1, cost.name); ok {
					c.points = append(c.points, point{float64(n), s.Median, s.Least, s.Most})
				}
			}
			p.add(c)
		}
	}
	return p.svg()
}

func (p *plot) add(c curve) {
	if len(c.points) > 0 {
		p.lines = append(p.lines, c)
	}
}

// svg draws the plot.
func (p *plot) svg() string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range p.lines {
		for _, at := range c.points {
			low, high = min(low, at.least), max(high, at.most)
		}
	}
	if len(p.lines) == 0 || low <= 0 {
		low, high = 0.1, max(high, 1) // nothing, or nothing that a logarithm shows
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	first, last := p.ticks[0], p.ticks[len(p.ticks)-1]
	x := func(v float64) float64 { return left + scale(v, first, last)*(width-left-right) }
	y := func(v float64) float64 { return height - below - scale(max(v, low), low, high)*(height-top-below) }

	var b strings.Builder
	line(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, width, height)
	line(&b, `<rect width="100%%" height="100%%" fill="white"/>`)
	line(&b, `<text x="%d" y="24" font-size="15">%s</text>`, left, p.title)
	for v := low; v <= high*1.01; v *= 10 {
		line(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`, left, y(v), width-right, left-8, y(v)+4, v)
	}
	for _, v := range p.ticks {
		line(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(v), height-below+20, thousands(int(v)))
	}
	line(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-12, p.x)
	line(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, top-14, p.y)
	for _, c := range p.lines {
		c.draw(&b, x, y)
	}
	p.legend(&b, y)
	line(&b, `</svg>`)
	return b.String()
}

// scale is where a value lies between two others, by its logarithm.
func scale(v, low, high float64) float64 {
	if high == low {
		return 0
	}
	return (math.Log(v) - math.Log(low)) / (math.Log(high) - math.Log(low))
}

func (c *curve) draw(b *strings.Builder, x, y func(float64) float64) {
	var path []string
	for _, at := range c.points {
		path = append(path, fmt.Sprintf("%.1f %.1f", x(at.x), y(at.y)))
		line(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-opacity="0.4" stroke-width="4"/>`, x(at.x), y(at.least), y(at.most), c.color)
	}
	dash := ""
	if c.dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	line(b, `<path d="M%s" fill="none" stroke="%s" stroke-width="2"%s/>`, strings.Join(path, "L"), c.color, dash)
}

// legend names the lines at their ends, from the top, without one on another.
func (p *plot) legend(b *strings.Builder, y func(float64) float64) {
	end := func(c curve) float64 { return y(c.points[len(c.points)-1].y) }
	lines := slices.Clone(p.lines)
	slices.SortFunc(lines, func(a, b curve) int { return int(math.Copysign(1, end(a)-end(b))) })
	lowest := 0.0
	for _, c := range lines {
		at := max(end(c)+4, lowest+15)
		lowest = at
		line(b, `<text x="%d" y="%.1f" fill="%s">%s</text>`, width-right+10, at, c.color, c.name)
	}
}
