package main

import (
	"fmt"
	"image"
	"image/color"
	"strings"
)

// The mark: two door leaves, closed, and light in the keyhole and under the door. There are people inside, and nobody
// sees them.

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

var (
	wallTop, wallFoot   = rgb(0x1f4b57), rgb(0x12303a)
	leafTop, leafFoot   = rgb(0xf4ecdd), rgb(0xdccfb6)
	panelTop, panelFoot = rgb(0xe6dbc5), rgb(0xcdbd9f)
	light, lightFoot    = rgb(0xffcb5e), rgb(0xf0a63a)
)

// mark returns the layers for a picture of size pixels. Small ones have a wider seam and no panels, on lines that fall
// between pixels: what is thinner than a pixel only blurs.
func mark(size int) []layer {
	door := arch{x0: 276, x1: 748, y1: 816, cx: 512, cy: 396, r: 236}
	gap := 8 // half the seam
	small := size < 48
	if small {
		door, gap = arch{x0: 256, x1: 768, y1: 832, cx: 512, cy: 384, r: 256}, grid/size
	}
	left, right := door, door
	left.x1, right.x0 = 512-gap, 512+gap
	layers := []layer{
		{box{0, 0, grid, grid, 228}, wallTop, wallFoot},
		{left, leafTop, leafFoot},
		{right, leafTop, leafFoot},
	}
	if !small {
		for _, p := range []shape{
			arch{x0: 322, x1: 472, y1: 500, cx: 512, cy: 396, r: 190},
			arch{x0: 552, x1: 702, y1: 500, cx: 512, cy: 396, r: 190},
			box{322, 640, 472, 772, 0}, box{552, 640, 702, 772, 0},
		} {
			layers = append(layers, layer{p, panelTop, panelFoot})
		}
	}
	layers = append(layers, keyhole(size)...)
	sill := layer{box{232, 840, 792, 872, 16}, light, lightFoot}
	if small {
		sill.shape = box{192, 832, 832, 896, 0}
	}
	return append(layers, sill)
}

// keyhole is a plate of the wall's colour with light in it.
func keyhole(size int) []layer {
	switch {
	case size < 24:
		return []layer{{box{384, 448, 640, 704, 64}, wallTop, wallFoot}, {box{448, 512, 576, 640, 0}, light, light}}
	case size < 48:
		return []layer{{box{384, 416, 640, 736, 96}, wallTop, wallFoot}, {box{448, 480, 576, 672, 32}, light, light}}
	}
	return []layer{
		{box{418, 436, 606, 704, 94}, wallTop, wallFoot},
		{disc{512, 532, 46}, light, light},
		{convex{image.Pt(496, 540), image.Pt(528, 540), image.Pt(550, 654), image.Pt(474, 654)}, light, light},
	}
}

// picture draws the mark. macOS wants about a tenth of margin around it, the others none.
func picture(size, margin int) *image.NRGBA { return draw(mark(size), size, margin) }

// svg is the mark as a picture of any size.
func svg() string {
	var b, gradients strings.Builder
	known := map[[2]color.NRGBA]string{}
	hex := func(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
	for _, l := range mark(grid) {
		fill := hex(l.top)
		if l.top != l.foot {
			key := [2]color.NRGBA{l.top, l.foot}
			if known[key] == "" {
				known[key] = fmt.Sprintf("g%d", len(known))
				fmt.Fprintf(&gradients, `<linearGradient id="%s" x2="0" y2="1"><stop stop-color="%s"/><stop offset="1" stop-color="%s"/></linearGradient>`+"\n",
					known[key], hex(l.top), hex(l.foot))
			}
			fill = "url(#" + known[key] + ")"
		}
		fmt.Fprintf(&b, `%s fill="%s"/>`+"\n", l.svg(), fill)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"><title>huisclos</title>`+"\n<defs>\n%s</defs>\n%s</svg>\n",
		grid, grid, gradients.String(), b.String())
}
