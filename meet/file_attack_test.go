package meet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// changing is a file whose content is another after it was announced.
type changing struct {
	io.ReaderAt
	changed atomic.Bool
}

func (c *changing) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	if c.changed.Load() && n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// TestFileContent covers FIL-6: other content than was announced is refused, and the sender is told. Twin: it passes.
func TestFileContent(t *testing.T) {
	twin(t, "anyContent", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config))
			connected(t, ctx, a, b)
			c := &changing{ReaderAt: bytes.NewReader(content(100_000))}
			must[meet.FileOffer](t)(a.OfferFile(ctx, meet.FileSource{Name: "x", Size: 100_000, Content: c}, crypto.IdentityKey{}))
			c.changed.Store(true)
			err := over(t, ctx, receive(t, ctx, b, offered(t, ctx, b, "x"), &memory{}))
			if protected != errors.Is(err, meet.ErrFileContent) || !protected && err != nil {
				t.Error(err)
			}
			w.Advance(time.Second)
			if d := last[meet.FileDone](t, a); protected != errors.Is(d.Err, meet.ErrFileContent) {
				t.Errorf("the sender sees %v", d.Err)
			}
		})
	})
}

// TestFileHostileSender covers FIL-5: chunks that repeat, are exchanged, too long, too short or not sealed end the
// transfer; nothing is written outside the file, and what its sender can't read ends it too.
func TestFileHostileSender(t *testing.T) {
	t.Parallel()
	body := content(100_000)
	var kept meet.FileDown
	for name, change := range map[string]func(i uint64, d meet.FileDown) meet.FileDown{
		"repeated": func(i uint64, d meet.FileDown) meet.FileDown {
			if i == 3 {
				return kept
			}
			kept = meet.FileDown{Chunk: bytes.Clone(d.Chunk)}
			return d
		},
		"longer": func(i uint64, d meet.FileDown) meet.FileDown {
			return meet.FileDown{Chunk: append(bytes.Clone(d.Chunk), 0)}
		},
		"shorter": func(i uint64, d meet.FileDown) meet.FileDown { return meet.FileDown{Chunk: d.Chunk[:len(d.Chunk)-1]} },
		"open":    func(i uint64, d meet.FileDown) meet.FileDown { return meet.FileDown{Chunk: body[:4096]} },
		"nothing": func(i uint64, d meet.FileDown) meet.FileDown { return meet.FileDown{} },
		"unknown": func(i uint64, d meet.FileDown) meet.FileDown { return meet.FileDown{Refused: 99} },
	} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				a := must[*meettest.Member](t)(w.Create(ctx, "a", meet.ChangeFile(open(), change)))
				b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
				connected(t, ctx, a, b)
				must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", body), crypto.IdentityKey{}))
				dst := &memory{}
				err := over(t, ctx, receive(t, ctx, b, offered(t, ctx, b, "x"), dst))
				if want := map[bool]error{true: meet.ErrFileGone, false: meet.ErrFileContent}[name == "unknown"]; !errors.Is(err, want) {
					t.Error(err)
				}
				if dst.len() > 3*4096 {
					t.Errorf("%d bytes were written", dst.len())
				}
			})
		})
	}
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		f := meet.FileSource{Name: "x", Size: int64(len(body)), Content: &vanishing{ReaderAt: bytes.NewReader(body), after: len(body)}}
		must[meet.FileOffer](t)(all[0].OfferFile(ctx, f, crypto.IdentityKey{}))
		if err := over(t, ctx, receive(t, ctx, all[1], offered(t, ctx, all[1], "x"), &memory{})); !errors.Is(err, meet.ErrFileUnreadable) {
			t.Error(err)
		}
		f.Size++
		if _, err := all[0].OfferFile(ctx, f, crypto.IdentityKey{}); err == nil {
			t.Error("offered what isn't there")
		}
	})
}

// vanishing can be read once.
type vanishing struct {
	io.ReaderAt
	mu    sync.Mutex
	after int
}

func (v *vanishing) ReadAt(p []byte, at int64) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.after <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := v.ReaderAt.ReadAt(p, at)
	v.after -= n
	return n, err
}

