package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// testPE is the smallest program that has what addResources reads: one section, and room for the header of another.
func testPE() []byte {
	const headers, section = 0x400, 0x200
	b := make([]byte, headers+section)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], 0x80)
	p := b[0x80:]
	copy(p, "PE\x00\x00")
	le.PutUint16(p[4:], 0x8664)
	le.PutUint16(p[6:], 1)
	le.PutUint16(p[20:], 240)
	le.PutUint16(p[22:], 0x22)
	o := p[24:]
	le.PutUint16(o, 0x20b)
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	le.PutUint32(o[56:], 0x2000)
	le.PutUint32(o[60:], headers)
	le.PutUint16(o[68:], 2)
	le.PutUint32(o[108:], 16)
	s := o[240:]
	copy(s, ".text")
	for i, v := range []uint32{0x123, 0x1000, section, headers} {
		le.PutUint32(s[8+4*i:], v)
	}
	copy(b[headers:], "the program")
	return b
}

// readResources walks the tree in a program as Windows does, by its addresses.
func readResources(t *testing.T, exe []byte) map[string][]byte {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(exe))
	if err != nil {
		t.Fatal(err)
	}
	section := f.Section(".rsrc")
	directory := f.OptionalHeader.(*pe.OptionalHeader64).DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_RESOURCE]
	if section == nil || directory.VirtualAddress != section.VirtualAddress || directory.Size != section.VirtualSize {
		t.Fatalf("section %+v, directory %+v", section, directory)
	}
	data, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	le := binary.LittleEndian
	var walk func(at uint32, path string)
	walk = func(at uint32, path string) {
		last := -1
		for i := range uint32(le.Uint16(data[at+14:])) {
			e := data[at+16+8*i:]
			id, to := le.Uint32(e), le.Uint32(e[4:])
			if int(id) <= last {
				t.Errorf("%s: %d after %d, Windows searches by halves", path, id, last)
			}
			last = int(id)
			name := fmt.Sprintf("%s/%d", path, id)
			if to>>31 == 1 {
				walk(to&^(1<<31), name)
				continue
			}
			from, size := le.Uint32(data[to:])-section.VirtualAddress, le.Uint32(data[to+4:])
			found[name] = data[from : from+size]
		}
	}
	walk(0, "")
	return found
}

func TestWindowsExecutable(t *testing.T) {
	exe, err := windowsExecutable(testPE(), "1.2.3-rc1")
	if err != nil {
		t.Fatal(err)
	}
	found := readResources(t, exe)
	if want := len(icoSizes) + 3; len(found) != want {
		t.Errorf("%d resources, want %d", len(found), want)
	}
	if got := string(found["/24/1/1033"]); got != manifest {
		t.Errorf("manifest %q", got)
	}
	group := found["/14/1/0"]
	for i, size := range icoSizes {
		e := group[6+14*i:]
		id := binary.LittleEndian.Uint16(e[12:])
		data := found[fmt.Sprintf("/3/%d/0", id)]
		if int(e[0]) != size%256 || int(binary.LittleEndian.Uint32(e[8:])) != len(data) {
			t.Fatalf("icon %d: %x for %d bytes", i, e[:14], len(data))
		}
		if !bytes.Equal(decodeIcon(t, data, size).Pix, picture(size, 0).Pix) {
			t.Errorf("icon of %d pixels is another picture", size)
		}
	}
	f, err := pe.NewFile(bytes.NewReader(exe))
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Section(".text").Data()
	if err != nil || !bytes.HasPrefix(text, []byte("the program")) {
		t.Errorf("the program itself was changed: %q, %v", text[:16], err)
	}
	end := f.Section(".rsrc").VirtualAddress + f.Section(".rsrc").VirtualSize
	if got := f.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; got < end || got%0x1000 != 0 {
		t.Errorf("image of %#x, the last section ends at %#x", got, end)
	}
}

func TestResourcesRefused(t *testing.T) {
	whole := testPE()
	for n := range whole {
		if _, err := addResources(whole[:n], nil); !errors.Is(err, errImage) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	twice, err := windowsExecutable(whole, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := windowsExecutable(twice, "1.0.0"); !errors.Is(err, errImage) {
		t.Errorf("a program that has resources: %v", err)
	}
}

// versionNode is a block of the version tree as it is read.
type versionNode struct {
	key, text string
	value     []byte
	children  []versionNode
}

// readVersion reads the blocks that fill b.
func readVersion(t *testing.T, b []byte) (nodes []versionNode) {
	t.Helper()
	le := binary.LittleEndian
	narrow := func(b []byte) string {
		var s strings.Builder
		for ; len(b) > 1 && le.Uint16(b) != 0; b = b[2:] {
			s.WriteRune(rune(le.Uint16(b)))
		}
		return s.String()
	}
	up := func(n int) int { return (n + 3) &^ 3 }
	for at := 0; at < len(b); {
		length, value := int(le.Uint16(b[at:])), int(le.Uint16(b[at+2:]))
		isText := le.Uint16(b[at+4:]) == 1
		if isText {
			value *= 2
		}
		block := b[at : at+length]
		n := versionNode{key: narrow(block[6:])}
		from := up(6 + 2*(len([]rune(n.key))+1))
		n.value = block[min(from, length):min(from+value, length)]
		if isText {
			n.text = narrow(n.value)
		}
		if rest := up(from + value); rest < length {
			if n.key != "Translation" {
				n.children = readVersion(t, block[rest:])
			}
		}
		nodes = append(nodes, n)
		at = up(at + length)
	}
	return nodes
}

func TestVersionInfo(t *testing.T) {
	roots := readVersion(t, versionInfo("1.2.3-rc1"))
	if len(roots) != 1 || roots[0].key != "VS_VERSION_INFO" || len(roots[0].value) != 52 {
		t.Fatalf("%+v", roots)
	}
	le := binary.LittleEndian
	if got := le.Uint64(roots[0].value[8:]); got != 3<<48|1<<16|2 {
		t.Errorf("file version %#x", got)
	}
	files, translations := roots[0].children[0], roots[0].children[1]
	if files.key != "StringFileInfo" || len(files.children) != 2 || translations.children[0].key != "Translation" {
		t.Fatalf("%+v", roots[0].children)
	}
	for i, table := range files.children {
		value := translations.children[0].value[4*i:]
		if want := fmt.Sprintf("%04x%04x", le.Uint16(value), le.Uint16(value[2:])); table.key != want {
			t.Errorf("table %s, announced as %s", table.key, want)
		}
		got := map[string]string{}
		for _, s := range table.children {
			got[s.key] = s.text
		}
		if got["ProductName"] != "huisclos" || got["FileVersion"] != "1.2.3-rc1" || got["LegalCopyright"] != copyright || !strings.HasPrefix(got["FileDescription"], "huisclos") {
			t.Errorf("%s: %q", table.key, got)
		}
	}
}

func TestManifest(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(manifest))
	got := map[string]string{}
	var open string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = e.Name.Local
			for _, a := range e.Attr {
				got[open+" "+a.Name.Local] = a.Value
			}
		case xml.CharData:
			got[open] += strings.TrimSpace(string(e))
		}
	}
	for key, want := range map[string]string{
		"requestedExecutionLevel level": "asInvoker", "requestedExecutionLevel uiAccess": "false",
		"dpiAwareness": "PerMonitorV2, PerMonitor", "longPathAware": "true", "activeCodePage": "UTF-8",
		"supportedOS Id": "{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}
