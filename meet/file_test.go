package meet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// content is repeatable noise.
func content(size int) []byte {
	b := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(b)
	return b
}

func source(name string, b []byte) meet.FileSource {
	return meet.FileSource{Name: name, Size: int64(len(b)), Content: bytes.NewReader(b)}
}

// memory is a file to write to, and to read back.
type memory struct {
	mu     sync.Mutex
	b      []byte
	writes int
	fail   error
}

func (d *memory) WriteAt(p []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return 0, d.fail
	}
	d.writes++
	if grow := int(at) + len(p) - len(d.b); grow > 0 {
		d.b = append(d.b, make([]byte, grow)...)
	}
	return copy(d.b[at:], p), nil
}

func (d *memory) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(d.bytes()).ReadAt(p, at)
}

func (d *memory) bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.b)
}

func (d *memory) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.b)
}

// offered waits until a member is offered a file of this name.
func offered(t *testing.T, ctx context.Context, m *meettest.Member, name string) meet.FileOffer {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	e, err := m.Await(ctx, func(e meet.Event) bool { o, ok := e.(meet.FileOffered); return ok && o.Offer.Name == name })
	if err != nil {
		t.Fatalf("%s wasn't offered %q: %v", m.Host, name, err)
	}
	return e.(meet.FileOffered).Offer
}

func receive(t *testing.T, ctx context.Context, m *meettest.Member, o meet.FileOffer, dst io.WriterAt) *meet.FileTransfer {
	t.Helper()
	return must[*meet.FileTransfer](t)(m.ReceiveFile(ctx, o.ID, dst, meet.FileReceiveOptions{}))
}

func over(t *testing.T, ctx context.Context, f *meet.FileTransfer) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return f.Wait(ctx)
}

// waitFor waits until something holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestFileToAll: a file for everybody, fetched by all; its events; the snapshot; sizes about the chunk's.
func TestFileToAll(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		for _, size := range []int{0, 1, 4095, 4096, 4097, 300_000} {
			b := content(size)
			own := must[meet.FileOffer](t)(all[0].OfferFile(ctx, source("a file", b), crypto.IdentityKey{}))
			for _, m := range all[1:] {
				e, err := m.Await(ctx, func(e meet.Event) bool { o, ok := e.(meet.FileOffered); return ok && o.Offer.ID == own.ID })
				ok(t, err)
				o := e.(meet.FileOffered).Offer
				if o.Size != int64(size) || o.Hash != sha256.Sum256(b) || o.From.Name != "member0" || !o.To.IsZero() || o.SafeName() != "a file" {
					t.Fatalf("%+v", o)
				}
				dst := &memory{}
				ok(t, over(t, ctx, receive(t, ctx, m, o, dst)))
				if !bytes.Equal(dst.bytes(), b) {
					t.Errorf("%d bytes: other content", size)
				}
			}
		}
		w.Advance(time.Second)
		for i, m := range all {
			done := events[meet.FileDone](m)
			if n := map[bool]int{true: 12, false: 6}[i == 0]; len(done) != n {
				t.Errorf("%s: %d transfers are over", m.Host, len(done))
			}
			for _, d := range done {
				if d.Err != nil || d.Sending != (i == 0) || (d.Peer.Name == "member0") == d.Sending {
					t.Errorf("%+v", d)
				}
			}
			if files := must[[]meet.FileOffer](t)(m.Files(ctx)); len(files) != 6 {
				t.Errorf("%s: %d files are offered", m.Host, len(files))
			}
		}
		late := must[*meettest.Member](t)(w.Join(ctx, "late", all[0], meet.Config{}))
		if files := must[[]meet.FileOffer](t)(late.Files(ctx)); len(files) != 0 {
			t.Errorf("who came later is offered %d", len(files))
		}
	})
}

// TestFileToOne covers FIL-2 and FIL-3: a file for one person is neither announced nor sent to another, who learnt its
// ID. Twin: it is.
func TestFileToOne(t *testing.T) {
	twin(t, "anyReader", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			c := must[*meettest.Member](t)(w.Join(ctx, "c", a, meet.Config{}))
			connected(t, ctx, a, b, c)
			body := content(50_000)
			own := must[meet.FileOffer](t)(a.OfferFile(ctx, source("for b", body), self(t, ctx, b).Identity))
			o := offered(t, ctx, b, "for b")
			if o.To != self(t, ctx, b).Identity {
				t.Errorf("it is for %v", o.To)
			}
			dst := &memory{}
			ok(t, over(t, ctx, receive(t, ctx, b, o, dst)))
			if !bytes.Equal(dst.bytes(), body) {
				t.Error("other content")
			}
			w.Advance(3 * time.Second)
			if n := len(events[meet.FileOffered](c)); n != 0 {
				t.Errorf("c was offered %d files", n)
			}
			ok(t, c.KnowFile(ctx, own)) // b told it
			stolen := &memory{}
			err := over(t, ctx, receive(t, ctx, c, own, stolen))
			if protected && (!errors.Is(err, meet.ErrFileGone) || stolen.len() != 0) || !protected && err != nil {
				t.Errorf("c got %d bytes: %v", stolen.len(), err)
			}
		})
	})
}

