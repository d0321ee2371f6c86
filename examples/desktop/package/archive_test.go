package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"testing"
	"time"
)

var testTime = time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)

func TestArchives(t *testing.T) {
	entries := []entry{{"b/huisclos", 0o755, []byte("program")}, {"a.txt", 0o644, bytes.Repeat([]byte("text "), 9000)}}
	backwards := slices.Clone(entries)
	slices.Reverse(backwards)
	elsewhere := testTime.In(time.FixedZone("", 9*3600))
	for name, pack := range map[string]func([]entry, time.Time) ([]byte, error){"zip": zipped, "tar": tarred} {
		one, err := pack(entries, testTime)
		if err != nil {
			t.Fatal(err)
		}
		two, err := pack(backwards, elsewhere)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s: the same files, in another order and time zone, give other bytes (%v)", name, err)
		}
		if later, _ := pack(entries, testTime.Add(time.Hour)); bytes.Equal(one, later) {
			t.Errorf("%s: carries no time", name)
		}
		if name == "zip" {
			checkZip(t, one, entries)
		} else {
			checkTar(t, one, entries)
		}
	}
	if entries[0].name != "b/huisclos" {
		t.Error("packing reordered the caller's list")
	}
}

func checkZip(t *testing.T, data []byte, want []entry) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	want = sorted(want)
	for i, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil || f.Name != want[i].name || f.Mode() != want[i].mode || !bytes.Equal(content, want[i].data) || !f.Modified.Equal(testTime) {
			t.Errorf("zip: %s %v %v %d bytes, %v", f.Name, f.Mode(), f.Modified, len(content), err)
		}
		if f.CreatorVersion>>8 != 3 {
			t.Errorf("zip: %s was not made on Unix, says the archive: macOS then ignores its mode", f.Name)
		}
	}
}

func checkTar(t *testing.T, data []byte, want []entry) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" || z.OS != 255 {
		t.Errorf("gzip: %+v", z.Header)
	}
	r := tar.NewReader(z)
	for _, e := range sorted(want) {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.Name != e.name || h.FileInfo().Mode() != e.mode || !bytes.Equal(content, e.data) || !h.ModTime.Equal(testTime) {
			t.Errorf("tar: %+v, %d bytes, %v", h, len(content), err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("tar: %s belongs to somebody: %+v", h.Name, h)
		}
	}
}
