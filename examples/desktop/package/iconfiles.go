package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"sync"
)

// Sizes in pixels. Windows asks for these at 100 to 400 % scaling; a browser's tab for the first three.
var (
	icoSizes     = []int{16, 20, 24, 32, 40, 48, 64, 256}
	faviconSizes = []int{16, 32, 48}
)

// icnsMargin is the free space around macOS icons, in thousandths.
const icnsMargin = 98

// icnsTypes are the pictures of an .icns, each PNG: 128 to 1024 pixels, and 16 to 512 points at double resolution.
var icnsTypes = []struct {
	name string
	size int
}{
	{"ic11", 32}, {"ic12", 64}, {"ic07", 128}, {"ic13", 256}, {"ic08", 256}, {"ic14", 512}, {"ic09", 512}, {"ic10", 1024},
}

func encodePNG(img image.Image) []byte {
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := e.Encode(&b, img); err != nil {
		panic(err) // a Buffer takes everything, and the picture is ours
	}
	return b.Bytes()
}

// encodeDIB is the picture as icons below 256 pixels hold it: a bitmap of doubled height, bottom up, whose second half
// is a mask that alpha makes superfluous.
func encodeDIB(img *image.NRGBA) []byte {
	size := img.Rect.Dx()
	maskRow := (size + 31) / 32 * 4
	b := binary.LittleEndian.AppendUint32(nil, 40)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*size))
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 32)
	b = append(b, make([]byte, 4)...) // no compression
	b = binary.LittleEndian.AppendUint32(b, uint32(size*size*4+maskRow*size))
	b = append(b, make([]byte, 16)...)
	for y := size - 1; y >= 0; y-- {
		for x := range size {
			c := img.NRGBAAt(x, y)
			b = append(b, c.B, c.G, c.R, c.A)
		}
	}
	return append(b, make([]byte, maskRow*size)...)
}

// icon is one picture of a Windows icon.
type icon struct {
	size int
	data []byte
}

func icons(sizes []int) []icon {
	var all []icon
	for _, size := range sizes {
		if size >= 256 {
			all = append(all, icon{size, encodePNG(picture(size, 0))})
		} else {
			all = append(all, icon{size, encodeDIB(picture(size, 0))})
		}
	}
	return all
}

// iconDirectory is what stands before the pictures of an .ico and, with where giving a picture's resource number
// instead of its offset, in an executable.
func iconDirectory(all []icon, where func(b []byte, i int) []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0, 0, 1, 0}, uint16(len(all)))
	for i, one := range all {
		b = append(b, byte(one.size), byte(one.size), 0, 0, 1, 0, 32, 0) // 256 is written as 0
		b = binary.LittleEndian.AppendUint32(b, uint32(len(one.data)))
		b = where(b, i)
	}
	return b
}

func encodeICO(all []icon) []byte {
	offset := 6 + 16*len(all)
	b := iconDirectory(all, func(b []byte, i int) []byte {
		b = binary.LittleEndian.AppendUint32(b, uint32(offset))
		offset += len(all[i].data)
		return b
	})
	for _, one := range all {
		b = append(b, one.data...)
	}
	return b
}

// encodeICNS draws the macOS icon, once: its largest picture takes a second.
var encodeICNS = sync.OnceValue(func() []byte {
	pictures := map[int][]byte{}
	body := []byte{}
	for _, t := range icnsTypes {
		if pictures[t.size] == nil {
			pictures[t.size] = encodePNG(picture(t.size, icnsMargin))
		}
		body = append(body, t.name...)
		body = binary.BigEndian.AppendUint32(body, uint32(8+len(pictures[t.size])))
		body = append(body, pictures[t.size]...)
	}
	head := binary.BigEndian.AppendUint32([]byte("icns"), uint32(8+len(body)))
	return append(head, body...)
})

// pageIcons are the files of examples/desktop/icons, which the page shows.
func pageIcons() map[string][]byte {
	return map[string][]byte{
		"icon.svg":    []byte(svg()),
		"icon.png":    encodePNG(picture(512, 0)),
		"favicon.ico": encodeICO(icons(faviconSizes)),
	}
}
