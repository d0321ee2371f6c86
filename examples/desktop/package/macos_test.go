package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// testMachO is the smallest program that has what signing reads: code, a UUID, and, if signed, a signature to replace.
func testMachO(signed bool) []byte {
	const text, linkedit = 0x3000, 0x100
	le := binary.LittleEndian
	segment := func(name string, offset, size uint64, sections int) []byte {
		b := make([]byte, 72+80*sections)
		le.PutUint32(b, commandSegment)
		le.PutUint32(b[4:], uint32(len(b)))
		copy(b[8:24], name)
		for i, v := range []uint64{offset, size, offset, size} {
			le.PutUint64(b[24+8*i:], v)
		}
		le.PutUint32(b[64:], uint32(sections))
		if sections > 0 {
			le.PutUint32(b[72+48:], 0x1000)
		}
		return b
	}
	uuid := append(le.AppendUint32(le.AppendUint32(nil, commandUUID), 24), "sixteen bytes...."[:16]...)
	commands := [][]byte{segment("__TEXT", 0, text, 1), segment("__LINKEDIT", text, linkedit, 0), uuid}
	if signed {
		b := le.AppendUint32(le.AppendUint32(nil, commandSignature), 16)
		commands = append(commands, le.AppendUint32(le.AppendUint32(b, text+0x80), 0x80))
	}
	all := bytes.Join(commands, nil)
	b := make([]byte, machHeader, text+linkedit)
	for i, v := range []uint32{0xfeedfacf, 0x100000c, 0, 2, uint32(len(commands)), uint32(len(all))} {
		le.PutUint32(b[4*i:], v)
	}
	b = append(b, all...)
	b = append(b, make([]byte, 0x1000-len(b))...)
	return append(b, bytes.Repeat([]byte("code"), (text+linkedit-0x1000)/4)...)
}

// verifyMachO checks a signature as macOS does: every page, the bundle's description and its seal.
func verifyMachO(image, info, seal []byte) error {
	m, err := readMachO(image)
	if err != nil {
		return err
	}
	le, be := binary.LittleEndian, binary.BigEndian
	from, size := int(le.Uint32(image[m.signature+8:])), int(le.Uint32(image[m.signature+12:]))
	if from%16 != 0 || from+size != len(image) || m.linkeditFrom+m.linkeditSize != uint64(len(image)) {
		return fmt.Errorf("signature at %d of %d bytes, program of %d", from, size, len(image))
	}
	blob := image[from:]
	if be.Uint32(blob) != magicSignature || int(be.Uint32(blob[4:])) != size || be.Uint32(blob[8:]) != 3 {
		return fmt.Errorf("head %x", blob[:12])
	}
	parts := map[uint32][]byte{}
	for i := range 3 {
		part := blob[be.Uint32(blob[12+8*i+4:]):]
		parts[be.Uint32(blob[12+8*i:])] = part[:be.Uint32(part[4:])]
	}
	d := parts[slotDirectory]
	if be.Uint32(d) != magicDirectory || be.Uint32(d[12:]) != 2 || int(be.Uint32(d[32:])) != from {
		return fmt.Errorf("directory %x", d[:44])
	}
	if name, _, _ := bytes.Cut(d[be.Uint32(d[20:]):], []byte{0}); string(name) != bundleID {
		return fmt.Errorf("identifier %q", name)
	}
	hashes := int(be.Uint32(d[16:]))
	slot := func(i int) []byte { return d[hashes+32*i : hashes+32*i+32] }
	for i, want := range map[int][]byte{-1: info, -2: parts[slotRequirements], -3: seal} {
		if sum := sha256.Sum256(want); !bytes.Equal(slot(i), sum[:]) {
			return fmt.Errorf("special slot %d", i)
		}
	}
	if pages := int(be.Uint32(d[28:])); pages != (from+4095)/4096 || hashes+32*pages != len(d) {
		return fmt.Errorf("%d pages", pages)
	}
	for i := 0; 4096*i < from; i++ {
		if sum := sha256.Sum256(image[4096*i : min(4096*(i+1), from)]); !bytes.Equal(slot(i), sum[:]) {
			return fmt.Errorf("page %d", i)
		}
	}
	return nil
}

func TestSign(t *testing.T) {
	info, seal := []byte("info"), []byte("seal")
	for _, had := range []bool{false, true} {
		before := testMachO(had)
		image, err := signMachO(before, bundleID, info, seal)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyMachO(image, info, seal); err != nil {
			t.Errorf("signed before: %t: %v", had, err)
		}
		if !bytes.Equal(before, testMachO(had)) {
			t.Error("the program given was written to")
		}
		again, err := signMachO(image, bundleID, info, seal)
		if err != nil || !bytes.Equal(again, image) {
			t.Errorf("signed twice, it differs (%v)", err)
		}
		for _, at := range []int{0x40, 0x1000, 0x2fff, 0x3040} {
			image[at] ^= 1
			if verifyMachO(image, info, seal) == nil {
				t.Errorf("changed at %#x, it still verifies", at)
			}
			image[at] ^= 1
		}
		if verifyMachO(image, info, []byte("other")) == nil || verifyMachO(image, []byte("other"), seal) == nil {
			t.Error("verifies in another bundle")
		}
	}
}

