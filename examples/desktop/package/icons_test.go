package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictureSame compares pixels with those drawn once: they must be the same on every machine and with every Go.
func TestPictureSame(t *testing.T) {
	for _, tt := range []struct {
		size, margin int
		want         string
	}{
		{16, 0, "9a0f58c3707e2e9558d7176a129c5d85bba8b27efd60b76b5a5043eef54eff49"},
		{64, 0, "037a323c36c688982109d4bcb023ac95bedca4e7faca6c4e80906f5ec6214d00"},
		{64, icnsMargin, "63bedb78000d73296fedb81d53f646a5347086e8f74e37c62d8ac0f3a147803f"},
	} {
		img := picture(tt.size, tt.margin)
		if got := fmt.Sprintf("%x", sha256.Sum256(img.Pix)); got != tt.want {
			t.Errorf("%d pixels with margin %d: %s, want %s; if the mark was changed, draw icons/ anew with -icons", tt.size, tt.margin, got, tt.want)
		}
	}
}

func TestPicture(t *testing.T) {
	img := picture(256, 0)
	for name, tt := range map[string]struct {
		x, y int
		want color.NRGBA
	}{
		"outside the corner": {0, 0, color.NRGBA{}},
		"keyhole":            {128, 133, light},
		"seam":               {128, 80, img.NRGBAAt(30, 80)}, // the wall shows through
	} {
		if got := img.NRGBAAt(tt.x, tt.y); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	for y := range 256 {
		for x := range 128 {
			if a, b := img.NRGBAAt(x, y), img.NRGBAAt(255-x, y); a != b {
				t.Fatalf("%d, %d: %v, and %v on the other side", x, y, a, b)
			}
		}
	}
	if margin := picture(256, icnsMargin); margin.NRGBAAt(128, 20).A != 0 || margin.NRGBAAt(128, 30).A != 255 {
		t.Error("the margin for macOS is not a tenth")
	}
}

func TestICO(t *testing.T) {
	ico := encodeICO(icons(icoSizes))
	le := binary.LittleEndian
	if le.Uint32(ico) != 0x10000 || int(le.Uint16(ico[4:])) != len(icoSizes) {
		t.Fatalf("head %x", ico[:6])
	}
	end := 6 + 16*len(icoSizes)
	for i, size := range icoSizes {
		e := ico[6+16*i:]
		length, offset := int(le.Uint32(e[8:])), int(le.Uint32(e[12:]))
		if int(e[0]) != size%256 || int(e[1]) != size%256 || le.Uint16(e[6:]) != 32 || offset != end {
			t.Fatalf("entry %d: %x", i, e[:16])
		}
		end += length
		data := ico[offset : offset+length]
		if want := picture(size, 0); !bytes.Equal(decodeIcon(t, data, size).Pix, want.Pix) {
			t.Errorf("%d pixels: read back, it is another picture", size)
		}
	}
	if end != len(ico) {
		t.Errorf("%d bytes, %d are accounted for", len(ico), end)
	}
}

// decodeIcon reads a picture of an .ico: a PNG, or a bitmap and its mask.
func decodeIcon(t *testing.T, data []byte, size int) *image.NRGBA {
	t.Helper()
	if bytes.HasPrefix(data, []byte("\x89PNG")) {
		return decodePNG(t, data)
	}
	le := binary.LittleEndian
	if le.Uint32(data) != 40 || int(le.Uint32(data[4:])) != size || int(le.Uint32(data[8:])) != 2*size || le.Uint16(data[14:]) != 32 {
		t.Fatalf("bitmap head %x", data[:40])
	}
	if want := 40 + 4*size*size + (size+31)/32*4*size; len(data) != want {
		t.Fatalf("bitmap of %d bytes, want %d", len(data), want)
	}
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i := range size * size {
		p := data[40+4*i:]
		img.SetNRGBA(i%size, size-1-i/size, color.NRGBA{p[2], p[1], p[0], p[3]})
	}
	return img
}

func decodePNG(t *testing.T, data []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.NRGBA)
}

func TestICNS(t *testing.T) {
	icns := encodeICNS()
	be := binary.BigEndian
	if string(icns[:4]) != "icns" || int(be.Uint32(icns[4:])) != len(icns) {
		t.Fatalf("head %x", icns[:8])
	}
	rest := icns[8:]
	for _, want := range icnsTypes {
		length := int(be.Uint32(rest[4:]))
		if string(rest[:4]) != want.name {
			t.Fatalf("%q, want %q", rest[:4], want.name)
		}
		if got := decodePNG(t, rest[8:length]).Rect.Dx(); got != want.size {
			t.Errorf("%s has %d pixels, want %d", want.name, got, want.size)
		}
		rest = rest[length:]
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes after the last picture", len(rest))
	}
}

func TestSVG(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(svg()))
	shapes := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "rect", "path", "circle", "polygon":
			shapes++
		case "script", "style", "image", "use", "a", "foreignObject":
			t.Errorf("has a <%s>: a picture that the page shows holds shapes alone", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.Contains(a.Value, "//") && a.Name.Local != "xmlns" || strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("<%s %s=%q> reaches out", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	if want := len(mark(grid)); shapes != want {
		t.Errorf("%d shapes, the mark has %d", shapes, want)
	}
}

// TestPageIcons compares the files in icons with what is drawn now; PNG by pixel, since another Go may compress
// otherwise.
func TestPageIcons(t *testing.T) {
	for name, want := range pageIcons() {
		got, err := os.ReadFile(filepath.Join("..", "icons", name))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".png" {
			got, want = decodePNG(t, got).Pix, decodePNG(t, want).Pix
		}
		if !bytes.Equal(got, want) {
			t.Errorf("icons/%s is not what is drawn now: run go run ./examples/desktop/package -icons", name)
		}
	}
}
