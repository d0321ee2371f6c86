package sframe

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"
	"time"
)

// The benchmarks run SFrame and bare AES-GCM in turns, in batches, so that
// whatever else the machine does falls on both. The baseline is an AEAD made once,
// buffers made once and no AAD at all: the least that sealing can cost. x-raw is
// the ratio of the two.
//
//	go test ./crypto/sframe -run '^$' -bench . -benchtime 2s
const (
	benchPlaintext = 1200
	benchMetadata  = 33
	benchBatch     = 64
	benchKID       = 0x1234_56 // a generation, a stream and a step
	benchCTR       = 100_000
)

func benchSuites(b *testing.B, run func(b *testing.B, suite CipherSuite, key *Key, raw cipher.AEAD)) {
	for _, suite := range []CipherSuite{AES128GCM, AES256GCM} {
		b.Run(suite.String(), func(b *testing.B) {
			key, err := NewKey(suite, benchKID, make([]byte, 32))
			if err != nil {
				b.Fatal(err)
			}
			block, err := aes.NewCipher(make([]byte, suite.KeySize()))
			if err != nil {
				b.Fatal(err)
			}
			raw, err := cipher.NewGCM(block)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(benchPlaintext)
			run(b, suite, key, raw)
		})
	}
}

// inTurns times b.N calls of each function and reports the ratio.
func inTurns(b *testing.B, sframe, raw func()) {
	var ours, base time.Duration
	calls := 0
	b.ResetTimer()
	for done := 0; done < b.N; done += benchBatch {
		t0 := time.Now()
		for range benchBatch {
			sframe()
		}
		t1 := time.Now()
		b.StopTimer()
		t2 := time.Now()
		for range benchBatch {
			raw()
		}
		base += time.Since(t2)
		ours += t1.Sub(t0)
		calls += benchBatch
		b.StartTimer()
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(calls), "ns/sframe")
	b.ReportMetric(float64(base.Nanoseconds())/float64(calls), "ns/raw")
	b.ReportMetric(float64(ours)/float64(base), "x-raw")
}

func BenchmarkSeal(b *testing.B) {
	benchSuites(b, func(b *testing.B, _ CipherSuite, key *Key, raw cipher.AEAD) {
		plaintext, metadata := make([]byte, benchPlaintext), make([]byte, benchMetadata)
		dst := make([]byte, 0, MaxHeaderSize+benchPlaintext+TagSize)
		nonce := make([]byte, nonceSize)
		inTurns(b, func() {
			if _, err := key.Seal(dst, benchCTR, metadata, plaintext); err != nil {
				b.Fatal(err)
			}
		}, func() {
			raw.Seal(dst, nonce, plaintext, nil)
		})
	})
}

func BenchmarkOpen(b *testing.B) {
	benchSuites(b, func(b *testing.B, _ CipherSuite, key *Key, raw cipher.AEAD) {
		plaintext, metadata := make([]byte, benchPlaintext), make([]byte, benchMetadata)
		dst := make([]byte, 0, benchPlaintext)
		nonce := make([]byte, nonceSize)
		sealed, err := key.Seal(nil, benchCTR, metadata, plaintext)
		if err != nil {
			b.Fatal(err)
		}
		rawSealed := raw.Seal(nil, nonce, plaintext, nil)
		inTurns(b, func() {
			if _, _, err := key.Open(dst, metadata, sealed); err != nil {
				b.Fatal(err)
			}
		}, func() {
			if _, err := raw.Open(dst, nonce, rawSealed, nil); err != nil {
				b.Fatal(err)
			}
		})
	})
}