func TestSignRefused(t *testing.T) {
	whole := testMachO(true)
	for n := range whole {
		if _, err := signMachO(whole[:n], bundleID, nil, nil); err == nil {
			t.Fatalf("cut to %d bytes, it was signed", n)
		}
	}
	uuid := bytes.Index(whole, []byte("sixteen"))
	clear(whole[uuid : uuid+16])
	if _, err := signMachO(whole, bundleID, nil, nil); !errors.Is(err, errNoUUID) {
		t.Errorf("without a UUID: %v", err)
	}
	full := testMachO(false)
	binary.LittleEndian.PutUint32(full[machHeader+72+48:], 0x120) // code begins right after the commands
	if _, err := signMachO(full, bundleID, nil, nil); !errors.Is(err, errMachO) {
		t.Errorf("without room for a load command: %v", err)
	}
}

// readPlist reads an XML property list back.
func readPlist(t *testing.T, data []byte) map[string]any {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	var value func(e xml.StartElement) any
	next := func() (start xml.StartElement, end bool) {
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return start, true
			}
			if err != nil {
				t.Fatal(err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				return e, false
			case xml.EndElement:
				return start, true
			}
		}
	}
	text := func(e xml.StartElement) (s string) {
		if err := d.DecodeElement(&s, &e); err != nil {
			t.Fatal(err)
		}
		return s
	}
	value = func(e xml.StartElement) any {
		switch e.Name.Local {
		case "dict":
			m := map[string]any{}
			for key, end := next(); !end; key, end = next() {
				name := text(key)
				inner, _ := next()
				m[name] = value(inner)
			}
			return m
		case "array":
			list := []any{}
			for inner, end := next(); !end; inner, end = next() {
				list = append(list, value(inner))
			}
			return list
		case "data":
			b, err := base64.StdEncoding.DecodeString(text(e))
			if err != nil {
				t.Fatal(err)
			}
			return b
		case "real":
			f, err := strconv.ParseFloat(text(e), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		case "true", "false":
			text(e)
			return e.Name.Local == "true"
		}
		return text(e)
	}
	if e, _ := next(); e.Name.Local != "plist" {
		t.Fatalf("<%s>", e.Name.Local)
	}
	e, _ := next()
	return value(e).(map[string]any)
}

func TestBundle(t *testing.T) {
	files, err := bundle(testMachO(true), "1.2.3-rc1")
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]entry{}
	for _, f := range files {
		contents[strings.TrimPrefix(f.name, "huisclos.app/Contents/")] = f
	}
	program, info, seal := contents["MacOS/huisclos"], contents["Info.plist"].data, contents["_CodeSignature/CodeResources"].data
	if program.mode != 0o755 || verifyMachO(program.data, info, seal) != nil {
		t.Errorf("the program has mode %v and %v", program.mode, verifyMachO(program.data, info, seal))
	}
	got := readPlist(t, info)
	if want := infoPlist("1.2.3-rc1"); !reflect.DeepEqual(got, want) {
		t.Errorf("Info.plist\n%v, want\n%v", got, want)
	}
	for key, want := range map[string]any{
		"CFBundleExecutable": "huisclos", "CFBundlePackageType": "APPL", "CFBundleShortVersionString": "1.2.3",
		"CFBundleIdentifier": bundleID, "LSUIElement": true, "LSMinimumSystemVersion": oldestMacOS,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	schemes := got["CFBundleURLTypes"].([]any)[0].(map[string]any)["CFBundleURLSchemes"]
	if !reflect.DeepEqual(schemes, []any{"huisclos"}) {
		t.Errorf("schemes %v", schemes)
	}
	for key := range got {
		if strings.HasPrefix(key, "NS") && strings.HasSuffix(key, "UsageDescription") && key != "NSLocalNetworkUsageDescription" {
			t.Errorf("asks for %s, which the browser does", key)
		}
	}
	checkSeal(t, readPlist(t, seal), contents)
	if icns := contents["Resources/"+got["CFBundleIconFile"].(string)].data; !bytes.HasPrefix(icns, []byte("icns")) {
		t.Error("the icon it names is not there")
	}
}

// checkSeal applies the seal's own rules to the bundle's files: what they neither omit nor call code is sealed.
func checkSeal(t *testing.T, seal map[string]any, contents map[string]entry) {
	t.Helper()
	sealed := seal["files2"].(map[string]any)
	for name, f := range contents {
		if strings.HasPrefix(name, "_CodeSignature/") {
			continue
		}
		heaviest, skipped := 0.0, false
		for pattern, rule := range seal["rules2"].(map[string]any) {
			weight, skip := 1.0, false
			if r, ok := rule.(map[string]any); ok {
				weight, skip = r["weight"].(float64), r["omit"] == true || r["nested"] == true
			}
			if regexp.MustCompile(pattern).MatchString(name) && weight > heaviest {
				heaviest, skipped = weight, skip
			}
		}
		one, listed := sealed[name].(map[string]any)
		if listed == skipped {
			t.Errorf("%s: sealed %t, skipped by the rules %t", name, listed, skipped)
		}
		if sum := sha256.Sum256(f.data); listed && !bytes.Equal(one["hash2"].([]byte), sum[:]) {
			t.Errorf("%s is sealed with another hash", name)
		}
	}
	for name := range sealed {
		if _, there := contents[name]; !there {
			t.Errorf("%s is sealed and not there", name)
		}
		if optional := sealed[name].(map[string]any)["optional"] == true; optional != (path.Ext(path.Dir(name)) == ".lproj") {
			t.Errorf("%s: optional %t", name, optional)
		}
	}
}