// TestFileForAnother covers FIL-2: what was announced to one isn't shown to another as theirs. Twin: it is.
func TestFileForAnother(t *testing.T) {
	twin(t, "anyFileReader", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config))
			connected(t, ctx, a, b)
			hash := crypto.Hash{1}
			must[crypto.MessageID](t)(a.Announce(ctx, b.Incarnation().Key(), meet.FileAnnounce{Name: "x", Hash: &hash}, self(t, ctx, a).Identity))
			w.Advance(time.Second)
			if shown := len(events[meet.FileOffered](b)) > 0; shown == protected {
				t.Errorf("shown: %v", shown)
			}
		})
	})
}

// TestFilePause: paused, resumed, cut off and back, cancelled: nothing comes twice, and the sender sees it.
func TestFilePause(t *testing.T) {
	t.Parallel()
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		a, b := all[0], all[1]
		ok(t, w.Network.SetUplink("member0", 8_000_000, time.Second))
		body := content(6_000_000) // six seconds
		must[meet.FileOffer](t)(a.OfferFile(ctx, source("long", body), crypto.IdentityKey{}))
		dst := &memory{}
		f := receive(t, ctx, b, offered(t, ctx, b, "long"), dst)
		waitFor(t, "a part", func() bool { return dst.len() > 500_000 })
		f.Pause()
		w.Advance(time.Second)
		stopped := dst.len()
		w.Advance(5 * time.Second)
		done, state := f.Progress()
		if n := dst.len(); n != stopped || int64(n) != done || state != meet.FilePaused {
			t.Errorf("paused at %d, now %d, %d, %v", stopped, n, done, state)
		}
		if p := last[meet.FileProgress](t, a); p.State != meet.FilePaused || !p.Sending || p.Peer.Name != "member1" {
			t.Errorf("the sender sees %+v", p)
		}
		f.Resume()
		waitFor(t, "more", func() bool { return dst.len() > 2_000_000 })
		w.Network.Partition([]string{"member0"}, []string{"member1"})
		w.Advance(40 * time.Second)
		if _, state := f.Progress(); state != meet.FileWaiting {
			t.Errorf("cut off: %v", state)
		}
		w.Network.Heal()
		ok(t, over(t, ctx, f))
		if !bytes.Equal(dst.bytes(), body) {
			t.Error("other content")
		}
		if limit := len(body)/crypto.FileChunk + 1; dst.writes > limit {
			t.Errorf("%d writes of %d chunks", dst.writes, limit)
		}
		begun := events[meet.FileProgress](b)
		if n := len(begun); n < 8 || n > 4*60 {
			t.Errorf("%d reports", n)
		}
		w.Advance(time.Second)
		g := receive(t, ctx, b, offered(t, ctx, b, "long"), &memory{})
		w.Advance(time.Second)
		g.Cancel()
		if err := over(t, ctx, g); !errors.Is(err, meet.ErrFileCancelled) {
			t.Error(err)
		}
		w.Advance(time.Second)
		if d := last[meet.FileDone](t, a); !errors.Is(d.Err, meet.ErrFileCancelled) {
			t.Errorf("the sender sees %+v", d)
		}
	})
}

// TestFileCancelPaused covers FIL-11: who cancels while nothing comes, paused or cut off, tells the sender, each time.
func TestFileCancelPaused(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		a, b := all[0], all[1]
		ok(t, w.Network.SetUplink("member0", 8_000_000, time.Second))
		must[meet.FileOffer](t)(a.OfferFile(ctx, source("long", content(6_000_000)), crypto.IdentityKey{}))
		o := offered(t, ctx, b, "long")
		for i := range 3 {
			dst := &memory{}
			f := receive(t, ctx, b, o, dst)
			waitFor(t, "a part", func() bool { return dst.len() > 100_000 })
			f.Pause()
			if i != 1 { // then it is cancelled at once
				w.Advance(time.Second)
				if p := last[meet.FileProgress](t, a); p.State != meet.FilePaused {
					t.Fatalf("the sender sees %+v", p)
				}
			}
			if i == 2 {
				w.Network.Partition([]string{"member0"}, []string{"member1"})
				w.Advance(10 * time.Second)
			}
			f.Cancel()
			if err := over(t, ctx, f); !errors.Is(err, meet.ErrFileCancelled) {
				t.Error(err)
			}
			w.Network.Heal()
			w.Advance(30 * time.Second)
			if done := events[meet.FileDone](a); len(done) != i+1 || !errors.Is(done[i].Err, meet.ErrFileCancelled) {
				t.Fatalf("%d: the sender sees %+v", i, done)
			}
		}
		if n := len(events[meet.FileRefused](a)); n != 0 {
			t.Errorf("refused %d times, though it had begun", n)
		}
		ok(t, over(t, ctx, receive(t, ctx, b, o, &memory{})))
	})
}

