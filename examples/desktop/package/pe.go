package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// resource is what a Windows program carries for others to read, found by type, number and language.
type resource struct {
	kind, id, language uint32
	data               []byte
}

// Offsets in a 64-bit PE image: in the file header, from "PE\0\0" on; in the optional header; in a section's header.
const (
	peSections        = 6
	peOptionalSize    = 20
	peOptional        = 24
	optionalMagic     = 0x20b
	optionalData      = 8
	optionalAlignment = 32
	optionalFileAlign = 36
	optionalImageSize = 56
	optionalHeaders   = 60
	optionalResources = 112 + 2*8
	sectionHeader     = 40
)

var errImage = errors.New("package: not a 64-bit Windows program as Go's linker writes it")

// addResources appends a section .rsrc to a linked program. Go's linker would take the same from an object file beside
// the sources, but then the build would write into the source tree, and two builds at once into each other's.
func addResources(image []byte, resources []resource) ([]byte, error) {
	le := binary.LittleEndian
	if len(image) < 0x40 {
		return nil, errImage
	}
	pe := int(le.Uint32(image[0x3c:]))
	if pe < 0 || pe+peOptional+optionalResources+8 > len(image) || string(image[pe:pe+4]) != "PE\x00\x00" {
		return nil, errImage
	}
	optional := image[pe+peOptional:]
	count := int(le.Uint16(image[pe+peSections:]))
	table := pe + peOptional + int(le.Uint16(image[pe+peOptionalSize:]))
	end := table + (count+1)*sectionHeader
	if le.Uint16(optional) != optionalMagic || end > len(image) || end > int(le.Uint32(optional[optionalHeaders:])) ||
		le.Uint32(optional[optionalResources:]) != 0 {
		return nil, errImage
	}
	var last uint32 // where the sections end in memory
	for i := range count {
		section := image[table+i*sectionHeader:]
		last = max(last, le.Uint32(section[12:])+le.Uint32(section[8:]))
		if uint64(le.Uint32(section[16:]))+uint64(le.Uint32(section[20:])) > uint64(len(image)) {
			return nil, errImage
		}
	}
	alignment, fileAlignment := le.Uint32(optional[optionalAlignment:]), le.Uint32(optional[optionalFileAlign:])
	address := aligned(last, alignment)
	content := resourceSection(resources, address)
	size := uint32(len(content))
	raw := aligned(size, fileAlignment)

	out := slices.Clone(image)
	out = append(out, make([]byte, aligned(uint32(len(out)), fileAlignment)-uint32(len(out)))...)
	place := uint32(len(out))
	out = append(append(out, content...), make([]byte, raw-size)...)

	header := out[end-sectionHeader : end]
	clear(header)
	copy(header, ".rsrc")
	for i, v := range []uint32{size, address, raw, place} {
		le.PutUint32(header[8+4*i:], v)
	}
	le.PutUint32(header[36:], 0x40000040) // initialised data, readable
	le.PutUint16(out[pe+peSections:], uint16(count+1))
	optional = out[pe+peOptional:]
	le.PutUint32(optional[optionalData:], le.Uint32(optional[optionalData:])+raw)
	le.PutUint32(optional[optionalImageSize:], aligned(address+size, alignment))
	le.PutUint32(optional[optionalResources:], address)
	le.PutUint32(optional[optionalResources+4:], size)
	return out, nil
}

func aligned(n, to uint32) uint32 { return (n + to - 1) / to * to }

// resourceSection lays out the tree type, number, language, then where each datum lies, then the data.
func resourceSection(resources []resource, address uint32) []byte {
	resources = slices.SortedFunc(slices.Values(resources), func(a, b resource) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), cmp.Compare(a.language, b.language))
	})
	same := func(a, b resource, depth int) bool {
		return (depth < 1 || a.kind == b.kind) && (depth < 2 || a.id == b.id)
	}
	// The directories of each depth: runs of resources that agree so far.
	var runs [3][][]resource
	for depth := range runs {
		for i, r := range resources {
			if i == 0 || !same(r, resources[i-1], depth) {
				runs[depth] = append(runs[depth], nil)
			}
			end := len(runs[depth]) - 1
			runs[depth][end] = append(runs[depth][end], r)
		}
	}
	children := func(run []resource, depth int) (keys []uint32) {
		for _, r := range run {
			key := [3]uint32{r.kind, r.id, r.language}[depth]
			if len(keys) == 0 || keys[len(keys)-1] != key {
				keys = append(keys, key)
			}
		}
		return keys
	}
	var sizes [4]uint32 // of the directories of each depth, and of the entries for data
	for depth := range runs {
		for _, run := range runs[depth] {
			sizes[depth] += 16 + 8*uint32(len(children(run, depth)))
		}
	}
	sizes[3] = 16 * uint32(len(resources))

	le := binary.LittleEndian
	var b []byte
	next := sizes[0] // where the next child lies
	for depth := range runs {
		for _, run := range runs[depth] {
			keys := children(run, depth)
			b = append(b, make([]byte, 14)...)
			b = le.AppendUint16(b, uint16(len(keys)))
			for _, key := range keys {
				b = le.AppendUint32(b, key)
				if depth == 2 {
					b, next = le.AppendUint32(b, next), next+16
					continue
				}
				b = le.AppendUint32(b, next|1<<31)
				below := slices.DeleteFunc(slices.Clone(run), func(r resource) bool { return [3]uint32{r.kind, r.id}[depth] != key })
				next += 16 + 8*uint32(len(children(below, depth+1)))
			}
		}
	}
	offset := aligned(uint32(len(b))+sizes[3], 8)
	data := make([]byte, offset-uint32(len(b))-sizes[3])
	for _, r := range resources {
		b = le.AppendUint32(b, address+offset)
		b = le.AppendUint32(b, uint32(len(r.data)))
		b = append(b, make([]byte, 8)...)
		data = append(append(data, r.data...), make([]byte, -len(r.data)&7)...)
		offset += aligned(uint32(len(r.data)), 8)
	}
	return append(b, data...)
}