// TestFileRequest covers FIL-4: a request that was seen works for nobody, not even again. Control: a fresh one does. The
// twins are TestFilePlainRequest's and, that a packet can't come twice, crypto's for PAI-3.
func TestFileRequest(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var mu sync.Mutex
		var frame []byte
		config := open()
		config.Tap = func(at transport.TapPoint, from transport.PeerKey, data []byte) {
			mu.Lock()
			defer mu.Unlock()
			if at == transport.TapFile && frame == nil {
				frame = bytes.Clone(data)
			}
		}
		a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
		c := must[*meettest.Member](t)(w.Join(ctx, "c", a, meet.Config{}))
		connected(t, ctx, a, b, c)
		must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(10)), crypto.IdentityKey{}))
		o := offered(t, ctx, b, "x")
		ok(t, over(t, ctx, receive(t, ctx, b, o, &memory{})))
		key := a.Incarnation().Key()
		for _, m := range []*meettest.Member{b, c} {
			if got, err := m.AskRaw(ctx, key, frame); err == nil {
				t.Errorf("%s was answered %d bytes", m.Host, len(got))
			}
			must[[]byte](t)(m.AskRaw(ctx, key, must[[]byte](t)(m.SealAsk(ctx, o))))
			if _, err := m.AskRaw(ctx, key, []byte("anything")); err == nil {
				t.Error("answered anything")
			}
		}
	})
}

// TestFilePlainRequest covers FIL-4: a request that isn't sealed is no request. Twin: the file goes out under a key that
// whoever saw the request has.
func TestFilePlainRequest(t *testing.T) {
	twin(t, "anyRequest", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			connected(t, ctx, a, b)
			must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(10)), crypto.IdentityKey{}))
			o, key := offered(t, ctx, b, "x"), crypto.NewFileKey()
			got, err := b.AskRaw(ctx, a.Incarnation().Key(), meet.PlainAsk(o, key))
			if (err != nil) != protected {
				t.Fatalf("answered %d bytes, %v", len(got), err)
			}
			if protected {
				return
			}
			cipher := must[*crypto.FileCipher](t)(key.Cipher(a.ID(), a.Incarnation().Key(), b.Incarnation().Key(), o.ID))
			if body, err := cipher.Open(nil, 0, true, meet.ChunkOf(got)); err != nil || !bytes.Equal(body, content(10)) {
				t.Errorf("%x, %v", body, err)
			}
		})
	})
}

// TestFileKeyFresh covers FIL-4: what is asked for twice comes under two keys. Twin: with one key, a content that changed
// meanwhile is sealed under a nonce used before, and what goes by tells what changed.
func TestFileKeyFresh(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				var mu sync.Mutex
				var chunks [][]byte
				config := meet.Config{Tap: func(at transport.TapPoint, _ transport.PeerKey, data []byte) {
					mu.Lock()
					defer mu.Unlock()
					if at == transport.TapFile {
						chunks = append(chunks, bytes.Clone(meet.ChunkOf(data)))
					}
				}}
				if !protected {
					config = meet.OneFileKey(config)
				}
				a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
				b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config))
				connected(t, ctx, a, b)
				c := &changing{ReaderAt: bytes.NewReader(content(10))}
				must[meet.FileOffer](t)(a.OfferFile(ctx, meet.FileSource{Name: "x", Size: 10, Content: c}, crypto.IdentityKey{}))
				o := offered(t, ctx, b, "x")
				ok(t, over(t, ctx, receive(t, ctx, b, o, &memory{})))
				c.changed.Store(true)
				if err := over(t, ctx, receive(t, ctx, b, o, &memory{})); !errors.Is(err, meet.ErrFileContent) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(chunks) != 2 {
					t.Fatalf("%d chunks went by", len(chunks))
				}
				if told := chunks[0][0]^chunks[1][0] == 1 && bytes.Equal(chunks[0][1:10], chunks[1][1:10]); told == protected {
					t.Errorf("%x, then %x", chunks[0], chunks[1])
				}
			})
		})
	}
}

