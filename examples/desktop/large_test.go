package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLargeFile: 64 MiB go through both agents without lying in memory.
func TestLargeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few seconds")
	}
	const size = 64 << 20
	host, guest := meetTwo(t, nil)
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start := time.Now()
	ready := host.must("file-offer", map[string]any{"name": "large", "size": size})
	h := sha256.New()
	r, _ := http.NewRequest(http.MethodPut, strings.TrimSuffix(host.agent.port.URL(), "/")+strings.Trim(string(ready["url"]), `"`),
		io.TeeReader(io.LimitReader(loop(content(1<<20)), size), h))
	r.ContentLength = size
	r.Header.Set("Origin", strings.TrimSuffix(host.agent.port.URL(), "/"))
	r.Header.Set("Authorization", "Bearer "+host.session)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatal(answer, err)
	}
	guest.until("offer", func() bool { return len(files(guest)) == 1 })
	t.Log("offered after", time.Since(start))
	id := get[[]file](guest, "files")[0].ID
	start = time.Now()
	guest.must("file-accept", map[string]any{"file": id})
	f := untilFile(guest, id, "complete")
	t.Log("complete after", time.Since(start))
	if f.SHA256 != fmt.Sprintf("%x", h.Sum(nil)) {
		t.Errorf("%+v", f)
	}
	for end := time.Now().Add(patience); inUse() > size/2; time.Sleep(50 * time.Millisecond) { // the words take memory for a moment
		if time.Now().After(end) {
			t.Fatalf("%d MiB are in use", inUse()>>20)
		}
	}
}

type looper struct{ b, rest []byte }

func loop(b []byte) io.Reader { return &looper{b: b} }

// Read never ends.
func (l *looper) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		l.rest = l.b
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