func last[E meet.Event](t *testing.T, m *meettest.Member) E {
	t.Helper()
	all := events[E](m)
	if len(all) == 0 {
		t.Fatalf("%s: no such event", m.Host)
	}
	return all[len(all)-1]
}

// TestFileFrom: what is there already isn't asked for again, and is checked with the rest.
func TestFileFrom(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		body := content(500_000)
		must[meet.FileOffer](t)(all[0].OfferFile(ctx, source("x", body), crypto.IdentityKey{}))
		o := offered(t, ctx, all[1], "x")
		for _, have := range []int{0, 1, 4096, 100_000, 499_999, 500_000} {
			dst := &memory{b: bytes.Clone(body[:have])}
			f := must[*meet.FileTransfer](t)(all[1].ReceiveFile(ctx, o.ID, dst, meet.FileReceiveOptions{From: int64(have)}))
			ok(t, over(t, ctx, f))
			if !bytes.Equal(dst.bytes(), body) || dst.writes > (500_000-have)/4096+2 {
				t.Errorf("from %d: %d writes", have, dst.writes)
			}
		}
		dst := &memory{b: content(100_001)[:100_000]} // another file's
		f := must[*meet.FileTransfer](t)(all[1].ReceiveFile(ctx, o.ID, dst, meet.FileReceiveOptions{From: 100_000}))
		if err := over(t, ctx, f); !errors.Is(err, meet.ErrFileContent) {
			t.Error(err)
		}
		if _, err := all[1].ReceiveFile(ctx, o.ID, dst, meet.FileReceiveOptions{From: 500_001}); err == nil {
			t.Error("from behind the end")
		}
	})
}

// TestFileGone: withdrawn, or its sender gone: the offer ends, and what is under way fails. A disk that is full ends it too.
func TestFileGone(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		a, b, c := all[0], all[1], all[2]
		ok(t, w.Network.SetUplink("member0", 1_000_000, time.Second))
		ok(t, w.Network.SetUplink("member2", 1_000_000, time.Second))
		body := content(1_000_000)
		own := must[meet.FileOffer](t)(a.OfferFile(ctx, source("from a", body), crypto.IdentityKey{}))
		must[meet.FileOffer](t)(c.OfferFile(ctx, source("from c", body), crypto.IdentityKey{}))
		full := &memory{fail: errors.New("disk full")}
		if err := over(t, ctx, receive(t, ctx, b, offered(t, ctx, b, "from a"), full)); !errors.Is(err, full.fail) {
			t.Error(err)
		}
		fa := receive(t, ctx, b, offered(t, ctx, b, "from a"), &memory{})
		fc := receive(t, ctx, b, offered(t, ctx, b, "from c"), &memory{})
		if _, err := b.ReceiveFile(ctx, own.ID, &memory{}, meet.FileReceiveOptions{}); !errors.Is(err, meet.ErrFileBusy) {
			t.Errorf("twice: %v", err)
		}
		w.Advance(time.Second)
		ok(t, a.WithdrawFile(ctx, own.ID))
		if err := over(t, ctx, fa); !errors.Is(err, meet.ErrFileGone) {
			t.Error(err)
		}
		if err := a.WithdrawFile(ctx, own.ID); !errors.Is(err, meet.ErrFileGone) {
			t.Error(err)
		}
		ok(t, c.Leave(ctx))
		if err := over(t, ctx, fc); !errors.Is(err, meet.ErrFileGone) {
			t.Error(err)
		}
		w.Advance(time.Second)
		if n := len(events[meet.FileWithdrawn](b)); n != 2 {
			t.Errorf("%d offers ended", n)
		}
		if _, err := b.ReceiveFile(ctx, own.ID, &memory{}, meet.FileReceiveOptions{}); !errors.Is(err, meet.ErrFileGone) {
			t.Error(err)
		}
	})
}