// TestFileAnnounceForged covers FIL-1: an announcement that breaks the rules isn't shown. Twin: it is, without a name,
// with one without end, or of a size that nothing has.
func TestFileAnnounceForged(t *testing.T) {
	hash := crypto.Hash{1}
	twin(t, "anyAnnouncement", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config))
			connected(t, ctx, a, b)
			bad := []meet.FileAnnounce{{Hash: &hash}, {Name: string(bytes.Repeat([]byte("x"), 256)), Hash: &hash}, {Name: "x", Size: 1 << 62, Hash: &hash}}
			for _, f := range append(bad, meet.FileAnnounce{Name: "control", Hash: &hash}) {
				must[crypto.MessageID](t)(a.Announce(ctx, b.Incarnation().Key(), f, crypto.IdentityKey{}))
			}
			offered(t, ctx, b, "control")
			if n := len(events[meet.FileOffered](b)); n != map[bool]int{true: 1, false: len(bad) + 1}[protected] {
				t.Errorf("%d were shown", n)
			}
		})
	})
}

// TestFileAuthor covers FIL-1: who offers a file in a message with the ID of somebody else's offers another file. Twin:
// theirs is in its place, and who asks for the one gets the other.
func TestFileAuthor(t *testing.T) {
	t.Parallel()
	twin(t, "anyFileAuthor", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config))
			mallory := must[*meettest.Member](t)(w.Join(ctx, "mallory", a, meet.Config{}))
			connected(t, ctx, a, b, mallory)
			at, id := b.Incarnation().Key(), crypto.NewMessageID()
			must[crypto.MessageID](t)(a.AnnounceAs(ctx, id, at, meet.FileAnnounce{Name: "contract", Hash: &crypto.Hash{1}}, crypto.IdentityKey{}))
			o := offered(t, ctx, b, "contract")
			must[crypto.MessageID](t)(mallory.AnnounceAs(ctx, id, at, meet.FileAnnounce{Name: "other", Hash: &crypto.Hash{2}}, crypto.IdentityKey{}))
			offered(t, ctx, b, "other")
			for _, f := range must[[]meet.FileOffer](t)(b.Files(ctx)) {
				if f.ID == o.ID && (f.From.Key == a.Incarnation().Key()) != protected {
					t.Errorf("the contract's place has %q, of %s", f.Name, f.From.Name)
				}
			}
		})
	})
}

// TestFileRemoved covers FIL-7: who is removed gets nothing more of a file, though its old stream stays open (its
// connection is kept, for the test's sake). Twin: it goes on.
func TestFileRemoved(t *testing.T) {
	t.Parallel()
	twin(t, "keepUploads", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config = meet.With(config, "keepPeers")
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.With(meet.Config{}, "ignoreEnding", "keepPeers")))
			connected(t, ctx, a, b)
			ok(t, w.Network.SetUplink("a", 1_000_000, time.Second))
			must[meet.FileOffer](t)(a.OfferFile(ctx, source("x", content(10_000_000)), crypto.IdentityKey{}))
			dst := &memory{}
			f := receive(t, ctx, b, offered(t, ctx, b, "x"), dst)
			w.Advance(2 * time.Second)
			ok(t, a.Remove(ctx, self(t, ctx, b).Identity, false))
			w.Advance(500 * time.Millisecond) // what was under way
			then := dst.len()
			w.Advance(10 * time.Second)
			if more := dst.len() > then; more == protected || then == 0 {
				t.Errorf("%d bytes, later %d", then, dst.len())
			}
			f.Cancel()
		})
	})
}

// TestFilePermission covers FIL-7 and ROS-22: without the permission nothing is offered, what is offered all the same
// isn't shown (twin: it is), and when it is taken away all ends.
func TestFilePermission(t *testing.T) {
	t.Parallel()
	twin(t, "allPermitted", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", a, meet.With(meet.Config{}, "unpermitted")))
			connected(t, ctx, a, b, bad)
			ok(t, w.Network.SetUplink("b", 1_000_000, time.Second))
			must[meet.FileOffer](t)(b.OfferFile(ctx, source("before", content(1_000_000)), crypto.IdentityKey{}))
			f := receive(t, ctx, a, offered(t, ctx, a, "before"), &memory{})
			w.Advance(time.Second)
			p := config.Policy
			p.Members = roster.AllPermissions &^ roster.Files
			ok(t, a.SetPolicy(ctx, p))
			w.Advance(time.Second)
			if _, err := b.OfferFile(ctx, source("after", nil), crypto.IdentityKey{}); !errors.Is(err, meet.ErrNotPermitted) {
				t.Error(err)
			}
			must[meet.FileOffer](t)(bad.OfferFile(ctx, source("bad", nil), crypto.IdentityKey{}))
			w.Advance(time.Second)
			shown := slices.ContainsFunc(events[meet.FileOffered](a), func(e meet.FileOffered) bool { return e.Offer.Name == "bad" })
			if shown == protected {
				t.Errorf("shown: %v", shown)
			}
			if err := over(t, ctx, f); protected && !errors.Is(err, meet.ErrNotPermitted) || err == nil {
				t.Errorf("what was under way: %v", err)
			}
		})
	})
}

