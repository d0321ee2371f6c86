package main

import (
	"fmt"
	"image"
	"image/color"
	"strings"
)

// Everything is drawn in integers: floating point may be fused differently on another processor, and the icons are
// part of what must come out the same everywhere.

// grid is the side of the drawing. Shapes are given in its units, points in unit-ths of them.
const (
	grid = 1024
	unit = 64
)

// shape is a filled area.
type shape interface {
	// contains says whether the point x, y, in unit-ths of the grid, is inside.
	contains(x, y int) bool
	// bounds is the smallest rectangle, in the grid, that holds it.
	bounds() image.Rectangle
	// svg is the same area as an SVG element without its end, so that a fill can be added.
	svg() string
}

// box is a rectangle with corners of radius r.
type box struct{ x0, y0, x1, y1, r int }

func (b box) bounds() image.Rectangle { return image.Rect(b.x0, b.y0, b.x1, b.y1) }

func (b box) contains(x, y int) bool {
	x0, y0, x1, y1, r := b.x0*unit, b.y0*unit, b.x1*unit, b.y1*unit, b.r*unit
	if x < x0 || x >= x1 || y < y0 || y >= y1 {
		return false
	}
	dx := max(x0+r-x, x-(x1-r), 0)
	dy := max(y0+r-y, y-(y1-r), 0)
	return dx*dx+dy*dy <= r*r
}

func (b box) svg() string {
	return fmt.Sprintf(`<rect x="%d" y="%d" width="%d" height="%d" rx="%d"`, b.x0, b.y0, b.x1-b.x0, b.y1-b.y0, b.r)
}

// arch is half of a doorway with a round top, cut at x0 and x1: the points between them, above y1, and under the
// circle of radius r around cx, cy.
type arch struct{ x0, x1, y1, cx, cy, r int }

func (a arch) bounds() image.Rectangle { return image.Rect(a.x0, a.cy-a.r, a.x1, a.y1) }

func (a arch) contains(x, y int) bool {
	if x < a.x0*unit || x >= a.x1*unit || y >= a.y1*unit {
		return false
	}
	dx, dy, r := x-a.cx*unit, min(y-a.cy*unit, 0), a.r*unit
	return dx*dx+dy*dy <= r*r
}

// top is the height of the circle at x, rounded.
func (a arch) top(x int) int {
	square := a.r*a.r - (x-a.cx)*(x-a.cx)
	root := 0
	for root*root < square {
		root++
	}
	return a.cy - root
}

func (a arch) svg() string {
	return fmt.Sprintf(`<path d="M%d %dV%dA%d %d 0 0 1 %d %dV%dz"`, a.x0, a.y1, a.top(a.x0), a.r, a.r, a.x1, a.top(a.x1), a.y1)
}

// disc is a circle.
type disc struct{ cx, cy, r int }

func (d disc) bounds() image.Rectangle { return image.Rect(d.cx-d.r, d.cy-d.r, d.cx+d.r, d.cy+d.r) }

func (d disc) contains(x, y int) bool {
	dx, dy, r := x-d.cx*unit, y-d.cy*unit, d.r*unit
	return dx*dx+dy*dy <= r*r
}

func (d disc) svg() string { return fmt.Sprintf(`<circle cx="%d" cy="%d" r="%d"`, d.cx, d.cy, d.r) }

// convex is a convex polygon, its corners clockwise on the screen.
type convex []image.Point

func (c convex) bounds() image.Rectangle {
	r := image.Rectangle{Min: c[0], Max: c[0]}
	for _, p := range c[1:] {
		r.Min.X, r.Min.Y = min(r.Min.X, p.X), min(r.Min.Y, p.Y)
		r.Max.X, r.Max.Y = max(r.Max.X, p.X), max(r.Max.Y, p.Y)
	}
	return r
}

