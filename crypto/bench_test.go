package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// inTurns times ours and base alternately, in batches, so that both meet the same
// machine, and reports both and their ratio. reset, untimed, comes before each batch.
func inTurns(b *testing.B, batch int, reset, ours, base func()) {
	var mine, raw time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if n%batch == 0 {
			if reset != nil {
				reset()
			}
			start := time.Now()
			for range batch {
				base()
			}
			raw += time.Since(start)
			start = time.Now()
			for range batch {
				ours()
			}
			mine += time.Since(start)
		}
		n++
	}
	count := float64((n + batch - 1) / batch * batch)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(mine)/count, "ns/ours")
	b.ReportMetric(float64(raw)/count, "ns/base")
	b.ReportMetric(float64(mine)/float64(raw), "ratio")
}

// BenchmarkPairSetup makes a session, both sides, beside the primitives it can't do
// without: two X25519 key pairs, eight agreements, ML-KEM's three operations.
func BenchmarkPairSetup(b *testing.B) {
	x, y := pairOf(b)
	now := epoch0
	static := must(ecdh.X25519().GenerateKey(rand.Reader))
	inTurns(b, 8, nil, func() {
		now = now.Add(time.Minute)
		connectAt(b, now, x, y)
	}, func() {
		for range 2 {
			e := must(ecdh.X25519().GenerateKey(rand.Reader))
			for range 4 {
				must(e.ECDH(static.PublicKey()))
			}
		}
		d := must(mlkem.GenerateKey768())
		k := must(mlkem.NewEncapsulationKey768(d.EncapsulationKey().Bytes()))
		_, c := k.Encapsulate()
		must(d.Decapsulate(c))
	})
}

// mediaBench is a sender, a reader and a packet of 1,200 bytes, beside raw AES-128-GCM
// over as many bytes and with as long an AAD.
type mediaBench struct {
	w      *world
	r      *ReaderKeys
	s      *SenderStream
	p      MediaPacket
	raw    cipher.AEAD
	nonce  []byte
	aad    []byte
	plain  []byte
	sealed []byte
}

func newMediaBench(b *testing.B) *mediaBench {
	m := &mediaBench{w: newWorld(b), nonce: make([]byte, 12), aad: make([]byte, 22), plain: make([]byte, 1207), sealed: make([]byte, 0, 1500)}
	m.r = m.w.reader()
	m.w.rotate(m.r)
	m.s = m.w.keys.Stream(20)
	m.p.Payload = make([]byte, 1200)
	m.raw = must(cipher.NewGCM(must(aes.NewCipher(make([]byte, 16)))))
	return m
}

// fresh keeps a benchmark below the counters that one key has.
func (m *mediaBench) fresh() {
	m.w.rotate(m.r)
	m.s.sealed = sourceWindow{}
}

// BenchmarkSealMedia seals 1,200 bytes.
func BenchmarkSealMedia(b *testing.B) {
	m := newMediaBench(b)
	inTurns(b, 1024, m.fresh, func() {
		m.p.SequenceNumber++
		m.sealed = must(m.s.SealMedia(m.sealed[:0], &m.p))
	}, func() {
		m.sealed = m.raw.Seal(m.sealed[:0], m.nonce, m.plain, m.aad)
	})
}

// BenchmarkOpenMedia opens 1,200 bytes.
func BenchmarkOpenMedia(b *testing.B) {
	m := newMediaBench(b)
	packets := make([][]byte, 1024)
	for i := range packets {
		m.p.SequenceNumber++
		packets[i] = must(m.s.SealMedia(nil, &m.p))
	}
	rawSealed := m.raw.Seal(nil, m.nonce, m.plain, m.aad)
	opened, i := make([]byte, 0, 1500), 0
	inTurns(b, len(packets), func() {
		i = 0
		if s := m.r.epochs[0].streams[20]; s != nil {
			s.window = sframe.ReplayWindow{}
		}
	}, func() {
		if _, _, err := m.r.OpenMedia(epoch0, opened, packets[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}, func() {
		must(m.raw.Open(opened, m.nonce, rawSealed, m.aad))
	})
}

// BenchmarkWrapSize reports the bytes of a wrap, bare and sealed in a pair session.
func BenchmarkWrapSize(b *testing.B) {
	x, y := pairOf(b)
	connect(b, x, y)
	w := newWorld(b)
	w.rotate()
	var data, sealed []byte
	for b.Loop() {
		data = must(w.keys.Wrap())
		sealed = must(x.Seal(epoch0, data))
	}
	b.ReportMetric(float64(len(data)), "bytes/wrap")
	b.ReportMetric(float64(len(sealed)), "bytes/sealed")
	b.ReportMetric(float64(len(must(w.keys.Announce()).Encode())), "bytes/announce")
}

// BenchmarkRotate makes a generation and its wrap, whatever the number of readers.
func BenchmarkRotate(b *testing.B) {
	w := newWorld(b)
	readers := make([]MeetingKey, 32)
	for b.Loop() {
		must(w.keys.Rotate(w.now, w.roster, readers, nil))
		must(w.keys.Wrap())
	}
}

// BenchmarkBundleVerify verifies a bundle, beside the bare signature.
func BenchmarkBundleVerify(b *testing.B) {
	bundle := member(1).Bundle()
	inTurns(b, 16, nil, func() {
		if bundle.Verify(testMeeting) != nil {
			b.Fatal()
		}
	}, func() {
		bundle.Identity.Verify(labelBundle, bundle.Signature, testMeeting[:], bundle.MeetingKey[:], bundle.Static[:])
	})
}

// BenchmarkWords computes the words of 32 people.
func BenchmarkWords(b *testing.B) {
	material := wordsMaterial(testMeeting, people(32))
	b.ReportAllocs()
	for b.Loop() {
		computeWords(testMeeting, material)
	}
}