// TestFileLimits covers FIL-8: how many files are offered, announced, and sent at a time. Twin: five at a time go to one
// who may have four.
func TestFileLimits(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{MaxFileSize: 500_000}))
			connected(t, ctx, a, b)
			ok(t, w.Network.SetUplink("a", 4_000_000, time.Second))
			var all []*meet.FileTransfer
			for i := range 5 {
				name := fmt.Sprint("file ", i)
				must[meet.FileOffer](t)(a.OfferFile(ctx, source(name, content(400_000)), crypto.IdentityKey{}))
				all = append(all, receive(t, ctx, b, offered(t, ctx, b, name), &memory{}))
			}
			w.Advance(time.Second)
			waiting := 0
			for _, f := range all {
				if _, state := f.Progress(); state == meet.FileWaiting {
					waiting++
				}
			}
			if (waiting == 1) != protected {
				t.Errorf("%d wait", waiting)
			}
			for _, f := range all {
				ok(t, over(t, ctx, f))
			}
			must[meet.FileOffer](t)(a.OfferFile(ctx, source("large", content(500_001)), crypto.IdentityKey{}))
			if _, err := b.ReceiveFile(ctx, offered(t, ctx, b, "large").ID, &memory{}, meet.FileReceiveOptions{}); !errors.Is(err, meet.ErrFileTooLarge) {
				t.Error(err)
			}
			if _, err := b.OfferFile(ctx, source("large", content(500_001)), crypto.IdentityKey{}); !errors.Is(err, meet.ErrFileTooLarge) {
				t.Error(err)
			}
			for _, name := range []string{"", string(make([]byte, 256)), "\xff"} {
				if _, err := b.OfferFile(ctx, source(name, nil), crypto.IdentityKey{}); !errors.Is(err, meet.ErrFileName) {
					t.Errorf("%q: %v", name, err)
				}
			}
			for range meet.MaxFileOffers {
				must[meet.FileOffer](t)(b.OfferFile(ctx, source("one of many", nil), crypto.IdentityKey{}))
			}
			if _, err := b.OfferFile(ctx, source("one too many", nil), crypto.IdentityKey{}); !errors.Is(err, meet.ErrFileBusy) {
				t.Error(err)
			}
			w.Advance(5 * time.Second)
			hash := crypto.Hash{1}
			for range 200 {
				must[crypto.MessageID](t)(b.Announce(ctx, a.Incarnation().Key(), meet.FileAnnounce{Name: "flood", Hash: &hash}, crypto.IdentityKey{}))
			}
			w.Advance(5 * time.Second)
			if n := len(events[meet.FileOffered](a)); n != meet.MaxFileOffers {
				t.Errorf("%d were shown", n)
			}
		})
	})
}

// TestFileWithdrawnEarly: a withdrawal that overtakes its offer holds.
func TestFileWithdrawnEarly(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		a, b := all[0], all[1]
		at, id := b.Incarnation().Key(), crypto.NewMessageID()
		hash := crypto.Hash{1}
		signed := func(id crypto.MessageID, f meet.FileAnnounce) {
			raw := must[[]byte](t)(crypto.SignMessage(a.Incarnation(), crypto.StreamFile, id, time.Now(), meet.Encode(f)))
			ok(t, a.InjectMessage(ctx, at, meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamFile, Signed: raw}}))
		}
		signed(crypto.NewMessageID(), meet.FileAnnounce{Withdrawn: &id})
		signed(id, meet.FileAnnounce{Name: "x", Hash: &hash})
		w.Advance(time.Second)
		if n := len(events[meet.FileOffered](b)); n != 0 {
			t.Error("a withdrawn file was shown")
		}
		signed(crypto.NewMessageID(), meet.FileAnnounce{Name: "y", Hash: &hash}) // control
		offered(t, ctx, b, "y")
	})
}