func (c convex) contains(x, y int) bool {
	for i, a := range c {
		b := c[(i+1)%len(c)]
		if (b.X-a.X)*(y-a.Y*unit)-(b.Y-a.Y)*(x-a.X*unit) < 0 {
			return false
		}
	}
	return true
}

func (c convex) svg() string {
	var points []string
	for _, p := range c {
		points = append(points, fmt.Sprintf("%d,%d", p.X, p.Y))
	}
	return `<polygon points="` + strings.Join(points, " ") + `"`
}

// layer is a shape with its colour, which runs from top to foot of the shape's bounds.
type layer struct {
	shape
	top, foot color.NRGBA
}

// at is the layer's colour at height y, in unit-ths of the grid, where b are its bounds in the same.
func (l layer) at(y int, b image.Rectangle) color.NRGBA {
	span := b.Dy()
	d := min(max(y-b.Min.Y, 0), span)
	mix := func(a, b uint8) uint8 { return uint8((int(a)*(span-d) + int(b)*d) / span) }
	return color.NRGBA{mix(l.top.R, l.foot.R), mix(l.top.G, l.foot.G), mix(l.top.B, l.foot.B), 255}
}

// draw paints opaque layers over each other into a square of size pixels, the grid shrunk to leave margin
// thousandths free on each side.
func draw(layers []layer, size, margin int) *image.NRGBA {
	samples := 8 // a side, per pixel
	if size >= 256 {
		samples = 4
	}
	// One step between samples in unit-ths of the grid is whole/(size·samples); margins widen the whole.
	whole := grid * unit * 1000 / (1000 - 2*margin)
	offset := (whole - grid*unit) / 2
	point := func(i int) int { return (2*i+1)*whole/(2*size*samples) - offset }

	bounds := make([]image.Rectangle, len(layers))
	for i, l := range layers {
		b := l.bounds()
		bounds[i] = image.Rectangle{Min: b.Min.Mul(unit), Max: b.Max.Mul(unit)}
	}
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	rows, columns := make([]int, samples), make([]int, samples)
	for py := range size {
		for px := range size {
			for s := range samples {
				columns[s], rows[s] = point(px*samples+s), point(py*samples+s)
			}
			img.SetNRGBA(px, py, pixel(layers, bounds, columns, rows))
		}
	}
	return img
}

// pixel is the mean colour over the points where columns and rows cross.
func pixel(layers []layer, bounds []image.Rectangle, columns, rows []int) color.NRGBA {
	first, last := image.Pt(columns[0], rows[0]), image.Pt(columns[len(columns)-1], rows[len(rows)-1])
	area := image.Rectangle{Min: first, Max: last.Add(image.Pt(1, 1))}
	near := make([]int, 0, 16) // the layers that may matter, uppermost first
	for i := len(layers) - 1; i >= 0; i-- {
		if bounds[i].Inset(-1).Overlaps(area) {
			near = append(near, i)
		}
	}
	if len(near) == 0 {
		return color.NRGBA{}
	}
	// All shapes are convex: one that holds the corners holds every point, and hides what is below.
	top := layers[near[0]]
	solid := top.contains(first.X, first.Y) && top.contains(last.X, last.Y) && top.contains(first.X, last.Y) && top.contains(last.X, first.Y)
	var r, g, b, n int
	for _, y := range rows {
		if solid { // every column is alike
			c, k := top.at(y, bounds[near[0]]), len(columns)
			r, g, b, n = r+k*int(c.R), g+k*int(c.G), b+k*int(c.B), n+k
			continue
		}
		for _, x := range columns {
			for _, i := range near {
				if layers[i].contains(x, y) {
					c := layers[i].at(y, bounds[i])
					r, g, b, n = r+int(c.R), g+int(c.G), b+int(c.B), n+1
					break
				}
			}
		}
	}
	if n == 0 {
		return color.NRGBA{}
	}
	return color.NRGBA{uint8(r / n), uint8(g / n), uint8(b / n), uint8(n * 255 / (len(rows) * len(columns)))}
}
